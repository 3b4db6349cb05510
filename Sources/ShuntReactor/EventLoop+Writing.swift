import CUV
import Glibc
import ShuntCore

// Unsafe: a connection that has something to write is counted by hand, once, until it is written.

extension EventLoop {
    /// Queues an answer. The loop stops reading from a client that does not read its answers, and closes it when it is stuck.
    @inline(__always)
    public func answer(_ count: Int, to connection: Connection, _ write: (UnsafeMutableRawPointer) -> Void) {
        guard connection.state == .open else { return }
        append(count, to: connection, write)
        if connection.out.count > Self.ownShare, connection.isWaitingToWrite { awaitReading(connection, count) }
    }

    /// The same by the connection's id; nothing where it has gone.
    public func answer(_ count: Int, to id: ConnectionID, _ write: (UnsafeMutableRawPointer) -> Void) {
        _ = with(id) { answer(count, to: $0, write) }
    }

    /// Stops reading from a client whose answers pile up: at half of its bound, or earlier while the loop's buffers are half full.
    @inline(never)
    private func awaitReading(_ connection: Connection, _ count: Int) {
        guard connection.state == .open, connection.out.count > limits.outBuffer / 2 || isShortOfMemory else { return }
        if connection.congestion == nil { beginCongestion(connection) }
        guard let congestion = connection.congestion else { return }
        congestion.answers += count
        guard congestion.answers > Self.ownShare else { return }
        if congestion.isStuck { closeSlow(connection) } else { setReadingPaused(true, .answers, connection) }
    }

    private var isShortOfMemory: Bool { pool.used > limits.buffers / 2 }

    private func beginCongestion(_ connection: Connection) {
        connection.congestion = Congestion(since: uv_now(uv))
        congested.append(connection.id)
        tell(.congested, connection)
    }

    /// Reads again from the clients that have taken their answers.
    func resumeReading() {
        while let id = resumable.popLast() {
            if let connection = connection(id) { setReadingPaused(false, .answers, connection) }
        }
    }

    /// Queues a message, or does what the handler's `slowConsumerPolicy` says when the connection's bound is reached.
    @inline(__always)
    public func send(_ bytes: Bytes, to connection: Connection) -> SendOutcome {
        guard connection.state == .open else { return .dropped }
        guard takes(bytes.count, connection) else { return sendBeyondBound(bytes, to: connection) }
        queue(bytes, to: connection)
        return .queued
    }

    /// The same by the connection's id.
    /// - Returns: nil where it has gone.
    public func send(_ bytes: Bytes, to id: ConnectionID) -> SendOutcome? {
        var outcome: SendOutcome?
        _ = with(id) { outcome = send(bytes, to: $0) }
        return outcome
    }

    /// Whether so many more bytes may wait for a connection. An empty buffer takes a frame of any size. Clients that do not read can't use up
    /// what all others need: an eighth of all buffers is for what comes in, and a little may always wait.
    @inline(__always)
    private func takes(_ count: Int, _ connection: Connection) -> Bool {
        let waiting = connection.out.count
        guard waiting == 0 || waiting + count <= limits.outBuffer else { return false }
        // A block that grows at most doubles what is in use.
        if pool.used <= limits.buffers / 4 { return true }
        return pool.used + connection.out.growth(for: count) <= limits.buffers - limits.buffers / 8 || waiting + count <= Self.ownShare
    }

    @inline(__always)
    private func queue(_ message: Bytes, to connection: Connection) {
        connection.out.messages &+= 1
        append(message.count, to: connection) { memcpy($0, message.baseAddress.unsafelyUnwrapped, message.count) }
    }

    @inline(__always)
    private func append(_ count: Int, to connection: Connection, _ write: (UnsafeMutableRawPointer) -> Void) {
        write(connection.out.extend(by: count, pool: &pool))
        if !connection.isDirty { markDirty(connection) }
        guard connection.out.count >= Self.flushSize else { return }
        // One that waits to write is not flushed, and may never be.
        if !connection.isWaitingToWrite { flush(connection) } else if connection.congestion == nil { noteCongestion(connection) }
    }

    @inline(never)
    private func sendBeyondBound(_ bytes: Bytes, to connection: Connection) -> SendOutcome {
        noteCongestion(connection)
        // The kernel may have taken something since the turn began.
        if !connection.isWaitingToWrite { flush(connection) }
        guard connection.state == .open else { return .dropped }
        if takes(bytes.count, connection) {
            queue(bytes, to: connection)
            return .queued
        }
        switch connection.isStuck ? limits.stuckConsumer : handler.slowConsumerPolicy(of: connection, for: kind(of: bytes, for: connection)) {
        case .hold:
            // Its producers are not read from. What they and the other loops had under way still enters the buffer.
            guard mayOverflow(bytes.count, connection) else { fallthrough }
            queue(bytes, to: connection)
            return .queued
        case .dropNewest:
            figures.droppedSlow += 1
            handler.dropped(bytes, before: .none, for: connection)
            return .dropped
        case .dropOldest:
            // Some more than is needed now, since the rest has to be moved for it.
            let needed = max(connection.out.count + bytes.count - limits.outBuffer, bytes.count)
            let dropped = connection.out.dropOldest(
                max(needed, limits.outBuffer / 16), framing: handler.framing(of: connection.role),
                mayDrop: { handler.mayDrop($0, for: connection) }, onDrop: { handler.dropped($0, before: $1, for: connection) })
            figures.droppedSlow += dropped.messages
            guard dropped.bytes >= needed || connection.out.isEmpty else {
                figures.droppedSlow += 1
                handler.dropped(bytes, before: .none, for: connection)
                return .dropped
            }
            queue(bytes, to: connection)
            return .queued
        case .disconnect:
            handler.dropped(bytes, before: .none, for: connection)
            closeSlow(connection)
            return .disconnected
        }
    }

