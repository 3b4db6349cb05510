import Glibc
import ShuntCore

/// Connections whose bytes go through a transport.
extension EventLoop {
    /// Tells the handler of a new connection, or lets its transport begin.
    func open(_ connection: Connection) {
        guard let transport = handler.transport(for: connection) else { return handler.opened(connection) }
        let layer = TransportLayer(transport, since: seconds)
        // Now: a peer that resets the connection during its handshake has no address any more.
        layer.remoteAddress = connection.remoteAddress
        connection.layer = layer
        follow(layer, connection)
        // It may have the first word.
        markDirty(connection)
        guard transport.hasWork else { return }
        awaitWork(connection, layer)
        wakeAgain()
    }

    /// Looks where the transport stands.
    func follow(_ layer: TransportLayer, _ connection: Connection) {
        while let transport = layer.transport {
            if let address = transport.remoteAddress { layer.remoteAddress = address }
            if layer.isOpening, let certificate = transport.clientCertificate { layer.clientCertificate = certificate }
            guard case .passed(let next) = transport.phase else { break }
            layer.transport = next
        }
        guard layer.isOpening else { return }
        switch layer.transport?.phase {
        case .opening?, .ended?: return
        default: break
        }
        layer.isOpening = false
        handler.opened(connection)
    }

    // MARK: Reading

    /// Reads once from the socket, and hands on all that the transport makes of it.
    func readThrough(_ connection: Connection, _ layer: TransportLayer) {
        // What comes before it is open is kept, which there may be many of.
        let size = layer.isOpening ? Self.openingReadSize : wire.incoming.count
        let count = recv(connection.descriptor, wire.incoming.baseAddress, size, 0)
        guard count > 0 else { return readEnded(connection, count) }
        figures.bytesIn += count
        passOn(Bytes(start: wire.incoming.baseAddress, count: count), connection, layer)
    }

    private static let openingReadSize = 16 << 10

    /// Has the transport make plain bytes of bytes of the wire, and of what it holds itself, and hands those on.
    func passOn(_ bytes: Bytes, _ connection: Connection, _ layer: TransportLayer) {
        layer.untaken = bytes
        do throws(TransportFailure) {
            while connection.state == .open, let transport = layer.transport {
                guard let space = roomForPlain(connection) else { return }
                let progress = try transport.read(layer.untaken, into: space)
                layer.untaken = Bytes(rebasing: layer.untaken[progress.taken...])
                follow(layer, connection)
                if progress.given > 0, connection.state == .open { came(progress.given, connection) }
                // It may be another loop's now.
                guard connection.state == .open else { return }
                if progress.given == 0, layer.transport === transport {
                    guard layer.untaken.isEmpty else { throw TransportFailure("the transport does not take what has come") }
                    break
                }
            }
        } catch {
            return fail(connection, error)
        }
        guard connection.state == .open else { return }
        guard let transport = layer.transport else { return takeAll(connection, layer) }
        if transport.hasWork { awaitWork(connection, layer) }
        if case .ended = transport.phase { return end(connection, layer, transport) }
        // It may have something to say to that.
        markDirty(connection)
    }

    /// Closes a connection whose peer has said that it sends no more. What waits for it is written as far as it goes at once, and
    /// the transport's own end.
    private func end(_ connection: Connection, _ layer: TransportLayer, _ transport: any Transport) {
        guard writeThrough(connection) == .written, connection.state == .open else { return close(connection, .byPeer) }
        layer.isFinished = true
        transport.finish(because: .byPeer)
        _ = writeThrough(connection)
        close(connection, .byPeer)
    }

    /// Takes on bytes of the socket behind those that the transport was for.
    private func takeAll(_ connection: Connection, _ layer: TransportLayer) {
        while !layer.untaken.isEmpty, let space = roomForPlain(connection) {
            let count = min(layer.untaken.count, space.count)
            space.copyMemory(from: Bytes(rebasing: layer.untaken[..<count]))
            layer.untaken = Bytes(rebasing: layer.untaken[count...])
            came(count, connection)
            // It may be another loop's now.
            guard connection.state == .open else { return }
        }
    }

    // MARK: Writing

    /// Has the transport make bytes of the wire of what waits, and writes them.
    func writeThrough(_ connection: Connection) -> WriteOutcome {
        guard let layer = connection.layer, let transport = layer.transport else { return write(connection) }
        if let unfinished = sendUnsent(connection, layer) { return unfinished }
        do throws(TransportFailure) {
            while connection.state != .closed {
                let progress = try transport.write(connection.out.bytes, into: wire.outgoing)
                if progress.taken > 0 { wrote(progress.taken, connection) }
                if progress.given > 0 {
                    if let unfinished = send(Bytes(rebasing: UnsafeRawBufferPointer(wire.outgoing)[..<progress.given]), connection, layer) {
                        return unfinished
                    }
                } else if progress.taken == 0 {
                    guard connection.state == .draining, connection.out.isEmpty, !layer.isFinished else { break }
                    layer.isFinished = true
                    transport.finish(because: reasonOfEnding(connection))
                }
            }
        } catch {
            fail(connection, error)
            return .failed
        }
        follow(layer, connection)
        return connection.state == .closed ? .failed : .written
    }

    private func sendUnsent(_ connection: Connection, _ layer: TransportLayer) -> WriteOutcome? {
        guard !layer.unsent.isEmpty else { return nil }
        switch send(layer.unsent.bytes, connection) {
        case .sent(let count):
            layer.unsent.sent(count, pool: &pool)
            return layer.unsent.isEmpty ? nil : .kernelIsFull
        case .failed(let error):
            fail(connection, error)
            return .failed
        }
    }

    /// - Returns: nil where the kernel has taken all.
    private func send(_ bytes: Bytes, _ connection: Connection, _ layer: TransportLayer) -> WriteOutcome? {
        switch send(bytes, connection) {
        case .sent(bytes.count): return nil
        case .sent(let count):
            layer.unsent.keep(Bytes(rebasing: bytes[count...]), pool: &pool)
            return .kernelIsFull
        case .failed(let error):
            fail(connection, error)
            return .failed
        }
    }

    private enum Sent {
        /// So many bytes, 0 where the kernel is full.
        case sent(Int)
        case failed(Int32)
    }

    private func send(_ bytes: Bytes, _ connection: Connection) -> Sent {
        while true {
            let count = Glibc.send(connection.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count > 0 {
                noteSent(count, connection)
                return .sent(count)
            }
            let error = errno
            if error == EINTR { continue }
            return error == EAGAIN ? .sent(0) : .failed(error)
        }
    }

    /// Closes a connection whose transport cannot go on. What the transport has to say to that, an alert, is tried to be written.
    func fail(_ connection: Connection, _ failure: TransportFailure) {
        guard connection.state != .closed else { return }
        figures.errors += 1
        writeLast(connection)
        close(connection, .byUs(why: failure.why))
    }

    private func writeLast(_ connection: Connection) {
        guard let layer = connection.layer, layer.unsent.isEmpty,
            let last = try? layer.transport?.write(Bytes(start: nil, count: 0), into: wire.outgoing), last.given > 0
        else { return }
        _ = send(Bytes(rebasing: UnsafeRawBufferPointer(wire.outgoing)[..<last.given]), connection)
    }
}
