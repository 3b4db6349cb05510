import ExchangeCodec
import NIOCore
import ShuntCore

/// Waits for the acknowledgement of one request; ignores other frames (§13.4).
final class SingleReply: FrameReceiver {
    private let id: Int64
    private let reply: EventLoopPromise<Frame>
    private let address: HostPort

    init(to id: Int64, at address: HostPort, reply: EventLoopPromise<Frame>) {
        self.id = id
        self.address = address
        self.reply = reply
    }

    func received(_ view: FrameView, in frame: UnsafeRawPointer) {
        guard view.type == .acknowledgement, view.id == id else { return }
        reply.succeed(Frame(view, in: frame))
    }

    func readCompleted() -> Bool { true }

    func closed(_ error: ShuntError?) {
        reply.fail(error ?? .hungUp(address))
    }
}

extension ServerConnection {
    /// Sends a request, and waits for the reply that the connection's receiver completes the promise with.
    /// - Throws: `connection.lost` if the connection goes or no answer comes in time.
    func request(_ frame: Frame, reply: EventLoopPromise<Frame>, timeout: Duration) async throws(ShuntError) -> Frame {
        let overdue = channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) { [address] in
            reply.fail(ShuntError(.connectionLost, "no answer in time", at: address.description))
        }
        defer { overdue.cancel() }
        write(ByteBuffer(bytes: frame.encoded()))
        do {
            return try await reply.futureResult.get()
        } catch {
            throw connectionError(error, to: address)
        }
    }
}
