import ShuntCore
import Testing

@testable import ShuntRules

/// What rules of one message hand on to each other points into one another's strings: nothing of it may go before it is sent.
@Suite("Copies that later rules and what is sent point into")
struct ChainTests {
    /// Takes the place of strings that were let go.
    private static let churn = #"for round = 1, 20 do local s = ("y"):rep(100000 + round) end"#
    private static let large = String(repeating: "A", count: 100_000)

    private func rig(_ hook: String, _ first: String, _ second: String) throws -> RuleRig {
        func rule(_ priority: Int, _ body: String) -> String {
            "return { priority = \(priority), budget = { time = '100ms', memory = '64MiB' }, \(hook) = function(msg, x, y) \(body) end }"
        }
        return try RuleRig(files: [
            "a/rule.lua": rule(9, first), "b/rule.lua": rule(5, second), "c/rule.lua": rule(1, Self.churn), "d/rule.lua": rule(0, Self.churn),
        ])
    }

    private static let replace = #"return msg:with { payload = ("A"):rep(100000) }"#

    @Test("a large payload that one rule made goes out, though another has changed the key", arguments: [MessageKind.topic, .chat])
    func borrowed(kind: MessageKind) throws {
        let rig = try rig(kind == .topic ? "on_message" : "on_chat", Self.replace, #"return msg:with { key = "k" }"#)
        for _ in 0..<5 {
            let sent = rig.route(kind, "t", "hello").messages
            #expect(sent.map(\.payload) == [Self.large])
            #expect(sent.map(\.key) == ["k"])
        }
    }

    @Test("what was emitted goes out as it was then, though the message has been replaced since")
    func emitted() throws {
        let rig = try rig("on_message", Self.replace, #"x:emit(route.to("copy")) return msg:with { payload = "new" }"#)
        for _ in 0..<5 {
            let sent = rig.send("t", "hello").messages
            #expect(sent.map(\.topic) == ["copy", "t"])
            #expect(sent.map(\.payload) == [Self.large, "new"])
        }
    }

    @Test("what a recipient gets, too")
    func delivered() throws {
        let rig = try rig("on_deliver", Self.replace, #"return msg:with { format = "text" }"#)
        for _ in 0..<5 {
            guard case .replace(let sent) = rig.deliver("t", "hello") else { throw ShuntError(.internalError, "not replaced") }
            #expect(sent.payload == Self.large)
            #expect(sent.format == .text)
        }
        let memory = rig.rules.memory
        for _ in 0..<20 { _ = rig.deliver("t", "hello") }
        #expect(rig.rules.memory < memory + 1_000_000, "they go with the next recipient")
    }

    @Test("sixty-four rules may each replace the message, and each what a recipient gets")
    func many() throws {
        var files: [String: String] = [:]
        for index in 0..<64 {
            files["r\(index)/rule.lua"] = """
                local function longer(msg) return msg:with { payload = msg.payload .. "x" } end
                return { on_message = longer, on_deliver = longer }
                """
        }
        let rig = try RuleRig(files: files)
        rig.withMessage(.topic, "t", "p") { message in
            let outcome = rig.rules.onMessage(message, selection: rig.rules.selection(for: .topic, topic: message.topic), now: 1)
            let long = "p" + String(repeating: "x", count: 64)
            for _ in 0..<3 {
                guard case .replace(let sent) = rig.deliver("t", "p") else { return }
                #expect(sent.payload == long)
            }
            #expect(outcome.messages.map(Sent.init).map(\.payload) == [long])
        }
        #expect(rig.log.texts == [])
    }

    @Test(
        "ctx:emit stays within its bound, whatever the rule catches",
        arguments: [
            (#"for i = 1, 1000 do pcall(ctx.emit, ctx, route.to("t")) end"#, 100),
            (#"pcall(ctx.emit, ctx, route.fanout(many)) for i = 1, 3 do pcall(ctx.emit, ctx, msg) end"#, 0),
            (#"for i = 1, 100 do ctx:emit(msg) end"#, 100),
        ])
    func emits(body: String, sent: Int) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx) local many = {} for i = 1, 101 do many[i] = msg end \(body) end")
        #expect(rig.send().messages.count == sent)
        #expect(rig.figures().errors == [:])
    }
}
