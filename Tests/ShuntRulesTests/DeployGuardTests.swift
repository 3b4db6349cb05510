import ShuntCore
import Testing

@testable import ShuntRules

@Suite("A version in its first minute")
struct DeployGuardTests {
    /// What a hook did: calls, how many of them failed, how long most took and how long one in 50 did.
    struct Did: Sendable {
        var calls: UInt64
        var failed: UInt64 = 0
        var time: UInt64 = 1_000
        var slow: UInt64?
        var trips: UInt64 = 0
        /// Who called, and for whom it failed.
        var clients = (callers: 0, failing: 0)

        var record: DeployGuard.Record {
            var hook = RuleFigures.Hook()
            hook.calls = calls
            (hook.callers, hook.failing) = clients
            if failed > 0 { hook.errors = [.ruleFailed: failed] }
            let slowCalls = slow == nil ? 0 : calls / 50
            if calls > slowCalls { hook.times.add(nanoseconds: time, calls: calls - slowCalls) }
            if let slow, slowCalls > 0 { hook.times.add(nanoseconds: slow, calls: slowCalls) }
            return DeployGuard.Record(hooks: ["on_message": hook], trips: trips)
        }
    }

    @Test(
        "is worse only by more than the margins, with enough calls",
        arguments: [
            ("the same", Did(calls: 1000), Did(calls: 1000), false),
            ("a rule that did not run before", nil, Did(calls: 1000), false),
            ("one that did not run before, and fails", nil, Did(calls: 100, failed: 2), true),
            ("all fail for the only client", Did(calls: 1000), Did(calls: 200, failed: 200, clients: (1, 1)), true),
            ("all fail for one client of two", Did(calls: 1000), Did(calls: 121, failed: 120, clients: (2, 1)), false),
            ("some fail for two clients of three", Did(calls: 1000), Did(calls: 200, failed: 20, clients: (3, 2)), true),
            ("some fail for two of 50", Did(calls: 1000), Did(calls: 1000, failed: 20, clients: (50, 2)), false),
            ("some fail for three of 50", Did(calls: 1000), Did(calls: 1000, failed: 20, clients: (50, 3)), true),
            ("within the margin of failures", Did(calls: 1000), Did(calls: 1000, failed: 10), false),
            ("beyond it", Did(calls: 1000), Did(calls: 1000, failed: 11), true),
            ("as many failures as before", Did(calls: 1000, failed: 500), Did(calls: 1000, failed: 505), false),
            ("too few calls to tell", Did(calls: 1000), Did(calls: 99, failed: 99), false),
            ("its breaker has opened", Did(calls: 1000), Did(calls: 6, failed: 6, trips: 1), true),
            ("it had opened before, too", Did(calls: 1000, failed: 200, trips: 1), Did(calls: 50, failed: 50, trips: 1), false),
            ("three times as slow, which nobody notices", Did(calls: 1000), Did(calls: 1000, time: 10_000), false),
            ("slower by less than the factor", Did(calls: 1000, time: 1_000_000), Did(calls: 1000, time: 2_000_000), false),
            ("slower by more", Did(calls: 1000, time: 1_000_000), Did(calls: 1000, time: 5_000_000), true),
            ("one in 50 is slower", Did(calls: 1000), Did(calls: 1000, slow: 1_000_000), true),
            ("too few calls before to compare", Did(calls: 50), Did(calls: 1000, time: 1_000_000), false),
            ("faster, and fails less", Did(calls: 1000, failed: 100, time: 1_000_000), Did(calls: 1000), false),
        ] as [(String, Did?, Did, Bool)])
    func verdicts(what: String, before: Did?, after: Did, isWorse: Bool) {
        var watched = DeployGuard(.init(), before: ["r": before?.record ?? .init()], now: 100)
        // The calls come one after the other.
        var verdict = DeployGuard.Verdict.watching
        for part: UInt64 in 1...10 where verdict == .watching {
            var done = after
            (done.calls, done.failed) = (after.calls * part / 10, after.failed * part / 10)
            verdict = watched.look(at: ["r": done.record], now: 100 + 2 * Double(part))
        }
        if case .worse(let why) = verdict {
            #expect(isWorse, "\(what): \(why)")
            #expect(why.hasPrefix("r: "))
        } else {
            #expect(verdict == .watching && !isWorse, "\(what)")
        }
    }

