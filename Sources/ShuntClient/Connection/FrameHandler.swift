import ExchangeCodec
import NIOCore
import ShuntCore

/// Receives the frames of one connection, on the connection's event loop.
protocol FrameReceiver: AnyObject {
    /// - Parameter frame: the frame's first byte, valid during the call.
    func received(_ view: FrameView, in frame: UnsafeRawPointer)
    /// All frames that one read brought have been passed on.
    /// - Returns: whether to read on. If not, nothing arrives until a call of `ServerConnection.resumeReading`.
    func readCompleted() -> Bool
    /// The connection is gone. The reason is nil if it was just closed. Called once, last.
    func closed(_ error: ShuntError?)
}

/// Cuts what arrives into frames. Reads only when the receiver wants more, so that a slow application slows the
/// sender down by TCP's own means.
final class FrameHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let receiver: any FrameReceiver
    private let frameLimit: Int
    private let peer: HostPort
    /// The beginning of a frame that is not whole yet. Grows with the bytes that arrive, up to the frame limit.
    private var partial = ByteBuffer()
    private var failure: ShuntError?
    private var hasFrames = false

    init(receiver: any FrameReceiver, frameLimit: Int, peer: HostPort) {
        self.receiver = receiver
        self.frameLimit = frameLimit
        self.peer = peer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        var arrived = unwrapInboundIn(data)
        if partial.readableBytes > 0 {
            partial.writeBuffer(&arrived)
            swap(&partial, &arrived)
        }
        let isFrame = hasFrames || arrived.readableBytesView.first == FrameLayout.magic
        let fault = passFrames(of: &arrived)
        if arrived.readableBytes > 0 {
            // A copy, so that a few bytes do not keep a whole read's memory.
            arrived.discardReadBytes()
            partial = arrived
        } else {
            partial = ByteBuffer()
        }
        if let fault {
            failure = isFrame ? fault.error(at: peer.description) : .noExchangePort(peer)
            context.close(promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if receiver.readCompleted() { context.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = failure ?? connectionError(error, to: peer)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        receiver.closed(failure)
        context.fireChannelInactive()
    }

    private func passFrames(of buffer: inout ByteBuffer) -> FrameFault? {
        var fault: FrameFault?
        buffer.readWithUnsafeReadableBytes { bytes in
            var offset = 0
            loop: while offset < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                switch FrameDecoder.decode(rest, limit: frameLimit) {
                case .frame(let view):
                    hasFrames = true
                    if let frame = rest.baseAddress { receiver.received(view, in: frame) }
                    offset += Int(view.size)
                case .needMore: break loop
                case .malformed(let found):
                    fault = found
                    break loop
                }
            }
            return offset
        }
        return fault
    }
}
