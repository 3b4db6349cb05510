import ShuntCore

/// Looks in its first minute at a version of the rules, and says whether it is worse than the one before. Time is handed in.
///
/// Failures count only where more clients than one in a few meet them: by what it sends alone no client brings the version before back.
public struct DeployGuard: Equatable, Sendable {
    public struct Settings: Equatable, Sendable {
        /// Seconds for which a version is looked at; 0: not at all.
        public var window = 60.0
        /// Of a rule or a hook with fewer calls nothing is said.
        public var calls: UInt64 = 100
        /// How many more of 100 calls may fail than did before.
        public var errors = 1.0
        /// How many times as long as before may a hook's p99 be.
        public var slower = 3.0

        public init() {}
    }

    public enum Verdict: Equatable, Sendable {
        case watching
        /// The time is over.
        case kept
        case worse(why: String)
    }

    /// What one version of a rule did.
    public struct Record: Equatable, Sendable {
        public var hooks: [String: RuleFigures.Hook]
        /// How often its breaker has switched it off.
        public var trips: UInt64

        public init(hooks: [String: RuleFigures.Hook] = [:], trips: UInt64 = 0) { (self.hooks, self.trips) = (hooks, trips) }

        /// A rule on several loops.
        public mutating func add(_ other: Record) {
            hooks.merge(other.hooks) { $0.adding($1) }
            trips += other.trips
        }

        var calls: UInt64 { hooks.values.reduce(0) { $0 + $1.calls } }
        var failures: UInt64 { hooks.values.reduce(0) { $0 + $1.failures } }
        /// Whether it fails for more than one client in a few: for most who call a hook, or for so many. Of hooks that no client calls, always.
        var failsForMany: Bool {
            hooks.values.contains { $0.failures > 0 && ($0.callers == 0 || $0.failing >= DeployGuard.many || $0.failing * 2 > $0.callers) }
        }
        /// Of 100 calls.
        var failing: Double { calls == 0 ? 0 : Double(failures) / Double(calls) * 100 }
    }

    public let settings: Settings
    public let startedAt: Double
    /// By rule, of those that are new or other than before. An empty one had no version before.
    public let before: [String: Record]

    /// What so many clients meet is no one client's doing.
    static let many = 3
    /// Seconds. Nobody notices a p99 that is longer by less than this.
    static let noticeable = 20e-6
    /// So many calls, at least, are beyond the p99 that is too long: one or two are the machine's doing.
    static let slowCalls: UInt64 = 10
    /// So many spans of time in a row have more calls beyond it than one in a hundred.
    static let slowSpans = 3
    /// A span has so many calls, at least, and lasts so many seconds, or less where the version is looked at for a short time only.
    private static let callsOfSpan: UInt64 = 30
    private static let longestSpan = 2.0

    /// How a hook's times went on, a span after the other.
    private struct Span: Equatable, Sendable {
        /// When it began, and what had been called until then.
        var since: Double
        var calls: UInt64 = 0
        var slow: UInt64 = 0
        /// How many spans in a row were too slow, until now.
        var inRow = 0
    }

    /// By rule and hook.
    private var spans: [String: Span] = [:]

    public init(_ settings: Settings, before: [String: Record], now: Double) {
        (self.settings, self.before, startedAt) = (settings, before, now)
    }

    /// - Parameter current: what the rules of `before` have done in this version.
    public mutating func look(at current: [String: Record], now: Double) -> Verdict {
        for (name, old) in before.sorted(by: { $0.key < $1.key }) {
            if let record = current[name], let why = worse(record, than: old, name, now: now) { return .worse(why: "\(name): \(why)") }
        }
        return now - startedAt >= settings.window ? .kept : .watching
    }

    private mutating func worse(_ new: Record, than old: Record, _ rule: String, now: Double) -> String? {
        if new.trips > 0, old.trips == 0 { return "its breaker has switched it off" }
        if new.calls >= settings.calls, new.failing > old.failing + settings.errors, new.failsForMany {
            return "\(Self.percent(new.failing)) of \(new.calls) calls failed, \(Self.percent(old.failing)) before"
        }
        for (hook, figures) in new.hooks.sorted(by: { $0.key < $1.key }) {
            guard let then = old.hooks[hook]?.times, then.count >= settings.calls, let p99Then = then.quantile(0.99) else { continue }
            let bound = max(p99Then * settings.slower, p99Then + Self.noticeable)
            if isSlow(figures.times, bound, "\(rule) \(hook)", now: now), let p99 = figures.times.quantile(0.99) {
                return "p99 of \(hook) is \(Self.time(p99)), it was \(Self.time(p99Then))"
            }
        }
        return nil
    }

    /// Whether the p99 is beyond a bound, by so many calls and for so long that it is not by chance.
    private mutating func isSlow(_ times: RuleTimes, _ bound: Double, _ hook: String, now: Double) -> Bool {
        let (calls, slow) = (times.count, times.count(beyond: bound))
        var span = spans[hook] ?? Span(since: startedAt)
        if abs(now - span.since) >= min(Self.longestSpan, settings.window / Double(2 * Self.slowSpans)), calls >= span.calls + Self.callsOfSpan {
            let isSlow = slow > span.slow && Double(slow - span.slow) > 0.01 * Double(calls - span.calls)
            span = Span(since: now, calls: calls, slow: slow, inRow: isSlow ? span.inRow + 1 : 0)
        }
        spans[hook] = span
        // Where one call in a hundred is so slow, three times the deviation is more by chance once in a thousand times.
        let expected = 0.01 * Double(calls)
        return span.inRow >= Self.slowSpans && calls >= settings.calls && slow >= Self.slowCalls
            && Double(slow) > expected + 3 * expected.squareRoot()
    }

    private static func percent(_ value: Double) -> String { "\((value * 10).rounded() / 10) %" }

    private static func time(_ seconds: Double) -> String {
        seconds < 1e-3 ? "\((seconds * 1e7).rounded() / 10) us" : "\((seconds * 1e4).rounded() / 10) ms"
    }
}