    private func kind(of frame: Bytes, for connection: Connection) -> FrameKind { handler.framing(of: connection.role).measure(frame).kind }

    /// Bytes that an out-buffer may hold beyond its bound while producers are held: their last messages, and mail between loops.
    private static let overflow = 512 << 20

    private func mayOverflow(_ count: Int, _ connection: Connection) -> Bool {
        connection.out.count + count <= limits.outBuffer + Self.overflow
            && pool.used + connection.out.growth(for: count) <= limits.buffers - limits.buffers / 8
    }

    private func closeSlow(_ connection: Connection) {
        figures.closedSlow += 1
        close(connection, .byUs(why: "the client does not read fast enough (connection.slow_consumer)"))
    }

    func markDirty(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(Unmanaged.passRetained(connection))
        if dirty.count >= Self.dirtyCapacity { flushDirty() }
    }

    func flushDirty() {
        guard !dirty.isEmpty else { return }
        // A connection that closes while it is written may dirty others, behind the ones that are looked at.
        var next = 0
        while next < dirty.count {
            let connection = dirty[next].takeRetainedValue()
            next += 1
            connection.isDirty = false
            if !connection.isWaitingToWrite { flush(connection) }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// Writes what waits, as far as the kernel takes it.
    func flush(_ connection: Connection) {
        guard connection.state != .closed else { return }
        let outcome = connection.layer == nil ? write(connection) : writeThrough(connection)
        guard outcome != .failed else { return }
        if connection.state == .draining, connection.out.isEmpty, outcome == .written {
            guard connection.lingers else { return closeDrained(connection) }
            shutdown(connection.descriptor, Int32(SHUT_WR))
            putOffEnding(connection)
        }
        let mustWait = outcome == .kernelIsFull
        if mustWait != connection.isWaitingToWrite {
            connection.isWaitingToWrite = mustWait
            watch(connection)
        }
        noteCongestion(connection)
    }

    /// What came of writing.
    enum WriteOutcome {
        /// Nothing is left that could be written now.
        case written
        case kernelIsFull
        /// The connection has failed, and is closed unless what it sent is still to be taken.
        case failed
    }

    /// Writes the out-buffer to the socket.
    func write(_ connection: Connection) -> WriteOutcome {
        while !connection.out.isEmpty {
            let bytes = connection.out.bytes
            let count = Glibc.send(connection.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count > 0 {
                noteSent(count, connection)
                wrote(count, connection)
                if count < bytes.count { return .kernelIsFull }
                continue
            }
            let error = errno
            if error == EINTR { continue }
            if error == EAGAIN { return .kernelIsFull }
            fail(connection, error)
            return .failed
        }
        return .written
    }

    /// The kernel has taken so many bytes.
    @inline(__always)
    func noteSent(_ count: Int, _ connection: Connection) {
        figures.bytesOut += count
        if connection.lingers { putOffEnding(connection) }
        if connection.unacknowledgedSince == 0 { noteWritten(connection) }
    }

    /// So many bytes of the out-buffer are written, or its transport's.
    @inline(__always)
    func wrote(_ count: Int, _ connection: Connection) {
        connection.congestion?.written += count
        figures.delivered += connection.out.wrote(count, framing: handler.framing(of: connection.role), pool: &pool)
    }

    private func noteCongestion(_ connection: Connection) {
        let waiting = connection.out.count
        if connection.congestion == nil {
            guard waiting > limits.outBuffer / 2 else { return }
            beginCongestion(connection)
        } else if waiting <= limits.outBuffer / 4 {
            // A client that was stopped for its answers while memory is short is read from when it has taken them.
            if connection.pauses.contains(.answers), waiting > Self.ownShare, isShortOfMemory { return }
            connection.congestion = nil
            if connection.pauses.contains(.answers) { resumable.append(connection.id) }
            tell(.none, connection)
        }
    }

    private func tell(_ pressure: ConsumerPressure, _ connection: Connection) {
        hasNewPressure = true
        handler.pressure(pressure, on: connection)
    }

    /// Finds the congested connections whose clients have taken too little for too long.
    func findStuck() {
        guard !congested.isEmpty else { return }
        let (now, enough) = (uv_now(uv), limits.outBuffer / 4)
        var stuck: [Connection] = []
        congested.removeAll { id in
            guard let connection = connection(id), let congestion = connection.congestion else { return true }
            if congestion.isStuck { return false }
            if congestion.written >= enough {
                (congestion.since, congestion.written) = (now, 0)
            } else if now >= congestion.since + UInt64(limits.slowPatience) {
                congestion.isStuck = true
                stuck.append(connection)
            }
            return false
        }
        for connection in stuck {
            if connection.pauses.contains(.answers) { closeSlow(connection) } else { tell(.stuck, connection) }
        }
    }
}
