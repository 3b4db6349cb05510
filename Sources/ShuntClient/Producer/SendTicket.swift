import ShuntCore

/// The call that waits for a message's outcome.
enum SendTicket: Sendable {
    /// A call that waits for the acknowledgement; nil is success.
    case caller(CheckedContinuation<SendFailure?, Never>)
    /// A message of a pipeline, which waits for room if it had to queue.
    case pipelined(SendPipeline, number: Int, room: CheckedContinuation<Void, Never>?)

    /// The message is on its way.
    func admitted() {
        if case .pipelined(_, _, let room?) = self { room.resume() }
    }

    /// Called once for each message. A message that never was on its way is completed without `admitted`.
    func complete(_ failure: SendFailure?) {
        switch self {
        case .caller(let continuation): continuation.resume(returning: failure)
        case .pipelined(let pipeline, let number, let room):
            pipeline.completed(number, failure)
            if case .notSent? = failure?.outcome { room?.resume() }
        }
    }
}

/// A worker's answer to one message.
struct SendAnswer: Sendable {
    var id: Int64
    /// nil if the worker has acknowledged it.
    var refusal: Refusal?
}
