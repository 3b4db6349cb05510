/// Which failures are told: so many a second of each rule. One that fails on every message must not fill the log, or keep another's
/// errors out of it.
struct FailureLog {
    let linesPerSecond: Int
    private var second = 0.0
    /// By rule.
    private var lines = [Int](repeating: 0, count: 64)

    init(linesPerSecond: Int) { self.linesPerSecond = linesPerSecond }

    /// Whether a rule's failure is told; counts it as told.
    mutating func tells(_ rule: Int, now: Double) -> Bool {
        if now.rounded(.down) != second {
            second = now.rounded(.down)
            for index in lines.indices { lines[index] = 0 }
        }
        guard lines[rule] < linesPerSecond else { return false }
        lines[rule] += 1
        return true
    }

    /// Whether the failure that was told last is the last of this second.
    func isLast(_ rule: Int) -> Bool { lines[rule] == linesPerSecond }
}
