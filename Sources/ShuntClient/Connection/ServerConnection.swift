import NIOCore
import NIOPosix
import ShuntCore

/// A connection to a master, a worker or an MQTT broker, from outside its event loop.
struct ServerConnection: Sendable {
    let address: HostPort
    let channel: any Channel

    /// Every client of the process shares one event loop thread. It lives as long as the process.
    static let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// - Parameter setUp: adds the handlers that read, on the connection's event loop.
    /// - Throws: `address.unavailable`.
    static func open(
        to address: HostPort, options: ConnectionOptions, setUp: @escaping @Sendable (ServerConnection) throws -> Void
    ) async throws(ShuntError) -> ServerConnection {
        let bootstrap = ClientBootstrap(group: loops)
            .connectTimeout(TimeAmount(options.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.autoRead, value: false)
        do {
            // Reading begins with the handlers, so nothing is lost before they are there; and only one of the connections
            // that a host name with several addresses leads to gets them.
            let channel = try await bootstrap.connect(host: address.host, port: address.port).get()
            let connection = ServerConnection(address: address, channel: channel)
            try await channel.eventLoop.submit {
                guard channel.isActive else { throw ShuntError.hungUp(address) }
                try setUp(connection)
            }.get()
            return connection
        } catch {
            throw connectionError(error, to: address)
        }
    }

    /// A connection of the exchange protocol.
    /// - Parameter receiver: makes the connection's receiver, on its event loop.
    /// - Throws: `address.unavailable`.
    static func open(
        to address: HostPort, options: ConnectionOptions, keepsAlive: Bool = false,
        receiver: @escaping @Sendable (ServerConnection) -> any FrameReceiver
    ) async throws(ShuntError) -> ServerConnection {
        try await open(to: address, options: options) { connection in
            let pipeline = connection.channel.pipeline.syncOperations
            if keepsAlive { try pipeline.addHandler(KeepAliveHandler(options: options, clock: .system)) }
            try pipeline.addHandler(
                FrameHandler(receiver: receiver(connection), frameLimit: options.frameLimit, peer: address))
        }
    }

    func write(_ bytes: ByteBuffer) {
        channel.writeAndFlush(bytes, promise: nil)
    }

    func resumeReading() {
        channel.read()
    }

    func close() {
        channel.close(promise: nil)
    }

    /// Returns when the connection is gone.
    func closed() async {
        // The future of a closed channel never fails.
        try? await channel.closeFuture.get()
    }
}

extension TimeAmount {
    init(_ duration: Duration) {
        let nanoseconds = duration / .nanoseconds(1)
        self = .nanoseconds(nanoseconds >= 0x1p62 ? 1 << 62 : Int64(max(0, nanoseconds)))
    }
}
