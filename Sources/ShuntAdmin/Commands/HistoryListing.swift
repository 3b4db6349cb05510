import ShuntCore
import ShuntRegistry

/// Figures over time as a table and as CSV.
enum HistoryListing {
    /// A line for each step; `-` where nothing is known.
    static func table(_ history: HistoryDocument, figures: [String]) -> Table {
        let columns =
            figures.isEmpty
            ? [
                ("connections", "CLIENTS", 8), ("requests", "REQUESTS/S", 7), ("deliveries", "DELIVERIES/S", 6), ("responses_failed", "FAILED/S", 5),
                ("request_bytes", "IN/S", 2), ("response_bytes", "OUT/S", 3), (HistoryDocument.time, "ANSWER", 4), ("held_producers", "HELD", 0),
                ("stuck_consumers", "STUCK", 1),
            ] : figures.enumerated().map { ($1, $1.uppercased(), figures.count - $0) }
        return Table(
            columns: [.init(title: "TIME", isWhole: true, rank: 9)] + columns.map { .init(title: $1, isNumber: true, rank: $2) },
            rows: (0..<history.count).map { index in
                [.init(Humane.time(Double(history.start + index * history.step)))]
                    + columns.map { name, _, _ in .init(text(history.series[name]?[index], of: name)) }
            })
    }

    /// Every step, numbers as they came; empty where nothing is known.
    static func csv(_ history: HistoryDocument) -> CSV {
        let names = HistoryDocument.names.filter { history.series[$0] != nil }
        var csv = CSV(header: ["at"] + names)
        for index in 0..<history.count {
            csv.append(["\(history.start + index * history.step)"] + names.map { plain(history.series[$0]?[index]) })
        }
        return csv
    }

    /// A value for people.
    static func text(_ value: Double?, of name: String) -> String {
        guard let value else { return "-" }
        if name.hasSuffix("_bytes") { return Humane.bytes(Int(min(max(value, 0), 0x1p62))) }
        let number = Int(exactly: value).map { "\($0)" } ?? WorkerRates.text(value)
        return name == HistoryDocument.time ? number + " ms" : number
    }

    private static func plain(_ value: Double?) -> String {
        guard let value else { return "" }
        return Int(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}

extension HistoryDocument {
    var isEmpty: Bool { series.values.allSatisfy { $0.allSatisfy { $0 == nil } } }

    /// In at most so many steps, each so many times as long that it begins and ends where clocks do.
    func merged(into most: Int) -> HistoryDocument {
        guard count > most else { return self }
        let factors = [2, 3, 6, 12, 24, 30, 60, 120, 360, 720, 1_440]
        return merged(by: factors.first { (count + $0 - 1) / $0 <= most } ?? count)
    }

    /// In steps that are so many times as long, with the means of what is known of them; of peaks with the highest.
    func merged(by factor: Int) -> HistoryDocument {
        guard factor > 1 else { return self }
        var merged = self
        merged.step = step * factor
        merged.start = start / merged.step * merged.step
        let skipped = (start - merged.start) / step
        merged.count = (skipped + count + factor - 1) / factor
        for (name, values) in series {
            let weights = name == HistoryDocument.time ? series["responses"] : nil
            merged.series[name] = (0..<merged.count).map { index in
                let range = (max(index * factor - skipped, 0)..<min((index + 1) * factor - skipped, values.count))
                let known = range.compactMap { at in values[at].map { (value: $0, weight: weights.map { $0[at] ?? 0 } ?? 1) } }
                return Self.peaks.contains(name) ? known.map(\.value).max() : Self.mean(known)
            }
        }
        return merged
    }

    private static let peaks: Set<String> = ["held_producers", "stuck_consumers"]

    private static func mean(_ values: [(value: Double, weight: Double)]) -> Double? {
        let weight = values.reduce(0) { $0 + $1.weight }
        return weight > 0 ? values.reduce(0) { $0 + $1.value * $1.weight } / weight : nil
    }
}
