import ShuntCore
import Testing

@testable import ShuntRules

@Suite("The collector's time")
struct CollectorTests {
    /// A rule that keeps a large table, which the collector goes through in one step of some milliseconds.
    private static func rig(_ body: String, entries: Int = 100_000) throws -> RuleRig {
        try RuleRig(
            #"""
            R.breaker = { errors = 1000000 }
            R.budget = { time = "2ms", memory = "1MiB" }
            local known = {}
            function R.on_load() for i = 1, \#(entries) do known["device-" .. i] = { customer = i % 1000, site = i % 77 } end end
            function R.on_message(msg) \#(body) end
            """#, limits: RuleLimits())
    }

    @Test("a call in which the collector goes through a large table is not ended for it")
    func largeTable() throws {
        let rig = try Self.rig("local garbage = {} for i = 1, 200 do garbage[i] = { i } end return route.drop('ran')")
        for _ in 0..<4000 { rig.send() }
        // More than ten, where the call has to pay for it; one may be held up by the machine.
        #expect((rig.figures().errors[.ruleTime] ?? 0) < 3, "\(rig.log.texts)")
    }

    @Test(
        "a call that makes garbage without end is ended, however large its rule's table",
        arguments: ["local t = {}", "local t = ('x'):rep(100000)", "local t = ('x'):rep(500000) .. msg.topic"])
    func garbage(body: String) throws {
        let rig = try Self.rig("while true do \(body) end")
        let clock = ThreadClock()
        for _ in 0..<10 { rig.send() }
        #expect(clock.milliseconds < 500)
        #expect(rig.figures().errors.values.reduce(0, +) == 10)
    }
}
