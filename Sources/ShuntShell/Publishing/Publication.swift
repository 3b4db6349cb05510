import ShuntClient
import ShuntCore

/// What `shunt pub` does: sends one payload once or often, or each line of its input.
public struct Publication: Sendable {
    public enum Source: Sendable {
        case payload([UInt8], count: Int)
        case lines(FileDescriptorStream)
    }

    public var topic: String
    public var key: String?
    public var source: Source
    public var format: FormatChoice
    /// Messages per second; nil as fast as the worker takes them.
    public var rate: Double?
    /// How long answers are waited for when the task has been cancelled.
    public var grace = Duration.milliseconds(300)

    public init(topic: String, key: String? = nil, source: Source, format: FormatChoice = .automatic, rate: Double? = nil) {
        self.topic = topic
        self.key = key
        self.source = source
        self.format = format
        self.rate = rate
    }

    /// Sends all, and waits for the answers. A task that is cancelled sends nothing more, and closes the producer.
    /// - Throws: what is wrong with the input; what has been sent by then has been answered.
    public func run(on producer: Producer, status: StatusLines? = nil) async throws(ShuntError) -> PublishReport {
        let result = await withTaskCancellationHandler {
            await publish(on: producer, status)
        } onCancel: {
            Task {
                try? await Task.sleep(for: grace)
                producer.close()
            }
        }
        return try result.get()
    }

    private func publish(on producer: Producer, _ status: StatusLines?) async -> Result<PublishReport, ShuntError> {
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
        if let fault { return .failure(fault) }
        return .success(PublishReport(totals: totals, elapsed: elapsed, reasons: tally.reasons, others: tally.others))
    }

    /// Ends early where to go on is in vain, or not wanted any more; what was to be sent, and what was read, is counted.
    private func send(to pipeline: SendPipeline, _ tally: FailureTally) async throws(ShuntError) {
        var pacer = rate.map { Pacer(rate: $0) }
        func isOver() -> Bool { tally.isCutOff || Task.isCancelled }
        func skip(_ count: Int) {
            pipeline.skip(count)
            tally.noteSkipped(count)
        }
        switch source {
        case .payload(let payload, let count):
            let message = message(payload)
            for sent in 0..<count {
                await pace(&pacer)
                guard !isOver() else { return skip(count - sent) }
                await pipeline.send(message)
            }
        case .lines(let input):
            var splitter = LineSplitter(limit: pipeline.payloadLimit(topic: topic, key: key))
            while !isOver(), let chunk = try await input.read() {
                let lines = try splitter.lines(in: chunk)
                for (sent, line) in lines.enumerated() {
                    await pace(&pacer)
                    guard !isOver() else {
                        skip(lines.count - sent)
                        break
                    }
                    await pipeline.send(message(line))
                }
            }
            guard let line = try splitter.last() else { return }
            if isOver() { skip(1) } else { await pipeline.send(message(line)) }
        }
    }

    private func message(_ payload: [UInt8]) -> OutgoingMessage {
        OutgoingMessage(topic: topic, payload: payload, format: format.format(of: payload), key: key)
    }

    private func pace(_ pacer: inout Pacer?) async {
        guard pacer != nil, let wait = pacer?.wait(at: Self.start.duration(to: .now)), wait > .zero else { return }
        try? await Task.sleep(for: wait)
    }

    private static let start = ContinuousClock.now

    /// Only what takes longer than a second shows progress.
    private func showProgress(of pipeline: SendPipeline, on status: StatusLines?) async {
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
