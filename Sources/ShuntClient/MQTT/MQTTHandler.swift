import MQTTCodec
import NIOCore
import ShuntCore

/// Passes what one connection reads on to its client, which cuts it into packets. Reads only when the client wants more, so that a slow
/// application slows the broker down by TCP's own means.
final class MQTTHandler<Message: Delivered>: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private let client: MQTTClient<Message>
    private let peer: HostPort
    private let number: Int
    private let interval: TimeAmount
    /// The beginning of a packet that is not whole yet. Grows with the bytes that arrive, up to the packet limit.
    private var partial = ByteBuffer()
    private var failure: ShuntError?
    private var isPaused = false
    private var timer: Scheduled<Void>?

    init(client: MQTTClient<Message>, connection: ServerConnection, number: Int, checkEvery interval: Duration) {
        self.client = client
        peer = connection.address
        self.number = number
        self.interval = TimeAmount(interval)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        scheduleCheck(context.eventLoop)
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var arrived = unwrapInboundIn(data)
        if partial.readableBytes > 0 {
            partial.writeBuffer(&arrived)
            swap(&partial, &arrived)
        }
        arrived.readWithUnsafeReadableBytes { bytes in
            let (consumed, readsOn) = client.arrived(bytes, number: number)
            if !readsOn { isPaused = true }
            return consumed
        }
        // A copy, so that a few bytes do not keep a whole read's memory.
        arrived.discardReadBytes()
        partial = arrived.readableBytes > 0 ? arrived : ByteBuffer()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isPaused { client.paused(true, number: number) } else { context.read() }
    }

    func read(context: ChannelHandlerContext) {
        if isPaused {
            isPaused = false
            client.paused(false, number: number)
        }
        context.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = failure ?? connectionError(error, to: peer)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        client.closed(failure ?? .hungUp(peer), number: number)
        context.fireChannelInactive()
    }

    private func scheduleCheck(_ loop: any EventLoop) {
        timer = loop.assumeIsolated().scheduleTask(in: interval) {
            self.client.check(number: self.number)
            self.scheduleCheck(loop)
        }
    }
}
