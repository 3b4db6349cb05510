/// Prometheus' text format 0.0.4, written line by line.
public struct MetricsText: Sendable {
    public var text = ""

    public init() {}

    public mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    public mutating func sample(_ name: String, _ labels: KeyValuePairs<String, String> = [:], _ value: some CustomStringConvertible) {
        let inside = labels.map { "\($0)=\"\(Self.escape($1))\"" }.joined(separator: ",")
        text += name + (inside.isEmpty ? "" : "{\(inside)}") + " \(value)\n"
    }

    public mutating func counter(_ name: String, _ help: String, _ value: Int) {
        family(name, "counter", help)
        sample(name, [:], value)
    }

    public mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        family(name, "gauge", help)
        sample(name, [:], value)
    }

    public mutating func histogram(_ name: String, _ help: String, _ times: TimeHistogram) {
        family(name, "histogram", help)
        var below = 0
        for (bound, count) in zip(TimeHistogram.bounds, times.counts) {
            below += count
            sample("\(name)_bucket", ["le": "\(bound)"], below)
        }
        sample("\(name)_bucket", ["le": "+Inf"], times.count)
        sample("\(name)_sum", [:], times.seconds)
        sample("\(name)_count", [:], times.count)
    }

    /// Which version of the program this is.
    public mutating func buildInfo(version: String, role: String) {
        family("shunt_build_info", "gauge", "1; the labels tell the version of Shunt, and whether this is a worker or a master.")
        sample("shunt_build_info", ["version": version, "role": role], 1)
    }

    /// How late the loops of the process are.
    public mutating func loopLag(_ loops: [TimeHistogram]) {
        histogram(
            "shunt_loop_lag_seconds",
            "How much later than due a loop's ticks were, ten a second and loop, to a millisecond: so long was what came for it kept waiting.",
            loops.reduce(TimeHistogram(), +))
    }

    public static func escape(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
