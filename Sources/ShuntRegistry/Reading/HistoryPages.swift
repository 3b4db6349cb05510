import ShuntCore

/// Which part of the history to read.
public struct HistoryQuery: Equatable, Sendable {
    /// The worker's `host:port`; nil: the sum of all workers.
    public var worker: String?
    public var step: HistoryStep
    /// When the first step began and how many there are.
    public let start: Int
    public let count: Int
    /// The names of the series that are asked for, as ``HistoryDocument/names`` has them; nil: all.
    public var figures: [String]?

    /// - Parameters:
    ///   - since: seconds since 1970; an hour before `until` by default, and at most as long before it as the step's points are kept.
    ///   - until: seconds since 1970; the steps that have begun before it.
    ///   - step: by default the finest whose points are kept for so long.
    public init(worker: String? = nil, since: Double? = nil, until: Double, step: HistoryStep? = nil, figures: [String]? = nil) {
        let since = min(since ?? until - Double(HistoryStep.tenSeconds.kept), until)
        self.worker = worker
        self.figures = figures
        let step = step ?? HistoryStep.allCases.first { Double($0.kept) >= until - since } ?? .hour
        self.step = step
        let last = step.start(of: until)
        start = max(step.start(of: since), last - step.kept, 0)
        count = (last - start) / step.seconds + 1
    }

    /// When the last step began.
    var last: Int { start + (count - 1) * step.seconds }
}

/// Figures over time: of each a value for each step, oldest first.
public struct HistoryDocument: Codable, Equatable, Sendable {
    /// nil: the sum of all workers.
    public var worker: String?
    /// The seconds of a step.
    public var step: Int
    /// When the first step began, in seconds since 1970.
    public var start: Int
    public var count: Int
    /// By name; nil where nothing is known of a step.
    public var series: [String: [Double?]]

    /// The mean time from a request to its answer.
    public static let time = "milliseconds_per_response"
    /// How many workers were heard.
    public static let workers = "workers"
    /// The series that there are: figures by their names, counters a second; and two more.
    public static let names = WorkerFigures.columns.map(\.name) + [time, workers]

    /// - Parameter points: of the query's worker and step, in the order of time.
    init(_ query: HistoryQuery, _ points: [HistoryPoint]) {
        (worker, step, start, count) = (query.worker, query.step.seconds, query.start, query.count)
        let wanted = query.figures.map { Set($0) }
        series = Dictionary(
            uniqueKeysWithValues: Self.names.filter { wanted?.contains($0) ?? true }.map { ($0, [Double?](repeating: nil, count: query.count)) })
        let figures = WorkerFigures.columns.filter { wanted?.contains($0.name) ?? true }
            .map { (name: $0.name, value: $0.value, isCounter: WorkerFigures.counterNames.contains($0.name)) }
        for point in points {
            // Someone else may have written it.
            guard point.at >= start, (point.at - start).isMultiple(of: step), (point.at - start) / step < count else { continue }
            let index = (point.at - start) / step
            for figure in figures {
                let value = Double(point.figures[keyPath: figure.value])
                series[figure.name]?[index] = figure.isCounter ? Self.rounded(value, over: point.seconds) : value
            }
            series[Self.time]?[index] = Self.rounded(Double(point.figures.responseMilliseconds), over: Double(point.figures.responses))
            series[Self.workers]?[index] = Double(point.workers)
        }
    }

    /// To thousandths; nil where there is nothing to divide by.
    private static func rounded(_ value: Double, over count: Double) -> Double? {
        guard count > 0, value.isFinite else { return nil }
        let quotient = value / count
        return abs(quotient) < 1e12 ? (quotient * 1_000).rounded() / 1_000 : quotient
    }

    /// - Throws: `request.invalid` for a name that no series has.
    public static func check(_ names: [String]) throws(ShuntError) {
        for name in names where !Self.names.contains(name) {
            throw ShuntError(
                .requestInvalid, "there is no figure '\(name)'", at: "figures",
                help: "there are " + Self.names.sorted().joined(separator: ", "))
        }
    }
}
