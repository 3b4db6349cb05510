import ShuntCore

extension DeployGuard {
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

        /// What it has done since it had done that.
        func since(_ earlier: Record) -> Record {
            var rest = self
            for (name, hook) in earlier.hooks { rest.hooks[name]?.subtract(hook) }
            rest.trips -= min(trips, earlier.trips)
            return rest
        }

        var calls: UInt64 { hooks.values.reduce(0) { $0 + $1.calls } }
        /// What tells the clients apart for whom the rule was called, as far as they are known.
        var callers: Set<UInt64> { hooks.values.reduce(into: []) { $0.formUnion($1.callers) } }
    }

    /// A version of a rule while it is looked at.
    struct Probation: Equatable, Sendable {
        let since: Double
        /// What it had done by then, on trial.
        let baseline: Record
        /// By hook.
        private var spans: [String: Span] = [:]

        init(since: Double, baseline: Record) { (self.since, self.baseline) = (since, baseline) }
    }
}

extension DeployGuard.Probation {
    /// How a hook's times went on, a span after the other.
    private struct Span: Equatable, Sendable {
        /// When it began, and what had been called until then.
        var since: Double
        var calls: UInt64 = 0
        var slow: UInt64 = 0
        /// How many spans in a row were too slow, until now.
        var inRow = 0
    }

    /// Seconds. Nobody notices a p99 that is longer by less than this.
    private static let noticeable = 20e-6
    /// So many calls, at least, are beyond the p99 that is too long: one or two are the machine's doing.
    private static let slowCalls: UInt64 = 10
    /// So many spans of time in a row have more calls beyond it than one in a hundred.
    private static let slowSpans = 3
    /// A span has so many calls, at least, and lasts so many seconds, or less where the version is looked at for a short time only.
    private static let callsOfSpan: UInt64 = 30
    private static let longestSpan = 2.0

    /// - Parameter record: what the version has done since it began.
    /// - Returns: what is worse.
    mutating func worse(
        _ record: DeployGuard.Record, than old: DeployGuard.Record, _ settings: DeployGuard.Settings, now: Double
    ) -> String? {
        let new = record.since(baseline)
        if new.trips > 0, old.trips == 0 { return "its breaker has switched it off" }
        let hooks = new.hooks.sorted { $0.key < $1.key }
        for (hook, figures) in hooks where figures.failsForMany(of: new.callers) {
            // A hook with few calls of its own is measured by those of the whole rule, unless nobody knows who calls it.
            let isOften = figures.calls >= settings.calls
            guard isOften || !figures.callers.isEmpty && new.calls >= settings.calls else { continue }
            let (calls, callsThen) = isOften ? (figures.calls, old.hooks[hook]?.calls ?? 0) : (new.calls, old.calls)
            let (now, then) = (Self.part(figures.faults, of: calls), Self.part(old.hooks[hook]?.faults ?? 0, of: callsThen))
            if now > then + settings.errors {
                return "\(Self.percent(now)) of \(calls) calls failed\(new.hooks.count > 1 ? " in \(hook)" : ""), \(Self.percent(then)) before"
            }
        }
        for (hook, figures) in hooks {
            guard let then = old.hooks[hook]?.times, then.count >= settings.calls, let p99Then = then.quantile(0.99) else { continue }
            let bound = max(p99Then * settings.slower, p99Then + Self.noticeable)
            let isSlow = isSlow(figures.times, bound, hook, settings, now: now)
            if isSlow, figures.isSlowForMany(bound), let p99 = figures.times.quantile(0.99) {
                return "p99 of \(hook) is \(Self.time(p99)), it was \(Self.time(p99Then))"
            }
        }
        return nil
    }

    /// Whether the p99 is beyond a bound, by so many calls and for so long that it is not by chance.
    private mutating func isSlow(_ times: RuleTimes, _ bound: Double, _ hook: String, _ settings: DeployGuard.Settings, now: Double) -> Bool {
        let (calls, slow) = (times.count, times.count(beyond: bound))
        var span = spans[hook] ?? Span(since: since)
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

    /// Of 100 calls.
    private static func part(_ failures: UInt64, of calls: UInt64) -> Double { calls == 0 ? 0 : Double(failures) / Double(calls) * 100 }

    private static func percent(_ value: Double) -> String { "\((value * 10).rounded() / 10) %" }

    private static func time(_ seconds: Double) -> String {
        seconds < 1e-3 ? "\((seconds * 1e7).rounded() / 10) us" : "\((seconds * 1e4).rounded() / 10) ms"
    }
}

extension RuleFigures.Hook {
    /// What so many clients meet is no one client's doing.
    private static let many = 3

    /// Failures that may be the rule's fault: others have filled the room for delayed messages.
    fileprivate var faults: UInt64 { failures - (errors[.delayLimit] ?? 0) }

    /// Whether it fails for more than one client in a few: for most who call the rule, or for so many. Where nobody knows who calls the hook: for
    /// all.
    fileprivate func failsForMany(of all: Set<UInt64>) -> Bool {
        guard faults > 0 else { return false }
        return callers.isEmpty ? faults >= calls : failing.count >= Self.many || failing.count * 2 > all.count
    }

    /// Whether its calls take longer than so many seconds also for others than the few clients who have the slowest: one call in a hundred does. Of
    /// clients who are not known nothing is said.
    fileprivate func isSlowForMany(_ bound: Double) -> Bool {
        let clients = callerTimes.values.map { (slow: $0.count(beyond: bound), calls: $0.count) }.sorted { $0.slow > $1.slow }
        guard !clients.isEmpty else { return true }
        let needed = min(Self.many, clients.count / 2 + 1)
        let (slow, calls) = clients.dropFirst(needed - 1).reduce((0, 0)) { ($0.0 + $1.slow, $0.1 + $1.calls) }
        return Double(slow) > 0.01 * Double(calls)
    }
}
