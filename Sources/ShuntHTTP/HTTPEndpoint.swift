import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
public import ShuntCore

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
        /// How long the head of a connection's first request may take.
        public var headTimeout: Duration = .seconds(5)
        /// How long a connection may stay silent, in the midst of a request too.
        public var idleTimeout: Duration = .seconds(30)
        /// How long requests that are under way may take when the server stops.
        public var stopTimeout: Duration = .seconds(6)

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    private static let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    public let host: String
    /// The real one, also where 0 was asked for.
    public let port: Int
    private let services: ServiceGroup
    private let running: Task<Void, Never>

    private init(host: String, port: Int, services: ServiceGroup, running: Task<Void, Never>) {
        self.host = host
        self.port = port
        self.services = services
        self.running = running
    }

    /// Returns once it listens. Throws `address.in_use`, or `address.unavailable` for any other reason not to listen.
    public static func start(
        _ routes: [HTTPRoute], _ configuration: Configuration, logger: Logger
    ) async throws(ShuntError) -> HTTPEndpoint {
        let (outcomes, outcome) = AsyncStream.makeStream(of: Result<Int, any Error>.self)
        // The libraries below tell of every start and stop; their warnings are enough.
        var libraryLogger = logger
        libraryLogger.logLevel = max(logger.logLevel, .warning)
        let connections = OpenConnections(limit: configuration.maximumConnections)
        let application = Application(
            responder: RouteTable(routes),
            server: HTTPServerBuilder { responder in
                GuardedHTTPChannel(
                    base: HTTP1Channel(responder: responder, configuration: .init(idleTimeout: TimeAmount(configuration.idleTimeout))),
                    connections: connections, hosts: configuration.hosts, headTimeout: TimeAmount(configuration.headTimeout))
            },
            configuration: .init(
                address: .hostname(configuration.host, port: configuration.port), backlog: 128,
                availableConnectionsDelegate: MaximumAvailableConnections(
                    2 * configuration.maximumConnections, logger: libraryLogger)
            ),
            onServerRunning: { channel in
                // Nothing is served by a listener without it that has no descriptor left: it is asked again and again.
                try? await channel.pipeline.addHandler(AcceptPause(logger), position: .first).get()
                outcome.yield(.success(channel.localAddress?.port ?? configuration.port))
            },
            eventLoopGroupProvider: .shared(eventLoops),
            logger: libraryLogger)
        var lifecycle = ServiceGroupConfiguration(services: [application], logger: libraryLogger)
        lifecycle.maximumGracefulShutdownDuration = configuration.stopTimeout
        let services = ServiceGroup(configuration: lifecycle)
        let running = Task {
            do {
                try await services.run()
            } catch {
                outcome.yield(.failure(error))
            }
            outcome.finish()
        }
        let address = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
        switch await outcomes.first(where: { _ in true }) {
        case .success(let port):
            return HTTPEndpoint(host: configuration.host, port: port, services: services, running: running)
        case .failure(let error):
            throw listenFailure(error, at: "\(address):\(configuration.port)")
        case nil:
            throw ShuntError(.addressUnavailable, "the server ended before it listened", at: "\(address):\(configuration.port)")
        }
    }

    /// Takes no new connections, lets requests under way end within the stop timeout, and returns when all has ended.
    public func stop() async {
        await services.triggerGracefulShutdown()
        await running.value
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
