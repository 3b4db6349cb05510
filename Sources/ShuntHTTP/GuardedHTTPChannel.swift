import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import ShuntCore
import Synchronization

/// Hummingbird's HTTP/1.1, with a guard on each connection.
struct GuardedHTTPChannel: HTTPChannelHandler {
    typealias Value = HTTP1Channel.Value

    let base: HTTP1Channel
    let connections: OpenConnections
    let hosts: AllowedHosts
    let headTimeout: TimeAmount

    var responder: Responder { base.responder }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        base.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = value.channel.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(ConnectionGuard(connections, hosts, headTimeout), position: .after(decoder))
            return value
        }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// Closes the connection that is in the way of a new one.
final class OpenConnections: Sendable {
    private struct State {
        var table: ConnectionTable<ObjectIdentifier>
        var channels: [ObjectIdentifier: any Channel] = [:]
    }

    private let state: Mutex<State>

    init(limit: Int) { state = Mutex(State(table: ConnectionTable(limit: limit))) }

    func opened(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let victim = state.withLock { state -> (any Channel)? in
            state.channels[id] = channel
            return state.table.opened(id).flatMap { state.channels[$0] }
        }
        victim?.close(promise: nil)
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in
                state.table.closed(id)
                state.channels[id] = nil
            }
        }
    }

    func began(_ channel: any Channel) { state.withLock { $0.table.began(ObjectIdentifier(channel)) } }
    func answered(_ channel: any Channel) { state.withLock { $0.table.answered(ObjectIdentifier(channel)) } }
}
