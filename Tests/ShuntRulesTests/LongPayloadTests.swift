import ShuntCore
import Testing

@testable import ShuntRules

/// A payload of 600,000 bytes in calls that may take 1 MiB: there is room for one text of it, not for two.
@Suite("A long payload becomes one text a call")
struct LongPayloadTests {
    private static let long = String(repeating: "p", count: 600_000)
    private static let twice = "local a, b = msg.payload, msg.payload return route.drop(#a + #b)"

    /// Rules whose `on_message` have these bodies. The first one is asked first.
    private func rig(_ bodies: String..., inflated: String = "") throws -> RuleRig {
        var files: [String: String] = [:]
        for (place, body) in bodies.enumerated() {
            files["r\(place)/rule.lua"] =
                "return { priority = \(100 - place), budget = { memory = '1MiB' }, on_message = function(msg, ctx) \(body) end }"
        }
        return try RuleRig(files: files, inflate: { _, _, _, _ in Array(inflated.utf8) })
    }

    @Test("however often a rule reads it, as it came or inflated")
    func twice() throws {
        let plain = try rig(Self.twice)
        #expect(plain.send("t", Self.long).verdict == .drop(why: "1200000"), "\(plain.log.texts)")
        let packed = try rig(Self.twice, inflated: Self.long)
        #expect(packed.send("t", "Z", compression: .gzip).verdict == .drop(why: "1200000"), "\(packed.log.texts)")
    }

    @Test("in each rule in turn, also of one that a rule before has set")
    func chain() throws {
        let read = "local a, b = msg.payload, msg.payload if a ~= b then error('differs') end"
        let rig = try rig(
            read, read + " return msg:with { payload = ('q'):rep(2000) }", read + " return msg:with { payload = a .. 'r' }",
            "local a, b = msg.payload, msg.payload return route.drop(#a + #b .. a:sub(1, 1) .. b:sub(-1))")
        #expect(rig.send("t", Self.long).verdict == .drop(why: "4002qr"), "\(rig.log.texts)")
        #expect(rig.send("t", Self.long + "s").verdict == .drop(why: "4002qr"), "\(rig.log.texts)")
    }

    @Test("a copy has the text that it was given, or that of its message")
    func copies() throws {
        let given = try rig(
            """
            local own = msg:with { payload = ("q"):rep(600000) }
            local other = own:with { topic = "other" }
            local a, b, c = own.payload, own.payload, other.payload
            return route.drop(#a + #b + #c .. a:sub(1, 1) .. msg.payload)
            """)
        #expect(given.send("t", "p").verdict == .drop(why: "1800000qp"), "\(given.log.texts)")
        let shared = try rig(
            """
            local a, copy = msg.payload, msg:with { topic = "other" }
            local b, c = copy.payload, copy:with { key = "k" }.payload
            return route.drop(#a + #b + #c)
            """)
        #expect(shared.send("t", Self.long).verdict == .drop(why: "1800000"), "\(shared.log.texts)")
        let changed = try rig(
            """
            local copy = msg:with { payload = ("q"):rep(2000) }
            local a, b = msg.payload, copy.payload
            return route.drop(#a .. a:sub(1, 1) .. #b .. b:sub(1, 1) .. #msg.payload)
            """)
        #expect(changed.send("t", String(repeating: "p", count: 2000)).verdict == .drop(why: "2000p2000q2000"), "\(changed.log.texts)")
    }

    @Test("in on_deliver, on_undelivered and on_acked, each call its own message's")
    func otherHooks() throws {
        func read(_ first: String) -> String {
            "local a, b = msg.payload, msg.payload if a ~= b or a:sub(1, 1) ~= '\(first)' then error('wrong') end log.info('read')"
        }
        let rig = try RuleRig(
            """
            R.budget = { memory = "1MiB" }
            function R.on_message(msg) \(read("p")) end
            function R.on_deliver(msg) \(read("q")) return msg:with { payload = "new" } end
            function R.on_undelivered(msg) \(read("u")) end
            function R.on_acked(msg) \(read("a")) end
            """)
        rig.send("t", Self.long)
        guard case .replace(let changed) = rig.deliver("t", "q" + Self.long) else { throw ShuntError(.internalError, "not replaced") }
        #expect(changed.payload == "new")
        rig.withMessage(.topic, "t", "u" + Self.long) { rig.rules.onUndelivered($0, why: "nobody", now: 1000) }
        rig.withMessage(.topic, "t", "a" + Self.long) { rig.rules.onAcked($0, by: Clients.peer().id, now: 1000) }
        #expect(rig.log.texts == ["read", "read", "read", "read"])
    }

    @Test("is let go of when the call has ended, be it by an error")
    func letGo() throws {
        let rig = try RuleRig(
            """
            R.budget = { memory = "8MiB" }
            function R.on_message(msg)
              local text = msg.payload
              if msg.topic == "error" then error("no") end
              for i = 1, 20 do local garbage = ("g"):rep(10000 + i) end
            end
            """)
        for _ in 0..<100 { rig.send("t", "{}") }
        let before = rig.rules.memory
        for topic in ["t", "error"] {
            rig.send(topic, String(repeating: "p", count: 4_000_000))
            for _ in 0..<100 { rig.send("t", "{}") }
            #expect(rig.rules.memory < before + 2_000_000)
        }
    }
}
