import Foundation
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
        /// How many called, and for how many it failed; nobody knows where there are none.
        var clients = (callers: 1, failing: 1)

        var record: DeployGuard.Record {
            var hook = RuleFigures.Hook()
            hook.calls = calls
            (hook.callers, hook.failing) = (Set((0..<clients.callers).map(UInt64.init)), Set((0..<clients.failing).map(UInt64.init)))
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
            ("each call fails, and nobody knows who calls", Did(calls: 1000), Did(calls: 200, failed: 200, clients: (0, 0)), true),
            ("some fail, and nobody knows who calls", Did(calls: 1000), Did(calls: 200, failed: 190, clients: (0, 0)), false),
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
    func verdicts(what: String, before: Did?, after: Did, isWorse: Bool) throws {
        var watched = try Versions().guarding(before: before?.record)
        // The calls come one after the other.
        var finding: DeployGuard.Finding?
        for part: UInt64 in 1...10 where finding == nil {
            var done = after
            (done.calls, done.failed) = (after.calls * part / 10, after.failed * part / 10)
            finding = watched.look(at: ["r": done.record], now: 100 + 2 * Double(part))
        }
        #expect((finding != nil) == isWorse, "\(what): \(finding?.why ?? "")")
        #expect(finding?.why.hasPrefix("r: ") ?? true)
    }

    @Test("fails in a hook only by what that hook does, and is not judged by the one client who alone calls another")
    func hooks() throws {
        func hook(_ calls: UInt64, failed: UInt64 = 0, callers: Range<UInt64>, failing: Range<UInt64> = 0..<0) -> RuleFigures.Hook {
            var hook = RuleFigures.Hook()
            hook.calls = calls
            if failed > 0 { hook.errors = [.ruleFailed: failed] }
            (hook.callers, hook.failing) = (Set(callers), Set(failing))
            return hook
        }
        func why(_ hooks: [String: RuleFigures.Hook]) throws -> String? {
            var watched = try Versions().guarding(before: Did(calls: 1000).record)
            return watched.look(at: ["r": .init(hooks: hooks)], now: 105)?.why
        }
        let one = hook(1000, failed: 200, callers: 0..<21, failing: 0..<1)
        #expect(try why(["on_message": one, "on_unsubscribe": hook(2, failed: 2, callers: 0..<1, failing: 0..<1)]) == nil)
        #expect(try why(["on_message": one, "on_unsubscribe": hook(200, failed: 200, callers: 0..<1, failing: 0..<1)]) == nil)
        // Few recipients acknowledge what one client has sent.
        #expect(try why(["on_message": hook(105, callers: 0..<2), "on_acked": hook(20, failed: 20, callers: 0..<0)]) == nil)
        let found = try why(["on_message": hook(1000, callers: 0..<21), "on_connect": hook(30, failed: 30, callers: 0..<30, failing: 0..<30)])
        #expect(found == "r: 2.9 % of 1030 calls failed in on_connect, 0.0 % before")
        // Others have filled the room for delayed messages.
        var full = hook(1000, callers: 0..<21, failing: 0..<21)
        full.errors = [.delayLimit: 900]
        #expect(try why(["on_message": full]) == nil)
    }

    @Test("is slower only where several clients see it", arguments: [(1, false), (2, false), (3, true), (20, true)])
    func slowForOne(slowClients: UInt64, isSeen: Bool) throws {
        var watched = try Versions().guarding(before: Did(calls: 100_000, time: 40_000).record)
        var hook = RuleFigures.Hook()
        hook.callers = Set(0..<20)
        for second in 0..<60 {
            for client: UInt64 in 0..<20 {
                let (isSlow, calls) = (client < slowClients, client == 0 ? 100 : 20 as UInt64)
                hook.calls += calls
                hook.times.add(nanoseconds: isSlow ? 400_000 : 40_000, calls: calls)
                hook.callerTimes[client, default: CallerTimes()].add(nanoseconds: isSlow ? 400_000 : 40_000, calls: calls)
            }
            // A busy machine makes single calls of the others slow.
            hook.times.add(nanoseconds: 400_000, calls: 1)
            hook.callerTimes[UInt64(second % 20), default: CallerTimes()].add(nanoseconds: 400_000, calls: 1)
            if watched.look(at: ["r": .init(hooks: ["on_message": hook])], now: 101 + Double(second)) != nil { return #expect(isSeen) }
        }
        #expect(!isSeen)
    }

    @Test("is kept when its time is over, unless it is worse at that moment; other rules do not matter")
    func time() throws {
        let begun = try Versions().guarding(before: Did(calls: 1000).record)
        let fails = Did(calls: 1000, failed: 1000).record
        var watched = begun
        #expect(watched.look(at: ["r": Did(calls: 1000).record], now: 159.9) == nil && watched.isLooking)
        #expect(watched.look(at: ["other": fails], now: 159.9) == nil && watched.isLooking)
        #expect(watched.look(at: [:], now: 160) == nil && !watched.isLooking)
        watched = begun
        #expect(watched.look(at: ["r": fails], now: 160) != nil)
        // What loops have counted is not known yet.
        watched = begun
        #expect(watched.look(at: ["r": fails], now: 100.2) == nil && watched.isLooking)
        watched.settings.window = 0
        #expect(watched.look(at: ["r": fails], now: 110) == nil && !watched.isLooking)
    }

    // MARK: versions one after the other

    static let good = Did(calls: 1000).record
    static let bad = Did(calls: 1000, failed: 1000).record

    @Test("goes on while other rules change, and what was changed with them goes back, too")
    func otherRulesChange() throws {
        let versions = try Versions()
        try versions.take(["r": "1", "o": "1"])
        try versions.take(["r": "2"], records: ["r": Self.good, "o": Self.good])
        try versions.take(["o": "2"], at: 110, records: ["r": Did(calls: 20, failed: 20).record, "o": Self.good])
        let finding = try #require(versions.look(["r": Self.bad, "o": Self.good]))
        #expect(finding.rule == "r" && finding.version == 2)
        #expect(finding.why == "r: 100.0 % of 1000 calls failed, 0.0 % before")
        // The first to change is the first to have its time over.
        #expect(versions.look(["r": Self.good, "o": Self.good], at: 160) == nil)
        #expect(versions.look(["r": Self.bad, "o": Self.good], at: 165) == nil)
        #expect(versions.look(["o": Self.bad], at: 165)?.version == 3)
    }

    @Test("ends with the version: what came in its place is compared with the last version that has proved itself")
    func replaced() throws {
        let versions = try Versions()
        try versions.take(["r": "1"])
        try versions.take(["r": "2"], records: ["r": Self.good])
        let finding = try #require(versions.look(["r": Self.bad]))
        #expect(versions.watched.stands(finding))
        try versions.take(["r": "3"], at: 110, records: ["r": Self.bad])
        #expect(!versions.watched.stands(finding))
        #expect(versions.look(["r": Self.good], at: 115) == nil && versions.watched.isLooking)
        // It is no better than the one that it was to mend.
        #expect(versions.look(["r": Self.bad], at: 115)?.version == 2)
        #expect(versions.look(["r": Self.good], at: 170) == nil && !versions.watched.isLooking)
        try versions.take(["r": "4"], at: 200, records: ["r": Did(calls: 1000, failed: 500).record])
        #expect(versions.look(["r": Did(calls: 1000, failed: 502).record], at: 210) == nil)
        #expect(versions.look(["r": Self.bad], at: 210)?.version == 4)
    }

    @Test("what could not be taken back is not looked at any more; the others are")
    func givingUp() throws {
        let versions = try Versions()
        try versions.take(["r": "1", "o": "1"])
        try versions.take(["r": "2", "o": "2"], records: ["r": Self.good, "o": Self.good])
        let finding = try #require(versions.look(["r": Self.bad, "o": Self.good]))
        versions.watched.giveUp(finding)
        #expect(versions.look(["r": Self.bad, "o": Self.good]) == nil && versions.watched.isLooking)
        #expect(versions.look(["r": Self.bad, "o": Self.bad])?.rule == "o")
        // The next version of it is compared with the last good one.
        try versions.take(["r": "3"], at: 110, records: ["r": Self.bad, "o": Self.good])
        #expect(versions.look(["r": Self.bad], at: 115)?.rule == "r")
    }

    @Test("goes on over a way back that leaves it as it is")
    func wayBack() throws {
        let versions = try Versions()
        try versions.take(["r": "1", "o": "1"])
        let second = try versions.take(["o": "2"], records: ["o": Self.good])
        let third = try versions.take(["r": "2"], at: 110, records: ["r": Self.good, "o": Self.good])
        #expect(versions.look(["r": Self.bad], at: 115)?.version == 3)
        versions.watched.wentBack(to: second, from: third)
        #expect(versions.look(["r": Self.bad], at: 116) == nil)
        #expect(versions.look(["o": Self.bad], at: 116)?.version == 2)
    }

    @Test("a shadow is not judged; one whose decisions are applied for more clients is, by what it does from then on")
    func trials() throws {
        let versions = try Versions()
        try versions.take(["r": "1"])
        let canary = { RuleMode.canary(RuleShare(percent: $0)) }
        let steps: [(RuleMode, isJudged: Bool)] = [
            (.shadow, false), (canary(5), true), (canary(4), false), (canary(50), true), (.shadow, false), (.live, true), (canary(5), false),
        ]
        for (version, step) in zip(2..., steps) {
            let at = Double(version) * 100
            try versions.take(trial: step.0, at: at, records: ["r": Self.good, "r@next": Self.bad])
            // It has failed for as long as it was on trial.
            #expect(versions.look(["r@next": Self.bad], at: at + 1) == nil, "version \(version)")
            var more = Self.bad
            more.add(Self.bad)
            #expect(versions.look(["r@next": more], at: at + 2)?.version == (step.isJudged ? version : nil))
            #expect(versions.look(["r@next": Self.bad], at: at + 61) == nil && !versions.watched.isLooking)
        }
    }

    @Test("a version beside a rule is compared with that rule")
    func beside() throws {
        let versions = try Versions()
        try versions.take(["r": "1"])
        let half = Did(calls: 1000, failed: 500).record
        try versions.take(trial: .canary(RuleShare(percent: 5)), records: ["r": half])
        #expect(versions.look(["r@next": half]) == nil)
        #expect(versions.look(["r@next": Self.bad])?.version == 2)
    }

    /// A folder of plugins whose rules change, and what is looked at of them.
    private final class Versions {
        private let folder: PluginFolder
        private var set = RuleSet.empty
        private var number = 0
        var watched = DeployGuard(.init())

        init() throws { folder = try PluginFolder(["next/r/rule.lua": "return { on_message = function() return 'next' end }"]) }

        /// The worker starts with the first version.
        @discardableResult
        func take(
            _ rules: [String: String] = [:], trial: RuleMode? = nil, at now: Double = 100, records: [String: DeployGuard.Record] = [:]
        ) throws -> RuleSet {
            for (name, text) in rules {
                let file = URL(fileURLWithPath: "\(folder.path)/plugins/\(name)/rule.lua")
                try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data("return { on_message = function() return '\(text)' end }".utf8).write(to: file)
            }
            let next = try RuleSet.load(
                directory: folder.path + "/plugins", trials: trial.map { ["r": RuleTrial(mode: $0, directory: folder.path + "/next/r")] } ?? [:])
            number += 1
            if number > 1 { watched.took(next, after: set, as: number, records: records, now: now) }
            set = next
            return next
        }

        func look(_ records: [String: DeployGuard.Record], at now: Double = 105) -> DeployGuard.Finding? { watched.look(at: records, now: now) }

        /// Looks at a rule since 100.
        /// - Parameter before: what ran in its place; nil: nothing did.
        func guarding(before: DeployGuard.Record?) throws -> DeployGuard {
            try take(before == nil ? ["other": "1"] : ["r": "1", "other": "1"])
            try take(["r": "2"], records: before.map { ["r": $0] } ?? [:])
            return watched
        }
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
    func slower(what: String, does seconds: [[UInt64]], seenWithin: Int?) throws {
        var watched = try Versions().guarding(before: Did(calls: 100_000, time: 40_000).record)
        var hook = RuleFigures.Hook()
        for number in 0..<60 {
            // Calls, and slow ones among them, in a second of the first minute.
            let (calls, slow) = (seconds[number % seconds.count][0], seconds[number % seconds.count][1])
            hook.calls += calls
            hook.times.add(nanoseconds: 40_000, calls: calls - slow)
            hook.times.add(nanoseconds: 400_000, calls: slow)
            let finding = watched.look(at: ["r": .init(hooks: ["on_message": hook])], now: 101 + Double(number))
            guard let finding else { continue }
            return #expect(number + 1 <= seenWithin ?? 0, "\(what): \(finding.why), in second \(number)")
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
