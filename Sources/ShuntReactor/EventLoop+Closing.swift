import CLinux
import CUV
import Glibc
import ShuntCore

// Unsafe: as in EventLoop.swift.

/// The end of connections.
extension EventLoop {
    /// Closes once what waits has been written, or after five seconds.
    /// - Parameter lingers: the peer gets all that was written, even if it still sends: it is waited for while it takes a kilobyte in five seconds,
    ///   and as long for it to close its side. Otherwise what it sends has the kernel give up what it has not taken (RFC 1122 §4.2.2.13).
    public func closeAfterWriting(_ connection: Connection, _ reason: CloseReason, lingers: Bool = false) {
        guard connection.state == .open else { return }
        beginDraining(connection, reason)
        connection.lingers = lingers
        if lingers {
            figures.lingering += 1
            figures.count(connection.role, -1)
        }
        releasePartial(connection)
        markDirty(connection)
        watch(connection)
    }

    /// Seconds that a peer has to take what waits for it before it is closed.
    private static let endingSeconds: UInt32 = 5

    func beginDraining(_ connection: Connection, _ reason: CloseReason) {
        connection.state = .draining
        endings[connection.id] = Ending(at: seconds + Self.endingSeconds, reason: reason)
    }

    /// The peer has taken something: it gets time for more.
    func putOffEnding(_ connection: Connection) {
        if connection.state == .draining { endings[connection.id]?.at = seconds + Self.endingSeconds }
    }

    /// Whether the peer of a connection that lingers has taken a kilobyte, or the rest, since this was last asked: then it gets time for more.
    func isTaking(_ connection: Connection) -> Bool {
        var found = linux_acknowledgements()
        guard connection.lingers, let before = endings[connection.id]?.unacknowledged,
            linux_read_acknowledgements(connection.descriptor, &found) == 0, found.bytes < before,
            found.bytes == 0 || before - found.bytes >= Self.progress
        else { return false }
        endings[connection.id]?.unacknowledged = found.bytes
        putOffEnding(connection)
        return true
    }

    /// Bytes that a peer takes at least while it is waited for.
    private static let progress: Int32 = 1024

    /// Closes a connection that was to be closed after writing.
    func closeDrained(_ connection: Connection) { close(connection, reasonOfEnding(connection)) }

    func reasonOfEnding(_ connection: Connection) -> CloseReason { endings[connection.id]?.reason ?? .byUs(why: "closed") }

    /// Closes at once; what waits is lost.
    public func close(_ connection: Connection, _ reason: CloseReason) {
        guard connection.state != .closed else { return }
        if connection.state == .draining { endings.removeValue(forKey: connection.id) }
        connection.state = .closed
        releasePartial(connection)
        figures.lostAtClose += Int(connection.out.messages)
        connection.out.release(to: &pool)
        connection.layer?.unsent.release(to: &pool)
        leave(connection)
        // The handler may still ask for its address.
        handler.closed(connection, reason: reason)
        Glibc.close(connection.descriptor)
    }

    /// Takes a connection out of the table, and its descriptor from libuv.
    func leave(_ connection: Connection) {
        let slot = connection.id.slot
        slots[slot] = nil
        generations[slot] &+= 1
        freeSlots.append(UInt32(slot))
        figures.connections -= 1
        if connection.lingers { figures.lingering -= 1 } else { figures.count(connection.role, -1) }
        uv_poll_stop(connection.poll)
        let handle = UnsafeMutableRawPointer(connection.poll).assumingMemoryBound(to: uv_handle_t.self)
        uv_close(handle) { handle in
            Unmanaged<Connection>.fromOpaque(handle.unsafelyUnwrapped.pointee.data.unsafelyUnwrapped).release()
        }
    }
}
