import ShuntCore

/// Figures to reckon with, all at once: counters in one vector; gauges, and peaks behind them, in another.
struct FigureLanes: Equatable, Sendable {
    typealias Vector = SIMD16<Double>

    var counters = Vector.zero
    var gauges = Vector.zero

    init() {}

    init(_ figures: WorkerFigures) {
        for (lane, figure) in WorkerFigures.counters.enumerated() { counters[lane] = Double(figures[keyPath: figure]) }
        for (lane, figure) in Self.standing.enumerated() { gauges[lane] = Double(figures[keyPath: figure]) }
    }

    /// Whole numbers, none below 0.
    var figures: WorkerFigures {
        var figures = WorkerFigures()
        for (lane, figure) in WorkerFigures.counters.enumerated() { figures[keyPath: figure] = Self.whole(counters[lane]) }
        for (lane, figure) in Self.standing.enumerated() { figures[keyPath: figure] = Self.whole(gauges[lane]) }
        return figures
    }

    /// Sums of gauges with the highest where only peaks count.
    static func joined(_ sums: Vector, _ more: Vector) -> Vector {
        (sums + more).replacing(with: pointwiseMax(sums, more), where: peaks)
    }

    /// Means of gauges; peaks stay as they are.
    static func means(_ sums: Vector, of count: Int) -> Vector {
        (sums / Double(max(count, 1))).replacing(with: sums, where: peaks)
    }

    /// What `means` makes means of.
    static func sums(_ means: Vector, of count: Int) -> Vector {
        (means * Double(count)).replacing(with: means, where: peaks)
    }

    private static let standing = WorkerFigures.gauges + WorkerFigures.peaks

    private static let peaks: SIMDMask<Vector.MaskStorage> = {
        var mask = SIMDMask<Vector.MaskStorage>(repeating: false)
        for lane in WorkerFigures.gauges.count..<standing.count { mask[lane] = true }
        return mask
    }()

    /// A worker may report any number; beyond 2^53 a Double has not every whole one.
    private static func whole(_ value: Double) -> Int { Int(min(max(value.rounded(), 0), 0x1p53)) }
}
