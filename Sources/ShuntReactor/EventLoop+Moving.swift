import Glibc
import ShuntCore

/// A connection on its way from one loop to another: its socket, what stands between that and its frames, and the bytes that nobody has taken.
///
/// Belongs to one loop at a time, which makes it `Sendable`.
public final class MovingConnection: @unchecked Sendable {
    let descriptor: Int32
    let role: Connection.Role
    let layer: TransportLayer?
    /// Bytes for the handler.
    let unread: [UInt8]
    /// Bytes of the wire behind those, which the transport has not been given.
    let wire: [UInt8]

    init(descriptor: Int32, role: Connection.Role, layer: TransportLayer?, unread: [UInt8], wire: [UInt8]) {
        self.descriptor = descriptor
        self.role = role
        self.layer = layer
        self.unread = unread
        self.wire = wire
    }

    /// Where no loop takes it.
    public func close() { Glibc.close(descriptor) }
}

/// Connections that another loop of the process takes over, since what their clients ask for is at home there.
extension EventLoop {
    /// Gives up a connection. Its handler hears nothing more of it.
    /// - Parameter unread: what it has sent and nobody has taken.
    /// - Returns: nil where something still waits to be written to it, or it is no longer open.
    public func detach(_ connection: Connection, unread: Bytes) -> MovingConnection? {
        guard connection.state == .open, connection.out.isEmpty, connection.layer?.unsent.isEmpty ?? true else { return nil }
        let layer = connection.layer
        let moving = MovingConnection(
            descriptor: connection.descriptor, role: connection.role, layer: layer, unread: Array(unread), wire: layer.map { Array($0.untaken) } ?? []
        )
        layer?.untaken = Bytes(start: nil, count: 0)
        connection.state = .closed
        connection.layer = nil
        releasePartial(connection)
        leave(connection)
        return moving
    }

    /// Takes over a connection that another loop has given up: the handler is told that it is opened, and what was not taken comes again.
    /// The limit of connections was looked at when it was accepted.
    /// - Returns: nil, and it is closed, where that fails.
    public func adopt(_ moving: MovingConnection) -> Connection? {
        guard !isStopping else {
            moving.close()
            return nil
        }
        guard let connection = enter(descriptor: moving.descriptor, role: moving.role) else { return nil }
        connection.layer = moving.layer
        handler.opened(connection)
        if !moving.unread.isEmpty, connection.state == .open {
            moving.unread.withUnsafeBytes { begin($0, connection) }
        }
        // The transport may hold more itself, and have something to write.
        if let layer = connection.layer, connection.state == .open {
            moving.wire.withUnsafeBytes { passOn($0, connection, layer) }
        }
        return connection
    }
}
