import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

/// What a rule can make grows without bound; what a call of it takes does not. Times are of the thread's processor clock.
@Suite("Large texts and tables end with the budget")
struct SlowInputTests {
    /// A quarter of a second is far beyond a budget of 2 ms, and far below what each took without a bound.
    private static let longest = 0.25

    private func seconds(_ body: () -> Void) -> Double {
        let clock = ThreadClock()
        body()
        return clock.milliseconds / 1000
    }

    @Test("what is shown of a large table that was raised takes no longer than that of a small one")
    func raisedTables() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 1000000 }
            local list, map = { code = 1 }, {}
            function R.on_load()
              for i = 1, 400000 do list[i] = i end
              for i = 1, 100000 do map[i + 0.5] = i end
              for i = 1, 100000 do map[i + 0.5] = nil end
              map.code = 2
            end
            function R.on_message(msg) error(msg.topic == "list" and list or map) end
            """#)
        let took = seconds {
            for _ in 0..<20 {
                rig.send("list")
                rig.send("map")
            }
        }
        #expect(took < Self.longest)
        #expect(rig.log.texts.contains { $0.contains("raised a table instead of a text: {code = 1, …}") }, "\(rig.log.texts.prefix(3))")
    }

    @Test("keys that all fall into one place of a table are refused, and those that do not in the next size are taken")
    func collidingKeys() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 1000000 }
            R.budget = { time = "20ms", memory = "64MiB" }
            local seen, worse = {}, {}
            function R.on_load()
              for i = 1, 16384 do seen[i * 32767] = true end
              for i = 1, 200 do worse[i * 32767 * 65535 * 131071] = true end
            end
            function R.on_message(msg)
              if msg.topic == "add" then for i = 16385, 17000 do seen[i * 32767] = true end return route.drop("added") end
              if msg.topic == "worse" then for i = 201, 200000 do rawset(worse, (i % 2 == 0 and i or i + 0.0) * 32767 * 65535 * 131071, true) end end
              local count = 0
              for key in pairs(seen) do count = count + 1 assert(seen[key] and key % 32767 == 0) end
              return route.drop(count)
            end
            """#, limits: RuleLimits())
        var added: Outcome.Verdict?
        #expect(seconds { added = rig.send("add").verdict } < Self.longest)
        #expect(added == .drop(why: "added"))
        #expect(rig.send("count").verdict == .drop(why: "17000"), "\(rig.log.texts)")
        for _ in 0..<20 { #expect(seconds { rig.send("worse") } < Self.longest) }
        #expect(rig.send("count").verdict == .drop(why: "17000"))
    }

    @Test("a table keeps its list and its keys as it grows")
    func growth() throws {
        let said = try RuleRig.ask(
            #"""
            local t = {}
            for i = 1, 3000 do t[i * 7919 % 4001] = i t["k" .. i] = i t[i + 0.5] = i t[-i] = i end
            for i = 1, 3000 do assert(t[i * 7919 % 4001] == i and t["k" .. i] == i and t[i + 0.5] == i and t[-i] == i) end
            local mixed = {}
            for i = 1, 1200 do mixed["k" .. i] = i end
            for i = 1, 700 do mixed[i * 2047] = i end
            for i = 1, 1200 do assert(mixed["k" .. i] == i) end
            for i = 1, 700 do assert(mixed[i * 2047] == i) end
            for i = 1, 3000 do t["k" .. i] = nil t[-i] = nil t[i + 0.5] = nil end
            for i = 1, 4000 do t[i] = i end
            assert(#t == 4000)
            for i = 1, 4000 do assert(rawget(t, i) == i) end
            local count = 0
            for _ in pairs(t) do count = count + 1 end
            log.info(tostring(count))
            """#,
            limits: {
                var l = RuleLimits(); l.callNanoseconds = 100_000_000; l.callMemory = 16 << 20; return l
            }())
        #expect(said == ["4001"] || said == ["4000"], "\(said)")
    }

    @Test("weak keys and finalizers that a metatable is given later mean nothing")
    func weakKeysLater() throws {
        let rig = try RuleRig(
            #"""
            R.budget = { memory = "64MiB" }
            local T, m, ran = {}, {}, false
            function R.on_load()
              setmetatable(T, m)
              m.__mode, m.__gc = "k", function() ran = true end
              local key = {}
              for i = 1, 20000 do local next = {} T[key] = next key = next end
            end
            function R.on_message(msg)
              setmetatable({}, getmetatable(setmetatable({}, {})))
              for i = 1, 3000 do local garbage = { i } end
              local count = 0
              for _ in pairs(T) do count = count + 1 end
              return route.drop(tostring(ran) .. count)
            end
            """#, limits: RuleLimits())
        for _ in 0..<200 {
            #expect(seconds { rig.send() } < Self.longest)
            if rig.rules.figures()[0].isOff { break }
        }
        #expect(rig.figures().errors.keys.allSatisfy { $0 == .ruleTime })
    }

    static let slow = [
        "S < big .. 'b'", "Z < ('\\0'):rep(#Z)", "Z <= Z2", "S:find('xb', 1, true)", "S:find('[%w_]*b')", "S:find('%b()')", "tonumber(S)", "S + 1",
        "-S", "t[S]",
        "utf8.len(S)", "utf8.offset(S, #S)", "S:upper()", "S:lower()", "S:reverse()", "json.decode((' '):rep(#S))", "json.encode(S)", "time.parse(S)",
        "string.unpack('z', S)", "base64.encode(S)", "json.encode(many)", "counter('n', many)", "log.info('m', many)", "S:rep(2)",
    ]

    @Test("each function over what on_load made is quick or is ended", arguments: slow)
    func ends(_ call: String) throws {
        let rig = try RuleRig(
            #"""
            R.budget = { memory = "64MiB" }
            local S, Z, Z2, big, t, many = "", "", "", "", {}, {}
            function R.on_load()
              big = ("x"):rep(8000000)
              S, Z, Z2 = big .. "a", ("\0"):rep(#big), ("\0"):rep(#big)
              for i = 1, 60000 do many["k" .. i] = i end
            end
            function R.on_message() local _ = \#(call) end
            """#,
            limits: {
                var l = RuleLimits(); l.loadMemory = 64 << 20; return l
            }())
        #expect(seconds { rig.send() } < Self.longest, "\(rig.log.texts)")
    }

    @Test("logging about a message of 10 MiB costs the loop little, whatever the rule says of it")
    func logging() throws {
        let rig = try RuleRig(
            #"""
            R.budget = { time = "100ms" }
            function R.on_message(msg) for i = 1, 100 do log.info(("x"):rep(1000) .. i, { text = ("y"):rep(4000) .. i }) end end
            """#, limits: RuleLimits())
        let payload = String(repeating: "0123456789\\n", count: 900_000)
        #expect(seconds { rig.send("t", payload) } < Self.longest)
        #expect(!rig.log.texts.isEmpty)
        #expect(!rig.log.texts.contains { $0.contains("0123456789") })
    }

    @Test("lengths and places in UTF-8 are Lua's")
    func utf8() throws {
        let said = try RuleRig.ask(
            #"""
            local text = "aé€😀z"
            assert(utf8.len(text) == 5 and utf8.len(text, 2) == 4 and utf8.len(text, -1) == 1 and utf8.len("") == 0 and utf8.len(text, 12) == 0)
            assert(select(2, utf8.len("a\xff")) == 2 and utf8.len("\u{7FFFFFFF}") == nil and utf8.len("\u{7FFFFFFF}", 1, -1, true) == 1)
            assert(utf8.len("\xed\xa0\x80") == nil and utf8.len("\xc0\x80") == nil and utf8.len("\xe2\x82") == nil)
            assert(not pcall(utf8.len, text, 13) and not pcall(utf8.len, text, 1, 12))
            assert(utf8.offset(text, 3) == 4 and utf8.offset(text, 6) == 12 and utf8.offset(text, 7) == nil and utf8.offset(text, -1) == 11)
            assert(utf8.offset(text, -2) == 7 and utf8.offset(text, 0, 9) == 7 and utf8.offset(text, -6) == nil and not pcall(utf8.offset, text, 1, 3))
            assert(("aBé"):upper() == "ABé" and ("aBé"):lower() == "abé" and ("abc"):reverse() == "cba" and ("ab"):rep(70000):sub(-3) == "bab")
            assert(("ab"):rep(3, "-") == "ab-ab-ab" and #("abc"):rep(50001) == 150003 and ("abc"):rep(50001):find("[^abc]") == nil)
            assert("a" < "b" and "a\0b" < "a\0c" and not ("a\0" < "a") and "10" + 1 == 11 and tonumber("0x10") == 16)
            log.info("same")
            """#,
            limits: {
                var l = RuleLimits(); l.callNanoseconds = 100_000_000; return l
            }())
        #expect(said == ["same"])
    }

    @Test("a file is parsed piece by piece, and its constants do not collide")
    func parsing() throws {
        var limits = RuleLimits()
        limits.loadNanoseconds = 20_000_000
        let constants = "local t = {" + (1...20_000).map { "\($0 * 32767)" }.joined(separator: ",") + "}"
        #expect(seconds { _ = try? RuleRig(constants, limits: limits) } < 8 * Self.longest)
        let rig = try RuleRig(constants + "\nfunction R.on_message() return route.drop(t[20000]) end")
        #expect(rig.send().verdict == .drop(why: "655340000"))
        let functions = (1...3500).map { "do local function f\($0)() return {\($0), {}, {}, {}, {}, {}, {}, {}, {}} end end" }.joined(separator: "\n")
        limits.loadNanoseconds = 1_000_000
        #expect(throws: ShuntError.self) { _ = try RuleRig(functions, limits: limits) }
        #expect(seconds { _ = try? RuleRig(functions, limits: limits) } < Self.longest)
    }

    @Test("a cache of a fixed number of keys is not made anew at each new one")
    func cache() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 1000000 }
            R.budget = { time = "20ms" }
            local seen, n = {}, 16384
            function R.on_load() for i = 1, n do seen["k" .. i] = i end end
            function R.on_message(msg)
              for _ = 1, 20 do
                n = n + 1
                seen["k" .. n - 16384] = nil
                seen["k" .. n] = n
              end
            end
            """#, limits: RuleLimits())
        #expect(seconds { for _ in 0..<200 { rig.send() } } < 8 * Self.longest)
        #expect((rig.figures().errors[.ruleTime] ?? 0) < 20)
    }
}
