import MQTTCodec
import ShuntCore

/// A load from beginning to end: connects, sends or holds, waits for what is under way, reports. One task calls ``advance()`` several times a
/// second; threads do the work.
public final class Load {
    public enum Phase: Equatable, Sendable {
        case connecting
        case holding
        case sending
        /// Until everything under way has come, or nothing comes any more.
        case draining
        case over
    }

    public let settings: LoadSettings
    public private(set) var phase = Phase.connecting
    private let control = LoadControl()
    private let loops: [LoadLoop]
    private var threads: [LoadThread] = []
    private var started = 0
    private var holdUntil = 0
    private var wasStopped = false
    /// What was under way when something last came, and when that was.
    private var lastProgress = (figures: 0, at: 0)
    private var drainUntil = 0
    /// Whether messages still came when the load did not wait any longer.
    private var isCutOff = false

    /// What has not come for so long after the last message will not come.
    private static let quiet = 3_000_000_000
    /// Descriptors besides those of connections.
    private static let reserve = 64

    /// Finds out whether the broker serves the load.
    /// - Throws: `limit.descriptors`, `address.unavailable`, `refused`, `usage`.
    public init(_ settings: LoadSettings) throws(ShuntError) {
        self.settings = settings
        let limit = DescriptorLimit.raise()
        guard settings.connections <= limit - Self.reserve else {
            throw ShuntError(
                .descriptorLimit,
                "\(Quantity.grouped(settings.connections)) connections; the system lets this process have \(Quantity.grouped(limit - Self.reserve))",
                help: "raise the hard limit of open files ('ulimit -Hn'), or share the load out to several processes")
        }
        let target = try BrokerProbe(settings: settings).find()
        loops = (0..<settings.threads).map { [control] in LoadLoop(settings, index: $0, target: target, control: control) }
    }

    public func start() {
        started = LoadClock.now()
        threads = loops.map { loop in LoadThread { loop.run() } }
    }

    /// Has the load end early, as well as it can.
    public func stop() {
        wasStopped = true
        let now = LoadClock.now()
        switch phase {
        case .connecting, .holding: phase = .over
        case .sending: control.end = min(control.end, max(now, control.start))
        case .draining, .over: break
        }
    }

    /// Moves on to the next phase where it is time.
    /// - Throws: `connection.lost` if clients of a scenario could not connect, or all have gone.
    public func advance() throws(ShuntError) {
        let (now, figures) = (LoadClock.now(), total)
        switch phase {
        case .connecting where figures.open + figures.failed + figures.lost == settings.connections: try connected(now, figures)
        case .holding where now >= holdUntil || figures.open == 0: phase = .over
        case .sending where loops.allSatisfy { $0.progress.current.hasSentAll } || figures.open == 0:
            // Without connections it ends early.
            if now < control.end { stop() }
            phase = .draining
            lastProgress = (0, now)
            drainUntil = now + Int(settings.drain * 1e9)
        case .draining: drain(now, figures)
        default: break
        }
    }

    private func connected(_ now: Int, _ figures: LoopProgress.Figures) throws(ShuntError) {
        switch settings.work {
        case .connections(_, _, let hold):
            holdUntil = now + Int(hold * 1e9)
            phase = .holding
        case .messages(let messages):
            guard figures.failed + figures.lost == 0 else { throw refusal() }
            let start = now + 20_000_000
            control.end = start + Int((messages.warmUp + messages.duration) * 1e9)
            control.start = start
            phase = .sending
        }
    }

    /// Ends the threads, to read why clients have no connection.
    private func refusal() -> ShuntError {
        let figures = finished()
        let reasons = figures.reasons.counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return ShuntError(
            .connectionLost,
            "\(Quantity.grouped(figures.failed + figures.lost)) of \(Quantity.grouped(settings.connections)) clients have no connection",
            at: settings.broker.description, help: reasons.prefix(3).map { "\(Quantity.grouped($0.value)): \($0.key)" }.joined(separator: "; "))
    }

