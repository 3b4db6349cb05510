import Logging
import NIOCore

/// Has a listener wait where the system can't give it a connection's descriptor.
///
/// SwiftNIO's own `AcceptBackoffHandler` delays the next read, but leaves the read that failed pending: the listener stays registered, and
/// its thread spins for as long as a client waits.
final class AcceptPause: ChannelDuplexHandler, Sendable {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    private let logger: Logger
    private static let pause = TimeAmount.seconds(1)

    init(_ logger: Logger) { self.logger = logger }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else { return context.fireErrorCaught(error) }
        logger.warning("HTTP clients wait: the system gives no connection", metadata: ["why": "\(error)"])
        let channel = context.channel
        // Only what was on can be switched off.
        channel.setOption(.autoRead, value: true).flatMap { channel.setOption(.autoRead, value: false) }.whenComplete { _ in
            _ = channel.eventLoop.scheduleTask(in: Self.pause) { channel.read() }
        }
        context.fireErrorCaught(error)
    }
}
