import ShuntCore
import Testing

@testable import ShuntRules

@Suite("A message that a rule has renamed")
struct RenamedTests {
    /// What is sent: its topic, the rule that sends it, the one whose topic it is, and those that have sent it on and have seen it there.
    private struct Sender: Equatable, CustomStringConvertible {
        var topic: String
        var rule: UInt8
        var topicRule: UInt8
        var sentOn: [Int]
        var seenBy: [Int]

        init(_ topic: String, _ rule: UInt8, of topicRule: UInt8, sentOn: [Int], seenBy: [Int] = []) {
            (self.topic, self.rule, self.topicRule, self.sentOn, self.seenBy) = (topic, rule, topicRule, sentOn, seenBy)
        }

        init(_ routed: RoutedMessage) {
            topic = String(decoding: routed.topic, as: UTF8.self)
            (rule, topicRule) = (routed.rule, routed.topicRule)
            (sentOn, seenBy) = (routed.sentOn.places, routed.seenBy.places)
        }

        var description: String { "\(topic) by \(rule), of \(topicRule), sent on \(sentOn), seen \(seenBy)" }
    }

    private static let rename = #"return msg:with { topic = "t/" .. msg.topic }"#
    private static let payload = #"return msg:with { payload = "new" }"#

    /// Rules whose `on_message` have these bodies. The first one is asked first.
    private func rig(_ bodies: [String], _ hook: String = "on_message") throws -> RuleRig {
        var files: [String: String] = [:]
        for (place, body) in bodies.enumerated() {
            files["r\(place)/rule.lua"] = "return { priority = \(100 - place), \(hook) = function(msg, ctx, last) ctx = last or ctx \(body) end }"
        }
        return try RuleRig(files: files)
    }

    private func sent(_ bodies: String...) throws -> [Sender] {
        let rig = try rig(bodies)
        let sent = rig.withMessage(.topic, "x", "p") {
            rig.rules.onMessage($0, selection: rig.rules.selection(for: .topic, topic: $0.topic), now: 1).messages.map { Sender($0) }
        }
        #expect(rig.log.texts == [])
        return sent
    }

    @Test("belongs to that rule, whatever later rules change, and they have seen it")
    func changed() throws {
        #expect(try sent("", Self.rename, "", Self.payload, "") == [Sender("t/x", 1, of: 1, sentOn: [1], seenBy: [2, 3, 4])])
    }

    @Test("belongs to the last rule that has renamed it, and is sent on by all that have")
    func twice() throws {
        #expect(try sent(Self.rename, "", Self.rename, Self.payload) == [Sender("t/t/x", 2, of: 2, sentOn: [0, 2], seenBy: [3])])
    }

    @Test("is seen by no other rule once one has ended the chain; what was emitted before is")
    func done() throws {
        let all = Array(0..<RuleSelection.capacity)
        #expect(try sent(Self.rename, "", "return route.done()", "") == [Sender("t/x", 0, of: 0, sentOn: [0], seenBy: all)])
        let emitted = Sender("t/x", 1, of: 0, sentOn: [0, 1], seenBy: [1])
        #expect(
            try sent(Self.rename, "ctx:emit(msg:with { key = 'k' }) return route.done()", "")
                == [emitted, Sender("t/x", 0, of: 0, sentOn: [0], seenBy: all)])
    }

    @Test("belongs to that rule where a later one sends it as it is")
    func fanout() throws {
        let made = try sent(Self.rename, "", #"return route.fanout { msg, msg:with { key = "k" }, route.to("u"), route.to("v", msg) }"#, "")
        let own = Sender("t/x", 2, of: 0, sentOn: [0, 2], seenBy: [1, 2])
        #expect(made == [own, own, Sender("u", 2, of: 2, sentOn: [0, 2]), Sender("v", 2, of: 2, sentOn: [0, 2])])
    }

    @Test("belongs to that rule where a later one emits it; what comes after has not seen what was emitted")
    func emitted() throws {
        let made = try sent(Self.rename, #"ctx:emit(msg:with { key = "k" }) ctx:emit(msg:with { topic = "u" })"#, "")
        #expect(
            made == [
                Sender("t/x", 1, of: 0, sentOn: [0, 1], seenBy: [1]), Sender("u", 1, of: 1, sentOn: [0, 1]),
                Sender("t/x", 0, of: 0, sentOn: [0], seenBy: [1, 2]),
            ])
    }

    @Test("belongs to that rule where a later one delays it")
    func delayed() throws {
        let made = try sent(Self.rename, #"return route.delay(1)"#)
        #expect(made == [Sender("t/x", 1, of: 0, sentOn: [0, 1], seenBy: [1])])
    }

    @Test("is another one where a later rule makes a broadcast of it")
    func pushed() throws {
        #expect(try sent(Self.rename, #"return route.push({ uid = "u" })"#).map(\.topicRule) == [1])
    }

    @Test("under the topic that it has is not renamed")
    func same() throws {
        let rig = try rig(["return msg:with { topic = msg.topic, payload = 'new' }", "return msg:with { topic = msg.topic }"])
        #expect(rig.send("x", "p").messages.map(\.changes) == [.payload])
        let renamed = try sent(Self.rename, "return msg:with { topic = msg.topic }")
        #expect(renamed == [Sender("t/x", 0, of: 0, sentOn: [0], seenBy: [1])])
    }

    @Test("leaves nothing behind for the next message")
    func next() throws {
        let rig = try rig(["if msg.payload == 'p' then \(Self.rename) end", Self.payload])
        rig.send("x", "p")
        #expect(rig.send("x", "q").messages.map(\.rule) == [1])
    }

    @Test("for another chat belongs to that rule, too")
    func chat() throws {
        let rig = try rig([Self.rename, Self.payload], "on_chat")
        let made = rig.withMessage(.chat, "x", "p") {
            rig.rules.onChat($0, in: ChatView(id: "x", members: [], createdAt: 500), now: 1).messages.map { Sender($0) }
        }
        #expect(made == [Sender("t/x", 0, of: 0, sentOn: [0], seenBy: [1])])
    }
}
