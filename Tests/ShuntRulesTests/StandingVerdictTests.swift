import ShuntCore
import Testing

@testable import ShuntRules

@Suite("route.always")
struct StandingVerdictTests {
    private func decide(_ body: String) throws -> Outcome {
        try RuleRig("function R.on_message(msg, ctx) \(body) end").send("a/b", "text", key: "k")
    }

    @Test(
        "a verdict that stands is what it wraps, and says so",
        arguments: [
            (#"route.to("x")"#, ["x"]), (#"route.fanout { msg, route.to("x") }"#, ["a/b", "x"]), (#"route.drop("no")"#, []), ("route.done()", []),
        ])
    func standing(verdict: String, topics: [String]) throws {
        let plain = try decide("return \(verdict)"), always = try decide("return route.always(\(verdict))")
        #expect(always.verdict == plain.verdict)
        #expect(always.messages.map(\.topic) == topics)
        #expect(always.isStanding && !plain.isStanding)
        #expect(always.passing == .none)
    }

    @Test("nothing, or msg, passes all messages of the topic", arguments: ["", "nil", "msg"])
    func passing(value: String) throws {
        let outcome = try decide("return route.always(\(value))")
        #expect(outcome.verdict == .pass)
        #expect(!outcome.isStanding)
        #expect(outcome.passing == RuleSelection(mask: 1))
    }

    @Test("what a rule decided about another topic than the message's does not stand for that one")
    func otherTopic() throws {
        let rig = try RuleRig(files: [
            "first/rule.lua": #"return { priority = 9, on_message = function(m) return m:with { topic = m.key } end }"#,
            "second/rule.lua":
                #"return { priority = 5, on_message = function(m) if m.topic == "x" then return route.always() end return route.always(route.to("y")) end }"#,
        ])
        #expect(rig.send("t", key: "x").passing == .none)
        let routed = rig.send("t", key: "z")
        #expect(routed.messages.map(\.topic) == ["y"])
        #expect(!routed.isStanding)
    }

    @Test(
        "a message that is made would be the same for all: an error with a sentence",
        arguments: [
            (#"return route.always(msg:with { payload = "x" })"#, "takes nothing or a verdict"),
            (#"return route.always(route.to("x", msg:with { payload = "x" }))"#, "leave the message out"),
            (#"return route.always(route.fanout { msg:with { payload = "x" } })"#, "would be the same for all"),
            (#"return route.always(route.push({ uid = "u" }))"#, "can't stand for a topic"),
            (#"return route.always(route.delay(5, msg))"#, "delay or redirect can't stand for a topic"),
            (#"return route.always(route.push({ uid = "u" }, msg))"#, "can't stand for a topic"),
            (#"return route.always("x")"#, "takes nothing or a verdict"),
            (#"ctx:emit(route.to("x")) return route.always()"#, "use route.fanout"),
        ])
    func errors(body: String, expected: String) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx) \(body) end")
        let outcome = rig.send()
        #expect(outcome.verdict == .pass && !outcome.isStanding && outcome.passing == .none)
        #expect(rig.log.texts.contains { $0.contains(expected) }, "\(rig.log.texts)")
    }

    @Test("it is for on_message alone")
    func otherHooks() throws {
        let rig = try RuleRig("function R.on_broadcast(push) return route.always(route.drop()) end")
        #expect(rig.route(.broadcast, "", "text").verdict == .pass)
        #expect(rig.log.texts.contains { $0.contains("route.always is for on_message") }, "\(rig.log.texts)")
    }

    @Test("what stands is counted as the rule's verdict, without a call")
    func counted() throws {
        let rig = try RuleRig(#"function R.on_message() return route.always(route.to("x")) end"#)
        rig.send()
        rig.rules.decided(by: StandingVerdict(rule: 0, .send, targets: [.init(topic: nil)]))
        rig.rules.decided(by: StandingVerdict(rule: 0, .send, targets: [.init(topic: nil), .init(topic: nil)]))
        rig.rules.decided(by: StandingVerdict(rule: 0, .drop))
        #expect(rig.figures().verdicts == ["route": 1, "done": 1, "fanout": 1, "drop": 1])
        #expect(rig.figures().calls == 1)
    }
}
