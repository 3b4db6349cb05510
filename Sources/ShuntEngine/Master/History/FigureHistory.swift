import ShuntCore

/// The workers' figures over time: of each step what the counters gained in it, and the mean of the gauges.
///
/// A value: heartbeats and time in, points for the registry out. A point is given when its step is over, which shows with the worker's next
/// heartbeat, so that points come as heartbeats do; the hour that is not over is given each minute besides. A master that starts goes on from
/// the points that the registry has of steps that are not over: a killed one loses at most a minute.
public struct FigureHistory: Sendable {
    private struct Track {
        /// The last heartbeat of the run that goes on; nil: the counters of the next heartbeat say nothing about growth.
        var last: (counters: FigureLanes.Vector, at: Double, startedAt: Double)?
        var heardAt: Double
        /// One for each step.
        var buckets: [HistoryBucket]

        /// By how much the counters have grown since the last heartbeat; nil where the worker has begun anew, or was not heard for long.
        mutating func growth(_ counters: FigureLanes.Vector, startedAt: Double, at time: Double) -> (FigureLanes.Vector, Double)? {
            defer { last = (counters, time, startedAt) }
            guard let last, last.startedAt == startedAt, (0...FigureHistory.longestGap).contains(time - last.at) else { return nil }
            let gained = counters - last.counters
            return any(gained .< 0) ? nil : (gained, time - last.at)
        }
    }

    /// The steps that are kept, the finest first; none: there is no history. Set it before the first heartbeat.
    public var steps: [HistoryStep] = [] {
        didSet {
            tracks = [:]
            cluster = steps.map { _ in ClusterBucket(at: .min) }
        }
    }
    private var tracks: [ExactText: Track] = [:]
    private var cluster: [ClusterBucket] = []
    private var latest = -Double.infinity

    /// Seconds between two heartbeats beyond which nothing is known of the time between.
    static let longestGap = 30.0
    /// A clock that is set back by so many seconds or less stands still here, until it has caught up.
    static let longestWait = 60.0
    /// The most workers; beyond it the one is forgotten that was heard longest ago.
    static let capacity = WorkerDirectory.capacity

    public init() {}

    /// What the registry has of steps that are not over. Points of others are passed over.
    public mutating func restore(_ points: [HistoryPoint], now: Double) {
        let time = moment(now)
        for point in points {
            guard let worker = point.worker, let index = steps.firstIndex(of: point.step), point.at == point.step.start(of: time) else { continue }
            let key = ExactText(worker)
            if tracks[key] == nil { begin(key, at: time) }
            let before = HistoryBucket(at: point.at)
            let bucket = HistoryBucket(point)
            tracks[key]?.buckets[index] = bucket
            if cluster[index].at != point.at { cluster[index] = ClusterBucket(at: point.at) }
            cluster[index].replace(before, by: bucket)
        }
    }

    /// A worker has told its figures.
    /// - Parameter now: seconds since 1970.
    public mutating func heartbeat(_ record: WorkerRecord, now: Double) -> [HistoryPoint] {
        guard !steps.isEmpty else { return [] }
        let time = moment(now)
        var points = closeCluster(time)
        let key = ExactText(record.name)
        if tracks[key] == nil { begin(key, at: time) }
        guard var track = tracks[key] else { return points }
        let lanes = FigureLanes(record.figures)
        let growth = track.growth(lanes.counters, startedAt: record.startedAt, at: time)
        track.heardAt = time
        var isMinuteOver = false
        for (index, step) in steps.enumerated() {
            let start = step.start(of: time)
            if track.buckets[index].at != start {
                if let point = track.buckets[index].take(step, of: record.name) { points.append(point) }
                if step == .minute { isMinuteOver = true }
                track.buckets[index] = HistoryBucket(at: start)
            } else if step == .hour, isMinuteOver, let point = track.buckets[index].take(step, of: record.name) {
                points.append(point)
            }
            let before = track.buckets[index]
            track.buckets[index].add(gauges: lanes.gauges, growth: growth)
            cluster[index].replace(before, by: track.buckets[index])
        }
        tracks[key] = track
        return points
    }

    /// A worker is not heard any more.
    public mutating func lost(_ name: String) -> [HistoryPoint] {
        let key = ExactText(name)
        tracks[key]?.last = nil
        return takeBuckets(of: key)
    }

    /// Time has passed.
    public mutating func tick(now: Double) -> [HistoryPoint] { steps.isEmpty ? [] : closeCluster(moment(now)) }

    /// All that the registry does not have yet; the master ends.
    public mutating func flush() -> [HistoryPoint] {
        let own = tracks.keys.flatMap { takeBuckets(of: $0) }
        return own + steps.indices.compactMap { cluster[$0].take(steps[$0]) }
    }

    // MARK: Parts

    private mutating func takeBuckets(of key: ExactText) -> [HistoryPoint] {
        steps.indices.compactMap { tracks[key]?.buckets[$0].take(steps[$0], of: key.text) }
    }

    /// The sums of steps that are over, and with each minute the sum of the hour as it stands.
    private mutating func closeCluster(_ time: Double) -> [HistoryPoint] {
        var points: [HistoryPoint] = []
        var isMinuteOver = false
        for (index, step) in steps.enumerated() {
            let start = step.start(of: time)
            guard cluster[index].at != start else {
                if step == .hour, isMinuteOver, let point = cluster[index].take(step) { points.append(point) }
                continue
            }
            if let point = cluster[index].take(step) { points.append(point) }
            if step == .minute { isMinuteOver = true }
            cluster[index] = ClusterBucket(at: start)
        }
        return points
    }

    private mutating func begin(_ key: ExactText, at time: Double) {
        if tracks.count >= Self.capacity, let longest = tracks.min(by: { $0.value.heardAt < $1.value.heardAt }) { tracks[longest.key] = nil }
        tracks[key] = Track(heardAt: time, buckets: steps.map { HistoryBucket(at: $0.start(of: time)) })
    }

    /// The time to reckon with.
    private mutating func moment(_ now: Double) -> Double {
        if !(latest - Self.longestWait...latest).contains(now) { latest = now }
        return latest
    }
}
