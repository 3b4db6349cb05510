import NIOCore
import NIOHTTP1

/// Closes a connection that is silent for too long while it is the client's turn, and, once the endpoint stops, as soon as no answer is
/// under way.
final class ConnectionCloser: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let idleTimeout: TimeAmount
    private var lastHeard = NIODeadline.now()
    private var check: Scheduled<Void>?
    /// Requests whose answer has not gone out whole.
    private var unanswered = 0
    /// In the midst of a request.
    private var isReading = false
    private var isStopping = false

    init(idleTimeout: TimeAmount) { self.idleTimeout = idleTimeout }

    func handlerAdded(context: ChannelHandlerContext) {
        lastHeard = .now()
        schedule(context, at: lastHeard + idleTimeout)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastHeard = .now()
        switch unwrapInboundIn(data) {
        case .head:
            isReading = true
            unanswered += 1
        case .end: isReading = false
        case .body: break
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(data, promise: promise)
        guard case .end = unwrapOutboundIn(data) else { return }
        lastHeard = .now()
        // A request that can't be read has an answer too.
        unanswered = max(0, unanswered - 1)
        guard isStopping, unanswered == 0 else { return }
        context.flush()
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
        isStopping = true
        if unanswered == 0 { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        check?.cancel()
        context.fireChannelInactive()
    }

    private func schedule(_ context: ChannelHandlerContext, at time: NIODeadline) {
        check = context.eventLoop.assumeIsolated().scheduleTask(deadline: time) { self.look(context) }
    }

    private func look(_ context: ChannelHandlerContext) {
        let isServersTurn = unanswered > 0 && !isReading
        let end = isServersTurn ? .now() + idleTimeout : lastHeard + idleTimeout
        if end > .now() { schedule(context, at: end) } else { context.close(promise: nil) }
    }
}
