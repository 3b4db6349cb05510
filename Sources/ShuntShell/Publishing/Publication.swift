import ShuntClient
import ShuntCore

/// The work of `shunt pub`: sends one payload once or often, or each line of its input.
public struct Publication: Sendable {
    public enum Source: Sendable {
        case payload([UInt8], count: Int)
        case lines(FileDescriptorStream)
    }

    public var topic: String
    public var key: String?
    public var source: Source
    public var format: FormatChoice
    /// Messages per second; nil: as fast as the worker takes them.
    public var rate: Double?
    /// How long a message that has no subscriber is sent again, before the next message is sent; nil: it is not sent again.
    public var retry: Duration?
    /// What MQTT carries beside.
    public var mqtt: MQTTProperties
    /// How long to wait for answers after the task was cancelled.
    public var grace = Duration.milliseconds(300)

    public init(
        topic: String, key: String? = nil, source: Source, format: FormatChoice = .automatic, rate: Double? = nil,
        retry: Duration? = nil, mqtt: MQTTProperties = .none
    ) {
        self.topic = topic
        self.key = key
        self.source = source
        self.format = format
        self.rate = rate
        self.retry = retry
        self.mqtt = mqtt
    }

    /// Sends all, and waits for the answers. A task that is cancelled sends nothing more, and closes the producer.
    /// - Returns: the outcome, with the input's error if that ended it.
    public func run(on producer: Producer, status: StatusLines? = nil) async -> PublishReport {
        await withTaskCancellationHandler {
            await publish(on: producer, status)
        } onCancel: {
            Task {
                try? await Task.sleep(for: grace)
                producer.close()
            }
        }
    }

    private func publish(on producer: Producer, _ status: StatusLines?) async -> PublishReport {
        let tally = FailureTally()
        let pipeline = producer.pipeline { _, failure in tally.note(failure) }
        let start = ContinuousClock.now
        let progress = Task { await showProgress(of: pipeline, on: status) }
        defer { progress.cancel() }
        var fault: ShuntError?
        do throws(ShuntError) { try await send(to: pipeline, tally) } catch { fault = error }
        let totals = await pipeline.finish()
        let elapsed = ContinuousClock.now - start
        progress.cancel()
        await progress.value
        var report = PublishReport(totals: totals, elapsed: elapsed, reasons: tally.reasons, others: tally.others, fault: fault)
        report.hasBadMessage = tally.hasBadMessage
        return report
    }

    /// Ends early if no server can be reached or the task is cancelled; messages that were not sent are counted.
    private func send(to pipeline: SendPipeline, _ tally: FailureTally) async throws(ShuntError) {
        var pacer = rate.map { Pacer(rate: $0) }
        func isOver() -> Bool { tally.isCutOff || Task.isCancelled }
        func skip(_ count: Int) {
            pipeline.skip(count)
            tally.noteSkipped(count)
        }
        switch source {
        case .payload(let payload, let count):
            try check(payload, at: nil)
            let message = message(payload)
            for sent in 0..<count {
                await pace(&pacer)
                guard !isOver() else { return skip(count - sent) }
                await send(message, to: pipeline)
            }
        case .lines(let input):
            var splitter = LineSplitter(limit: pipeline.payloadLimit(topic: topic, key: key), keepsCarriageReturn: true)
            var number = 0
            while !isOver(), let chunk = try await input.read() {
                let lines = try splitter.lines(in: chunk)
                for (sent, line) in lines.enumerated() {
                    await pace(&pacer)
                    guard !isOver() else {
                        skip(lines.count - sent)
                        break
                    }
                    number += 1
                    try check(line, at: number)
                    await send(message(line), to: pipeline)
                }
            }
            guard let line = try splitter.last() else { return }
            if isOver() { return skip(1) }
            try check(line, at: number + 1)
            await send(message(line), to: pipeline)
        }
    }

    private func send(_ message: OutgoingMessage, to pipeline: SendPipeline) async {
        if let retry { await pipeline.send(message, retryingFor: retry) } else { await pipeline.send(message) }
    }

    /// A payload that is declared as JSON must be JSON.
    private func check(_ payload: [UInt8], at number: Int?) throws(ShuntError) {
        guard format == .json, let offset = JSONCheck.firstFault(in: payload) else { return }
        throw ShuntError(
            .payloadInvalid, "this is not JSON, from byte \(offset + 1) on",
            at: number.map { "message \($0)" } ?? "the payload", help: "leave --json out, or correct it")
    }

    private func message(_ payload: [UInt8]) -> OutgoingMessage {
        OutgoingMessage(topic: topic, payload: payload, format: format.format(of: payload), key: key, mqtt: mqtt)
    }

    private func pace(_ pacer: inout Pacer?) async {
        guard pacer != nil, let wait = pacer?.wait(at: Self.start.duration(to: .now)), wait > .zero else { return }
        try? await Task.sleep(for: wait)
    }

    private static let start = ContinuousClock.now

    /// Only runs that take longer than a second show progress.
    private func showProgress(of pipeline: SendPipeline, on status: StatusLines?) async {
        // While a user types lines, no progress line overwrites them.
        if case .lines(let input) = source, input.isTerminal { return }
        guard let status, status.isTerminal else { return }
        try? await Task.sleep(for: .seconds(1))
        while !Task.isCancelled {
            let totals = pipeline.totals
            status.progress("\(totals.submitted) sent, \(totals.acknowledged) acknowledged, \(totals.refused) refused")
            try? await Task.sleep(for: .milliseconds(250))
        }
        status.clearProgress()
    }
}
