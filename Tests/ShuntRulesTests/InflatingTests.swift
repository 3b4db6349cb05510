import ShuntCore
import Synchronization
import Testing

@testable import ShuntRules

@Suite("Compressed payloads")
struct InflatingTests {
    private func rig(_ body: String, inflate: @escaping PayloadInflater) throws -> RuleRig {
        try RuleRig(files: ["rule/rule.lua": "return { breaker = { errors = 0 }, on_message = function(msg, ctx) \(body) end }"], inflate: inflate)
    }

    private static func broken(
        _ packed: Bytes, _ compression: PayloadCompression, _ limit: Int, _ check: () throws(ShuntError) -> Void
    ) throws(ShuntError) -> [UInt8] {
        throw ShuntError(.frameMalformed, "broken")
    }

    @Test(
        "inflating is ended with the call's time, and no catch goes on",
        arguments: [
            "return msg.payload", "return msg:json()", "while true do pcall(function() return msg.payload end) end",
        ])
    func time(body: String) throws {
        let rig = try rig(body) { (_, _, _, check) throws(ShuntError) in
            while true { try check() }
        }
        let clock = ThreadClock()
        rig.send("t", "Z", compression: .gzip)
        #expect(clock.milliseconds < 500)
        #expect(rig.figures().errors == [.payloadInvalid: 1])
        #expect(rig.log.texts.first?.contains("rule/rule.lua:1: took more than its budget of 50 ms (payload.invalid)") == true, "\(rig.log.texts)")
    }

    @Test("no more is inflated than the call has memory for")
    func memory() throws {
        let asked = Mutex(0)
        let rig = try rig("return route.drop(#msg.payload)") { (_, _, limit, _) throws(ShuntError) in
            asked.withLock { $0 = limit }
            throw ShuntError(.memoryLimit, "more")
        }
        rig.send("t", "Z", compression: .lz4)
        #expect((1_000_000...(1 << 20)).contains(asked.withLock { $0 }))
        #expect(
            rig.log.texts.first?.contains("bytes inflated, which is what is left of the call's memory (payload.invalid)") == true, "\(rig.log.texts)")
    }

    @Test("a payload that is not what it says is the client's error: the rule is not switched off for the others")
    func breaker() throws {
        let rig = try rig("if msg.topic == 'own' then error('mine') end return route.drop(msg.payload)", inflate: Self.broken)
        for _ in 0..<200 { rig.send("t", "Z", compression: .gzip) }
        #expect(rig.figures().errors == [.payloadInvalid: 200])
        #expect(rig.rules.figures().map(\.isOff) == [false])
        #expect(rig.send("t", "plain").verdict == .drop(why: "plain"))
        rig.send("own")
        #expect(rig.rules.figures().map(\.isOff) == [true])
    }

    @Test("a rule may catch it; what then goes wrong is its own")
    func caught() throws {
        let rig = try rig("if not pcall(function() return msg.payload end) then return route.reject('not gzip') end", inflate: Self.broken)
        #expect(rig.send("t", "Z", compression: .gzip).verdict == .reject(why: "not gzip"))
        let loops = try self.rig("pcall(function() return msg.payload end) while true do end", inflate: Self.broken)
        loops.send("t", "Z", compression: .gzip)
        #expect(loops.figures().errors == [.ruleTime: 1])
    }

    @Test("a payload is inflated once, for all rules, their copies and the log")
    func once() throws {
        let count = Mutex(0)
        let rule = #"return { on_message = function(msg) log.info(#msg.payload .. #msg:json().a .. #msg:with { topic = "x" }.payload) end }"#
        let rig = try RuleRig(
            files: ["a/rule.lua": rule, "b/rule.lua": rule],
            inflate: { _, _, _, _ in
                count.withLock { $0 += 1 }
                return Array(#"{"a":"b"}"#.utf8)
            })
        rig.send("t", "Z", compression: .gzip)
        #expect(rig.log.texts == ["919", "919"])
        #expect(count.withLock { $0 } == 1)
    }

    @Test("what no rule has read is not inflated for the log")
    func unread() throws {
        let count = Mutex(0)
        let rig = try rig("log.info('nothing was read')") { _, _, _, _ in
            count.withLock { $0 += 1 }
            return []
        }
        rig.send("t", "Z", compression: .gzip)
        #expect(rig.log.texts == ["nothing was read"])
        #expect(count.withLock { $0 } == 0)
    }
}