    @Test("is kept when its time is over, unless it is worse at that moment; other rules do not matter")
    func time() {
        var watched = DeployGuard(.init(), before: ["r": Did(calls: 1000).record], now: 100)
        let fails = Did(calls: 1000, failed: 1000).record
        #expect(watched.look(at: ["r": Did(calls: 1000).record], now: 159.9) == .watching)
        #expect(watched.look(at: ["other": fails], now: 159.9) == .watching)
        #expect(watched.look(at: [:], now: 160) == .kept)
        if case .worse = watched.look(at: ["r": fails], now: 160) {} else { Issue.record("it was kept") }
    }

    @Test(
        "is slower only if that is so for some seconds, for more calls than by chance",
        arguments: [
            ("one call in a hundred, as before", [[300, 3]], nil),
            ("the first second was slow", [[300, 100]] + Array(repeating: [300, 0], count: 59), nil),
            ("bad seconds of a busy machine, now and then", Array(repeating: [300, 12], count: 3) + Array(repeating: [300, 1], count: 7), nil),
            ("slow calls among the first hundred", [[100, 2]] + Array(repeating: [2, 0], count: 59), nil),
            ("each call, at a high rate", [[300, 300]], 8),
            ("5 of 100, at a high rate", [[300, 15]], 8),
            ("each call, at a low rate", [[2, 2]], 60),
            ("5 of 100, at a low rate", [[10, 0], [10, 1]], 30),
        ] as [(String, [[UInt64]], Int?)])
    func slower(what: String, does seconds: [[UInt64]], seenWithin: Int?) {
        var watched = DeployGuard(.init(), before: ["r": Did(calls: 100_000, time: 40_000).record], now: 100)
        var hook = RuleFigures.Hook()
        for number in 0..<60 {
            // Calls, and slow ones among them, in a second of the first minute.
            let (calls, slow) = (seconds[number % seconds.count][0], seconds[number % seconds.count][1])
            hook.calls += calls
            hook.times.add(nanoseconds: 40_000, calls: calls - slow)
            hook.times.add(nanoseconds: 400_000, calls: slow)
            let verdict = watched.look(at: ["r": .init(hooks: ["on_message": hook])], now: 101 + Double(number))
            guard case .worse(let why) = verdict else { continue }
            return #expect(number + 1 <= seenWithin ?? 0, "\(what): \(why), in second \(number)")
        }
        #expect(seenWithin == nil, "\(what): it was not seen")
    }

    @Test("times fall into buckets that are at most a quarter wide, whatever they are")
    func times() throws {
        for time: UInt64 in [1, 63, 64, 100, 128, 1_000, 4_097, 65_535, 1_000_000, 33_333_333, 10_000_000_000] {
            var times = RuleTimes()
            times.add(nanoseconds: time)
            let p99 = try #require(times.quantile(0.99))
            #expect(p99 * 1e9 > Double(time) && p99 * 1e9 <= max(80, Double(time) * 1.25 + 1), "\(time): \(p99)")
        }
        var times = RuleTimes()
        times.add(nanoseconds: 1_000, calls: 990)
        times.add(nanoseconds: 1_000_000, calls: 10)
        #expect(try #require(times.quantile(0.5)) < 1.3e-6 && times.quantile(0.99)! < 1.3e-6 && times.quantile(0.995)! > 0.9e-3)
        #expect(times.count == 1000 && times.count(below: 1 << 10) == 990 && times.count(below: 1 << 20) == 1000)
        #expect(RuleTimes().quantile(0.5) == nil)
    }
}
