import NIOCore
import ShuntCore
import Synchronization

/// The connections of an endpoint: closes the one that is in the way of a new one, and all of them when the endpoint stops.
final class OpenConnections: Sendable {
    private struct State {
        var table: ConnectionTable<ObjectIdentifier>
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isStopping = false
    }

    private let state: Mutex<State>

    init(limit: Int) { state = Mutex(State(table: ConnectionTable(limit: limit))) }

    func opened(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        let victim = state.withLock { state -> (any Channel)? in
            guard !state.isStopping else { return channel }
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

    /// An answer goes on until the connection is closed: from now on it makes room for no other.
    func streams(_ channel: any Channel) { state.withLock { $0.table.closed(ObjectIdentifier(channel)) } }

    /// Closes each as soon as no answer is under way, and what is left then.
    func stop(within timeout: TimeAmount, on loop: any EventLoop) async {
        let channels = state.withLock { state in
            state.isStopping = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
        let late = loop.scheduleTask(in: timeout) { for channel in channels { channel.close(promise: nil) } }
        try? await EventLoopFuture.andAllComplete(channels.map(\.closeFuture), on: loop).get()
        late.cancel()
    }
}
