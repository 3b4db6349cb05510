import Glibc
public import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
public import ShuntCore
public import ShuntTLSNIO

/// A listening HTTP/1.1 server.
///
/// All of a process's endpoints share one event loop thread; they are for operators and their tools, not for traffic.
public final class HTTPEndpoint: Sendable {
    public struct Configuration: Sendable {
        /// A name or an address.
        public var host: String
        /// 0: any free one.
        public var port: Int
        /// A connection beyond these has the one closed that waits longest for a request, or for the rest of one. Where all
        /// have requests that are being answered, as many again are let in, and more wait to be accepted.
        public var maximumConnections = 128
        /// The names by which it may be asked, besides IP addresses and localhost.
        public var hosts = AllowedHosts([], key: "the server's names")
        /// Who may ask; nil: everybody.
        public var authority: (any HTTPAuthority)?
        /// How long the head of a connection's first request may take.
        public var headTimeout: Duration = .seconds(5)
        /// How long a connection may stay silent, in the midst of a request too.
        public var idleTimeout: Duration = .seconds(30)
        /// How long requests that are under way may take when the server stops.
        public var stopTimeout: Duration = .seconds(6)
        /// nil: plain HTTP. A handshake has the time of a request's head.
        public var tls: TLSServer?

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    private static let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private static let executor = LoopExecutor(eventLoops.next())

    public let host: String
    /// The real one, also where 0 was asked for.
    public let port: Int
    /// What it serves.
    let routes: [HTTPRoute]
    private let listener: any Channel
    private let connections: OpenConnections
    private let stopTimeout: TimeAmount

    private init(_ routes: [HTTPRoute], _ listener: any Channel, _ configuration: Configuration, _ connections: OpenConnections) {
        self.routes = routes
        host = configuration.host
        port = listener.localAddress?.port ?? configuration.port
        self.listener = listener
        self.connections = connections
        stopTimeout = TimeAmount(configuration.stopTimeout)
    }

    /// Returns once it listens. Throws `address.in_use`, or `address.unavailable` for any other reason not to listen.
    public static func start(
        _ routes: [HTTPRoute], _ configuration: Configuration, logger: Logger
    ) async throws(ShuntError) -> HTTPEndpoint {
        let connections = OpenConnections(limit: configuration.maximumConnections)
        let table = RouteTable(routes, authority: configuration.authority, logger: logger)
        let bootstrap = ServerBootstrap(group: eventLoops)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // AcceptLimit is asked before each.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(AcceptPause(logger))
                    try pipeline.addHandler(AcceptLimit(2 * configuration.maximumConnections))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // What a client does not take for so long ends its connection, whether it has vanished or does not read.
            .childChannelOption(userTimeout, value: milliseconds(configuration.idleTimeout))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try serve(channel, table, configuration, connections) }
            }
        do {
            let listener = try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
            return HTTPEndpoint(routes, listener, configuration, connections)
        } catch {
            throw listenFailure(error, at: HostPort(configuration.host, configuration.port).description)
        }
    }

    private static func serve(
        _ channel: any Channel, _ routes: RouteTable, _ configuration: Configuration, _ connections: OpenConnections
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        if let tls = configuration.tls { try pipeline.addHandler(try tls.handler()) }
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderListSize = 80 << 10
        // Requests come one at a time: HTTPConnection asks for the next when one is answered.
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withErrorHandling: false, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: limits)
        try pipeline.addHandler(ConnectionCloser(idleTimeout: TimeAmount(configuration.idleTimeout)))
        try pipeline.addHandler(ConnectionGuard(connections, configuration.hosts, TimeAmount(configuration.headTimeout)))
        let connection = HTTPConnection(
            channel: try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true)),
            routes: routes)
        Task(executorPreference: executor) { await connection.serve() }
    }

    /// Takes no new connections, lets requests under way end within the stop timeout, and returns when all has ended.
    public func stop() async {
        try? await listener.close()
        await connections.stop(within: stopTimeout, on: listener.eventLoop)
    }

    private static let userTimeout = ChannelOptions.socket(SocketOptionLevel(IPPROTO_TCP), SocketOptionName(TCP_USER_TIMEOUT))

    private static func milliseconds(_ time: Duration) -> SocketOptionValue {
        SocketOptionValue(clamping: time.components.seconds * 1000 + time.components.attoseconds / 1_000_000_000_000_000)
    }

    private static func listenFailure(_ error: any Error, at address: String) -> ShuntError {
        guard let error = error as? IOError else {
            return ShuntError(
                .addressUnavailable, "cannot listen: \(error)", at: address, help: "give an address of this machine")
        }
        switch error.errnoCode {
        case EADDRINUSE:
            return ShuntError(
                .addressInUse, "another process listens there already", at: address,
                help: "stop it, or give another port; 0 takes any free one")
        case EACCES:
            return ShuntError(
                .addressUnavailable, "this user may not listen there", at: address, help: "give a port from 1024 on")
        default:
            return ShuntError(
                .addressUnavailable, "cannot listen: \(error.localizedReason)", at: address,
                help: "give an address of this machine")
        }
    }
}

extension IOError {
    fileprivate var localizedReason: String { String(cString: strerror(errnoCode)) }
}
