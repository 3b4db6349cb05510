import Logging
import NIOCore

/// Has a listener wait where the system can't give it a connection's descriptor.
///
/// A listener that stayed registered would be asked again and again, and its thread would spin for as long as a client waits.
final class AcceptPause: ChannelInboundHandler, Sendable {
    typealias InboundIn = any Channel

    private let logger: Logger
    private static let pause = TimeAmount.seconds(1)

    init(_ logger: Logger) { self.logger = logger }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else { return context.fireErrorCaught(error) }
        logger.warning("HTTP clients wait: the system gives no connection", metadata: ["why": "\(error)"])
        let channel = context.channel
        channel.setOption(.autoRead, value: false).whenComplete { _ in
            _ = channel.eventLoop.scheduleTask(in: Self.pause) { channel.setOption(.autoRead, value: true) }
        }
        context.fireErrorCaught(error)
    }
}

/// Accepts no more connections than may be open; others wait in the system's queue.
final class AcceptLimit: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    private let limit: Int
    private var count = 0
    private var isWaiting = false

    init(_ limit: Int) { self.limit = limit }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        count += 1
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        unwrapInboundIn(data).closeFuture.hop(to: context.eventLoop).whenComplete { _ in
            let (handler, context) = bound.value
            handler.count -= 1
            guard handler.isWaiting, handler.count < handler.limit else { return }
            handler.isWaiting = false
            context.read()
        }
        context.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        guard count < limit else { return isWaiting = true }
        context.read()
    }
}
