/// How finely the history of figures is kept, and for how long.
public enum HistoryStep: Int, Codable, CaseIterable, Comparable, Sendable {
    case tenSeconds = 10
    case minute = 60
    case hour = 3_600

    /// How long a step is.
    public var seconds: Int { rawValue }

    /// Seconds that its points are kept: an hour, a day, thirty days.
    public var kept: Int {
        switch self {
        case .tenSeconds: 3_600
        case .minute: 86_400
        case .hour: 30 * 86_400
        }
    }

    /// When the step began that a moment is in; both in seconds since 1970. All steps begin at whole multiples of their length.
    public func start(of time: Double) -> Int {
        // The years 1970 to 9999.
        Int(min(max(time, 0), 253_402_300_799)) / seconds * seconds
    }

    public static func < (one: HistoryStep, other: HistoryStep) -> Bool { one.rawValue < other.rawValue }
}

/// How far back the history of figures goes (`master.registry.history`).
public enum HistoryLength: String, CaseIterable, Sendable {
    case month, day, hour, off

    /// The steps that are kept for it, the finest first.
    public var steps: [HistoryStep] {
        switch self {
        case .month: [.tenSeconds, .minute, .hour]
        case .day: [.tenSeconds, .minute]
        case .hour: [.tenSeconds]
        case .off: []
        }
    }
}

/// The figures of one step of time. Where nothing was heard there is no point.
public struct HistoryPoint: Equatable, Sendable {
    /// nil: the sum of all workers.
    public var worker: String?
    public var step: HistoryStep
    /// When the step began, in seconds since 1970.
    public var at: Int
    /// How many workers were heard.
    public var workers: Int
    /// How many heartbeats it is made of. A step's point may be written before it is over: the one of more heartbeats is the newer.
    public var heartbeats: Int
    /// The seconds in which the counters grew: those between heartbeats that follow one another. Of the sum, the mean of the workers'.
    public var seconds: Double
    /// ``WorkerFigures/counters``: by how much they grew in these seconds. ``WorkerFigures/gauges``: the mean of the heartbeats.
    /// ``WorkerFigures/peaks``: the highest of them. Of the sum, what the workers' come to together.
    public var figures: WorkerFigures

    public init(worker: String?, step: HistoryStep, at: Int, workers: Int = 1, heartbeats: Int, seconds: Double, figures: WorkerFigures) {
        (self.worker, self.step, self.at, self.workers) = (worker, step, at, workers)
        (self.heartbeats, self.seconds, self.figures) = (heartbeats, seconds, figures)
    }
}

extension WorkerFigures {
    public typealias Figure = WritableKeyPath<WorkerFigures, Int> & Sendable

    /// Totals since the worker started.
    public static let counters: [Figure] = [
        \.connectionsAccepted, \.connectionErrors, \.requests, \.requestBytes, \.responses, \.responsesSucceeded, \.responsesFailed,
        \.responseMilliseconds, \.responseBytes, \.deliveries,
    ]
    /// What a worker has at the moment of a heartbeat.
    public static let gauges: [Figure] = [
        \.connections, \.subscriptions, \.mqttClients, \.mqttSessions, \.mqttAbsent, \.mqttQueued, \.mqttHeldBytes, \.mqttRetained,
        \.mqttRetainedBytes,
    ]
    /// Likewise; of these the worst moment counts.
    public static let peaks: [Figure] = [\.heldProducers, \.stuckConsumers]
}
