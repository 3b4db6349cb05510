import ExchangeCodec
import NIOCore

/// Sends PING on an idle connection and closes a dead one, as `KeepAlive` decides.
final class KeepAliveHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var keepAlive: KeepAlive
    private let clock: ClientClock
    /// While the application is slow nothing is read, and silence says nothing about the server.
    private var isReading = false
    private var timer: Scheduled<Void>?

    init(options: ConnectionOptions, clock: ClientClock) {
        self.clock = clock
        keepAlive = KeepAlive(idle: options.pingAfter, patience: options.pingTimeout, now: clock.now)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        check(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        keepAlive.heard(at: clock.now)
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if !isReading {
            isReading = true
            keepAlive.heard(at: clock.now)
        }
        context.read()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    private func check(_ context: ChannelHandlerContext) {
        if !isReading { keepAlive.heard(at: clock.now) }
        switch keepAlive.check(at: clock.now) {
        case .check(let delay): schedule(context, after: delay)
        case .ping(let delay):
            var ping = context.channel.allocator.buffer(capacity: FrameLayout.headerSize)
            // Nobody waits for this id; anything that arrives is an answer.
            ping.writeFrame(FrameFields(.ping, id: clock.milliseconds))
            context.writeAndFlush(wrapOutboundOut(ping), promise: nil)
            schedule(context, after: delay)
        case .close:
            context.fireErrorCaught(KeepAliveTimeout())
            context.close(promise: nil)
        }
    }

    private func schedule(_ context: ChannelHandlerContext, after delay: Duration) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { self.check(context) }
    }
}

struct KeepAliveTimeout: Error {}
