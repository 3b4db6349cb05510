import ShuntCore

/// What one worker has told within one step of time.
struct HistoryBucket: Equatable, Sendable {
    /// When the step began, in seconds since 1970.
    var at: Int
    private(set) var heartbeats = 0
    /// Between heartbeats that follow one another.
    private(set) var seconds = 0.0
    private var gained = FigureLanes.Vector.zero
    /// Of all heartbeats.
    private var gaugeSums = FigureLanes.Vector.zero
    /// Whether the registry has it as it stands.
    private var isWritten = true

    init(at: Int) { self.at = at }

    /// Goes on from what the registry has.
    init(_ point: HistoryPoint) {
        let lanes = FigureLanes(point.figures)
        (at, heartbeats, seconds, gained) = (point.at, max(point.heartbeats, 0), max(point.seconds, 0), lanes.counters)
        gaugeSums = FigureLanes.sums(lanes.gauges, of: heartbeats)
    }

    /// A heartbeat.
    /// - Parameter growth: by how much the counters have grown since the one before, and in how many seconds; nil where nobody knows.
    mutating func add(gauges: FigureLanes.Vector, growth: (counters: FigureLanes.Vector, seconds: Double)?) {
        heartbeats += 1
        gaugeSums = FigureLanes.joined(gaugeSums, gauges)
        isWritten = false
        guard let growth else { return }
        gained += growth.counters
        seconds += growth.seconds
    }

    /// A second's growth of the counters; 0 where nobody knows.
    var rates: FigureLanes.Vector { seconds > 0 ? gained / seconds : .zero }
    var gauges: FigureLanes.Vector { FigureLanes.means(gaugeSums, of: heartbeats) }

    /// The point to write; nil where the registry has it.
    mutating func take(_ step: HistoryStep, of worker: String) -> HistoryPoint? {
        guard !isWritten else { return nil }
        isWritten = true
        var lanes = FigureLanes()
        (lanes.counters, lanes.gauges) = (gained, gauges)
        return HistoryPoint(worker: worker, step: step, at: at, heartbeats: heartbeats, seconds: seconds, figures: lanes.figures)
    }
}

/// What all workers together have told within one step of time.
struct ClusterBucket: Equatable, Sendable {
    var at: Int
    private var workers = 0
    /// Workers whose rates are known.
    private var rated = 0
    private var heartbeats = 0
    private var seconds = 0.0
    private var rates = FigureLanes.Vector.zero
    private var gauges = FigureLanes.Vector.zero
    private var isWritten = true

    init(at: Int) { self.at = at }

    /// A worker's bucket of the same step has changed.
    mutating func replace(_ old: HistoryBucket, by new: HistoryBucket) {
        if old.heartbeats == 0 { workers += 1 }
        if old.seconds == 0, new.seconds > 0 { rated += 1 }
        heartbeats += new.heartbeats - old.heartbeats
        seconds += new.seconds - old.seconds
        rates += new.rates - old.rates
        gauges += new.gauges - old.gauges
        isWritten = false
    }

    /// The point to write; nil where the registry has it.
    mutating func take(_ step: HistoryStep) -> HistoryPoint? {
        guard !isWritten else { return nil }
        isWritten = true
        let seconds = rated > 0 ? seconds / Double(rated) : 0
        var lanes = FigureLanes()
        (lanes.counters, lanes.gauges) = (rates * seconds, gauges)
        return HistoryPoint(
            worker: nil, step: step, at: at, workers: workers, heartbeats: heartbeats, seconds: seconds, figures: lanes.figures)
    }
}