    private func drain(_ now: Int, _ figures: LoopProgress.Figures) {
        let left = figures.outstanding + max(0, figures.sent * copies - figures.distinct)
        let sum = figures.received - figures.outstanding
        if sum != lastProgress.figures { lastProgress = (sum, now) }
        if left == 0 || figures.open == 0 || now - lastProgress.at > Self.quiet {
            phase = .over
        } else if now > drainUntil {
            phase = .over
            isCutOff = true
        }
    }

    private var copies: Int { settings.messages?.scenario.copies ?? 1 }

    private var total: LoopProgress.Figures {
        loops.reduce(into: LoopProgress.Figures()) { sum, loop in
            let figures = loop.progress.current
            sum.open += figures.open
            sum.failed += figures.failed
            sum.lost += figures.lost
            sum.sent += figures.sent
            sum.received += figures.received
            sum.distinct += figures.distinct
            sum.outstanding += figures.outstanding
            sum.recentP99 = max(sum.recentP99, figures.recentP99)
        }
    }

    public var snapshot: LoadSnapshot {
        let (now, figures) = (LoadClock.now(), total)
        var (since, length) = (started, 0.0)
        switch (phase, settings.work) {
        case (.holding, .connections(_, _, let hold)): (since, length) = (holdUntil - Int(hold * 1e9), hold)
        case (.sending, .messages(let messages)): (since, length) = (control.start, messages.warmUp + messages.duration)
        default: break
        }
        return LoadSnapshot(
            phase: phase, time: now, elapsed: max(0, Double(now - since) * 1e-9), length: length, connections: settings.connections,
            open: figures.open,
            failed: figures.failed + figures.lost, sent: figures.sent, received: figures.received,
            left: max(0, figures.sent * copies - figures.distinct), p99: figures.recentP99)
    }

    /// Closes all connections, and ends the threads.
    private func finished() -> LoopFigures {
        phase = .over
        control.isOver = true
        for thread in threads { thread.join() }
        threads = []
        return loops.reduce(into: LoopFigures()) { $0.merge($1.figures) }
    }

    /// Closes all connections, and says what has happened.
    public func finish() -> BenchReport {
        let now = LoadClock.now()
        let figures = finished()
        var report = BenchReport(settings)
        let isComplete = !wasStopped
        report.isComplete = isComplete
        report.connections = BenchReport.Connections(
            wanted: settings.connections, made: figures.welcomes.count, failed: figures.failed, lost: figures.lost,
            connack: Percentiles(figures.welcomes), reasons: figures.reasons.counts)
        var seconds = Double(now - started) * 1e-9
        if let messages = settings.messages, control.start != .max {
            seconds = Double(control.end - control.start) * 1e-9 - messages.warmUp
            report.messages = BenchReport.Messages(figures, messages, due: due(messages), seconds: max(0, seconds))
            report.messages?.isCutOff = isCutOff
        }
        let busiest = loops.map(\.figures.processor).max() ?? 0
        report.processor = seconds > 0 ? min(1, Double(busiest) * 1e-9 / seconds) : 0
        return report
    }

    /// Messages that were due; nil where a load sends as many as there can be.
    private func due(_ messages: LoadSettings.MessageSettings) -> Int? {
        messages.perSecond.map { Pace(perSecond: $0).count(by: control.end - 1 - control.start) }
    }
}

extension LoopFigures {
    mutating func merge(_ other: LoopFigures) {
        open += other.open
        failed += other.failed
        lost += other.lost
        reasons.merge(other.reasons)
        welcomes.merge(other.welcomes)
        sent += other.sent
        sentMeasured += other.sentMeasured
        refused += other.refused
        outstanding += other.outstanding
        unacknowledged += other.unacknowledged
        acknowledgements.merge(other.acknowledgements)
        received += other.received
        receivedMeasured += other.receivedMeasured
        distinct += other.distinct
        late += other.late
        duplicates += other.duplicates
        strays += other.strays
        latencies.merge(other.latencies)
        grantedQoS = min(grantedQoS, other.grantedQoS)
        processor += other.processor
    }
}
