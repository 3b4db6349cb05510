import CLinux
import Glibc
import ShuntCore

/// Finds connections whose peer's machine is gone, which no packet tells.
///
/// A silent connection is asked by TCP keep-alive. One to which something was written is not, so the loop looks for acknowledgements itself.
/// `TCP_USER_TIMEOUT` would do that too, but it also ends a connection whose client is there and only does not read (RFC 1122 §4.2.2.17):
/// what becomes of slow consumers is for `worker.slow_consumer` to say.
extension EventLoop {
    /// Unanswered retransmissions or probes in a row; a single one may just have been sent.
    private static let unanswered = 2

    func noteWritten(_ connection: Connection) {
        connection.unacknowledgedSince = seconds
        connection.acknowledgementsReadAt = seconds
    }

    /// Closes the connection if what was written to it has not been acknowledged for too long.
    func checkAcknowledgements(_ connection: Connection) {
        let (seconds, patience) = (seconds, UInt32(clamping: limits.peerSeconds))
        guard patience > 0, seconds - connection.acknowledgementsReadAt >= max(1, patience / 4) else { return }
        connection.acknowledgementsReadAt = seconds
        var found = linux_acknowledgements()
        guard linux_read_acknowledgements(connection.descriptor, &found) == 0 else { return }
        guard found.waits else {
            connection.unacknowledgedSince = 0
            return
        }
        guard found.unanswered >= Self.unanswered, found.silent_milliseconds / 1000 >= patience,
            seconds - connection.unacknowledgedSince >= patience
        else { return }
        fail(connection, ETIMEDOUT)
    }

    /// What the system says has gone wrong with a socket; nil where it says nothing.
    func socketError(of connection: Connection) -> Int32? {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(connection.descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0, error != 0 else { return nil }
        return error
    }

    /// Closes a connection that the system says has failed.
    func fail(_ connection: Connection, _ error: Int32) {
        // What it sent before it went is taken first; the error comes again.
        if connection.state == .open, connection.pauses.contains(.turn), connection.partial != nil { return }
        figures.errors += 1
        switch error {
        case ETIMEDOUT, EHOSTUNREACH, ENETUNREACH:
            figures.vanished += 1
            close(connection, .byUs(why: "its machine does not answer any longer (limits.peer_timeout)"))
        default: close(connection, .failed(why: systemMessage(error)))
        }
    }
}
