import ExchangeCodec
import NIOCore
import ShuntCore

/// Collects one read's acknowledgements for a producer, and finds out whether the worker still answers.
final class ProducerReceiver: FrameReceiver {
    private let producer: ExchangeProducer
    private let connection: ServerConnection
    private var answers: [SendAnswer] = []
    private var watch: AnswerWatch
    private var timer: Scheduled<Void>?
    private var isSilent = false

    init(producer: ExchangeProducer, connection: ServerConnection) {
        self.producer = producer
        self.connection = connection
        let timeout = producer.configuration.acknowledgementTimeout
        watch = AnswerWatch(timeout: timeout)
        scheduleCheck()
    }

    /// Frames other than acknowledgements are not for a producer; surplus ones are harmless (§13.4).
    func received(_ view: FrameView, in frame: UnsafeRawPointer) {
        guard view.type == .acknowledgement else { return }
        answers.append(SendAnswer(id: view.id, refusal: view.isError ? Refusal(Frame(view, in: frame)) : nil))
    }

    func readCompleted() -> Bool {
        guard !answers.isEmpty else { return true }
        producer.answered(answers, on: connection)
        answers.removeAll(keepingCapacity: true)
        return true
    }

    func closed(_ error: ShuntError?) {
        timer?.cancel()
        _ = readCompleted()
        let silence = ShuntError(.connectionLost, "the worker answers nothing", at: connection.address.description)
        producer.lost(connection, isSilent ? silence : error ?? .hungUp(connection.address))
    }

    private func scheduleCheck() {
        let interval = TimeAmount(max(watch.timeout / 4, .milliseconds(10)))
        timer = connection.channel.eventLoop.assumeIsolated().scheduleTask(in: interval) { self.checkForSilence() }
    }

    private func checkForSilence() {
        guard watch.isSilent(oldest: producer.oldestUnanswered(), at: ClientClock.system.now) else { return scheduleCheck() }
        isSilent = true
        connection.close()
    }
}
