import ExchangeCodec
import NIOCore
import NIOPosix
import ShuntCore
import ShuntTLSNIO

/// A connection to a master, a worker or an MQTT broker, from outside its event loop.
struct ServerConnection: Sendable {
    let address: HostPort
    let channel: any Channel
    /// nil: plain bytes.
    private var security: NIOLoopBound<TLSHandler>?

    /// Every client of the process shares one event loop thread. It lives as long as the process.
    static let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// - Parameters:
    ///   - tls: nil: plain bytes.
    ///   - applicationProtocols: what is offered by ALPN.
    ///   - setUp: adds the handlers that read, on the connection's event loop.
    /// - Throws: `address.unavailable`, `tls.handshake`.
    static func open(
        to address: HostPort, options: ConnectionOptions, tls: TLSClient?, applicationProtocols: [String] = [],
        setUp: @escaping @Sendable (ServerConnection) throws -> Void
    ) async throws(ShuntError) -> ServerConnection {
        let connection = try await connect(to: address, options, tls, applicationProtocols)
        try await connection.perform { try setUp(connection) }
        return connection
    }

    /// A connection of the exchange protocol to a master: in plain bytes, and without credentials, which masters take from nobody.
    /// - Parameter receiver: makes the connection's receiver, on its event loop.
    /// - Throws: `address.unavailable`.
    static func open(
        toMaster address: HostPort, options: ConnectionOptions, receiver: @escaping @Sendable (ServerConnection) -> any FrameReceiver
    ) async throws(ShuntError) -> ServerConnection {
        try await open(to: address, options: options, tls: nil) { try $0.addFrames(options, receiver) }
    }

    /// A connection of the exchange protocol to a worker that has taken the client's credentials.
    /// - Parameter receiver: makes the connection's receiver, on its event loop.
    /// - Throws: `address.unavailable`, `tls.handshake`; `access.credentials` or another error of a worker that refuses them.
    static func open(
        toWorker address: HostPort, options: ConnectionOptions, keepsAlive: Bool = false,
        receiver: @escaping @Sendable (ServerConnection) -> any FrameReceiver
    ) async throws(ShuntError) -> ServerConnection {
        let connection = try await connect(to: address, options, options.tls, [])
        do throws(ShuntError) {
            if let token = options.token { try await connection.show(token, options) }
            try await connection.perform {
                if keepsAlive { try connection.channel.pipeline.syncOperations.addHandler(KeepAliveHandler(options: options, clock: .system)) }
                try connection.addFrames(options, receiver)
            }
        } catch {
            connection.close()
            throw error
        }
        return connection
    }

    private static func connect(
        to address: HostPort, _ options: ConnectionOptions, _ tls: TLSClient?, _ protocols: [String]
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
            var connection = ServerConnection(address: address, channel: channel)
            if let tls { try await connection.secure(tls, protocols, within: options.connectTimeout) }
            return connection
        } catch {
            throw connectionError(error, to: address)
        }
    }

    private init(address: HostPort, channel: any Channel) {
        self.address = address
        self.channel = channel
    }

    /// Puts TLS between the socket and the handlers to come.
    private mutating func secure(_ tls: TLSClient, _ protocols: [String], within timeout: Duration) async throws(ShuntError) {
        let opened = channel.eventLoop.makePromise(of: Void.self)
        let late = ShuntError(
            .tlsHandshake, "the TLS handshake was not answered in time", at: address.description, help: "is that a port that speaks TLS?")
        let overdue = channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) { opened.fail(late) }
        defer { overdue.cancel() }
        do {
            security = try await channel.eventLoop.submit { [address, channel] in
                let handler = try tls.handler(for: address, protocols: protocols, opened: opened)
                try channel.pipeline.syncOperations.addHandler(handler)
                return NIOLoopBound(handler, eventLoop: channel.eventLoop)
            }.get()
        } catch {
            opened.fail(error)
        }
        do {
            try await opened.futureResult.get()
        } catch {
            close()
            throw connectionError(error, to: address)
        }
    }

    /// Shows the worker who the client is, by a REGISTER of nobody's device, and waits for its answer.
    private func show(_ token: String, _ options: ConnectionOptions) async throws(ShuntError) {
        var ids = RequestIDs.fresh()
        let id = ids.take()
        let reply = channel.eventLoop.makePromise(of: Frame.self)
        do throws(ShuntError) {
            try await perform { try addFrames(options) { _ in SingleReply(to: id, at: address, reply: reply) } }
        } catch {
            reply.fail(error)
            throw error
        }
        let answer = try await request(.introduction(id: id, token: token), reply: reply, timeout: options.replyTimeout)
        if answer.isError { throw Refusal(answer).error(at: address.description) }
        try await perform {
            // The next frames are another's.
            let pipeline = channel.pipeline.syncOperations
            pipeline.removeHandler(context: try pipeline.context(handlerType: FrameHandler.self), promise: nil)
        }
    }

    private func addFrames(_ options: ConnectionOptions, _ receiver: (ServerConnection) -> any FrameReceiver) throws {
        try channel.pipeline.syncOperations.addHandler(
            FrameHandler(receiver: receiver(self), frameLimit: options.frameLimit, peer: address))
    }

    /// Does this on the event loop, while the connection is there.
    private func perform(_ body: @escaping @Sendable () throws -> Void) async throws(ShuntError) {
        do {
            try await channel.eventLoop.submit {
                // A server may judge the client's certificate once the handshake is done.
                guard channel.isActive else { throw security?.value.failure ?? ShuntError.hungUp(address) }
                try body()
            }.get()
        } catch {
            throw connectionError(error, to: address)
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
