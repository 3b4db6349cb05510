import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("A rule hurts no rule beside it")
struct IsolationTests {
    private static let neighbour = """
        local R = { priority = 1 }
        function R.on_message(msg) log.error("neighbour") return route.to("alive", msg:with { payload = json.encode { n = kv.incr("n") } }) end
        return R
        """

    private func rig(_ subject: String, limits: RuleLimits = RuleLimits()) throws -> RuleRig {
        try RuleRig(
            files: ["subject/rule.lua": "local R = { priority = 2 }\n\(subject)\nreturn R\n", "neighbour/rule.lua": Self.neighbour],
            limits: limits)
    }

    private func replaced(_ rig: RuleRig, by subject: String) throws -> ShuntError? {
        try Data("local R = { priority = 2 }\n\(subject)\nreturn R\n".utf8).write(
            to: URL(fileURLWithPath: rig.folder.path + "/subject/rule.lua"))
        defer { rig.rules.settle() }
        return rig.rules.replace(with: try RuleSet.load(directory: rig.folder.path), now: 2000)
    }

    private static let filling = """
        R.breaker = { errors = 1000000 }
        local kept = {}
        function R.on_message(msg) for i = 1, 100 do kept[#kept + 1] = ("x"):rep(10000) .. #kept end end
        """

    @Test("one that fills its memory leaves the others theirs")
    func memory() throws {
        var limits = RuleLimits()
        limits.stateMemory = 8 << 20
        let rig = try rig(Self.filling, limits: limits)
        for count in 1...30 { #expect(rig.send().messages.map(\.payload) == ["{\"n\":\(count)}"]) }
        #expect((rig.figures(rule: 0).errors[.ruleMemory] ?? 0) > 0)
        #expect(rig.figures(rule: 1).errors == [:])
        #expect(rig.rules.memory <= 8 << 20)
    }

    @Test("an error for want of memory names the bound that was met")
    func memoryBounds() throws {
        var limits = RuleLimits()
        limits.stateMemory = 8 << 20
        let rig = try rig(Self.filling, limits: limits)
        for _ in 1...30 { rig.send() }
        let texts = rig.log.texts.filter { $0.contains("(rule.memory)") }
        let expected =
            #/on_message: subject/rule.lua:4: needed more memory than rules.state_memory leaves it: [0-9]+ KiB of the 8192 KiB for all rules of a loop .*/#
        #expect(texts.contains { $0.wholeMatch(of: expected) != nil }, "\(texts.suffix(3))")
        let other = try self.rig("R.budget = { memory = '64KiB' }\nfunction R.on_message() return ('x'):rep(100000) end")
        other.send()
        #expect(
            other.log.texts.contains { $0.hasSuffix("needed more than its budget of 64 KiB of memory (budget.memory) (rule.memory)") },
            "\(other.log.texts)")
        let loading = #expect(throws: ShuntError.self) { try self.rig("local x = ('x'):rep(1e9)") }
        #expect(loading?.message == "needed more than the 32768 KiB of memory that loading a rule may take")
    }

    @Test("one that has filled its memory can be replaced")
    func replacing() throws {
        var limits = RuleLimits()
        limits.stateMemory = 4 << 20
        let rig = try rig(Self.filling, limits: limits)
        for _ in 0..<30 { rig.send() }
        #expect(try replaced(rig, by: #"function R.on_message() return route.to("well") end"#) == nil)
        #expect(rig.send().messages.map(\.topic) == ["well"])
        #expect(rig.rules.memory < 1 << 20)
    }

    @Test("one that takes all its entries of kv leaves the others theirs, and its own outlive a reload")
    func entries() throws {
        let rig = try rig(
            #"""
            R.budget = { time = "100ms" }
            function R.on_message(msg)
              for i = 1, 20000 do
                local done, why = kv.set("k" .. i, "v")
                if not done then log.info(why .. i) break end
              end
            end
            """#)
        rig.send()
        #expect(rig.log.texts == ["full10001", "neighbour"])
        #expect(rig.send().messages.map(\.payload) == [#"{"n":2}"#])
        #expect(try replaced(rig, by: #"function R.on_message() return route.drop(kv.get("k7")) end"#) == nil)
        #expect(rig.send().verdict == .drop(why: "v"))
    }

    @Test("what one logs takes no line of another, and its debug lines none of its errors")
    func lines() throws {
        let rig = try rig(#"function R.on_message() for i = 1, 300 do log.debug("noise") end log.error("own") end"#)
        rig.send()
        #expect(rig.log.texts.filter { $0 != "noise" } == ["own", "neighbour"])
        #expect(rig.log.texts.count == 102)
    }

    @Test("the next version gets what the one before saved, as it was")
    func handover() throws {
        let rig = try rig(
            #"""
            function R.on_unload()
              local list = json.array {}
              local saved = { [1] = "a", [2.5] = true, [7] = { deep = { 1, nil, 3 } }, text = "a\0b", null = json.null, list = list, again = list,
                              big = json.decode("12345678901234567890123") }
              saved.self, saved.f, saved.co = saved, print, coroutine.create(print)
              return saved
            end
            """#)
        #expect(
            try replaced(
                rig,
                by: #"""
                    local got
                    function R.on_load(settings, saved) got = saved end
                    function R.on_message(msg)
                      if not got then return end
                      assert(got[1] == "a" and got[2.5] == true and got[7].deep[1] == 1 and got[7].deep[3] == 3 and got.text == "a\0b")
                      assert(got.null == json.null and got.list == got.again and got.self == got and got.f == nil and got.co == nil)
                      return route.drop(json.encode { list = got.list, big = got.big })
                    end
                    """#) == nil)
        #expect(rig.send().verdict == .drop(why: #"{"big":12345678901234567890123,"list":[]}"#))
        #expect(rig.log.texts == ["rule subject: on_unload handed on 2 values that stay behind, such as functions"])
    }

    @Test("a saved table that was not looked at is handed on; one that on_load has no memory for ends the reload, and nothing else")
    func savedTextHandedOn() throws {
        let keeps = #"""
            local kept = {}
            function R.on_load(settings, saved) kept = saved and saved.kept or kept end
            function R.on_unload() return { kept = kept } end
            function R.on_message(msg)
              if msg.topic == "ask" then return route.drop(#kept .. " " .. kept[#kept].note:sub(1, 6)) end
              kept[#kept + 1] = msg:json().body
            end
            """#
        var limits = RuleLimits.ample
        limits.stateMemory = 512 << 20
        let rig = try rig(keeps, limits: limits)
        let body = #"{"body":{"note":""# + String(repeating: #"line\n"#, count: 700) + #""}}"#
        for _ in 0..<100 { rig.send("keep", body) }
        #expect(try replaced(rig, by: keeps + "\n") == nil)
        #expect(rig.send("ask").verdict == .drop(why: "100 line l"))
        for _ in 0..<16_000 { rig.send("keep", body) }
        #expect(rig.send("ask").verdict == .drop(why: "16100 line l"))
        let refused = try #require(try replaced(rig, by: keeps + "\n\n"))
        #expect(refused.message.contains("of memory that loading a rule may take"), "\(refused)")
        #expect(rig.send("ask").verdict == .drop(why: "16100 line l"))
    }

    @Test("what is saved is what the last on_unload returned, and no earlier one")
    func savedOnce() throws {
        let first = #"""
            local list = { "one" }
            function R.on_load(settings, saved) if saved then list = {} end end
            function R.on_unload() if #list > 0 then return { list = list } end end
            """#
        let rig = try rig(first)
        #expect(try replaced(rig, by: #"function R.on_load(settings, saved) if saved then error("not this") end end"#) != nil)
        let third = #"""
            local got
            function R.on_load(settings, saved) got = saved end
            function R.on_message(msg) return route.drop(tostring(got)) end
            """#
        #expect(try replaced(rig, by: third) == nil)
        #expect(rig.send().verdict == .drop(why: "nil"))
    }

    @Test("what one rule made of a message is there for those after it, and for what is sent")
    func copies() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": "return { priority = 3, on_message = function(msg) return msg:with { topic = 'a', payload = ('p'):rep(100000) } end }",
            "b/rule.lua":
                "return { priority = 2, on_message = function(msg, ctx) ctx:emit(msg:with { topic = 'b' }) return msg:with { key = 'k' } end }",
            "c/rule.lua":
                "return { priority = 1, on_message = function(msg) for i = 1, 9 do local s = ('x'):rep(90000) end return route.fanout { msg, route.to('c', msg) } end }",
        ])
        let payload = String(repeating: "p", count: 100_000)
        for _ in 0..<3 {
            let sent = rig.send().messages
            #expect(sent.map(\.topic) == ["b", "a", "c"])
            #expect(sent.map(\.key) == [nil, "k", "k"])
            #expect(sent.allSatisfy { $0.payload == payload })
        }
    }

    @Test("a module that a killed call was loading is loaded again, with those that it requires")
    func modules() throws {
        let rig = try RuleRig(files: [
            "r/rule.lua": """
            local R = { breaker = { errors = 1000000 } }
            slow = true
            function R.on_message(msg) return route.drop(require(msg.topic)) end
            return R
            """,
            "r/a.lua": "return 'a' .. require 'b'",
            "r/b.lua": "while slow do end return 'b'",
            "r/self.lua": "return require 'self'",
            "r/null.lua": "loads = (loads or 0) + 1 return json.null",
            "r/twice.lua": "assert(require 'null' == json.null and require 'null' == json.null and loads == 1) return 'null'",
            "r/no.lua": "nos = (nos or 0) + 1 return false",
            "r/nothing.lua": "return nil",
            "r/false.lua": "assert(require 'no' == false and require 'no' == false and nos == 1 and require 'nothing' == true) return 'false'",
            "r/well.lua": "slow = false return 'well'",
        ])
        rig.send("b")
        rig.send("a")
        #expect(rig.figures().errors == [.ruleTime: 2])
        #expect(rig.send("well").verdict == .drop(why: "well"))
        #expect(rig.send("a").verdict == .drop(why: "ab"))
        #expect(rig.send("twice").verdict == .drop(why: "null"))
        #expect(rig.send("false").verdict == .drop(why: "false"))
        rig.send("self")
        #expect(rig.log.texts.contains { $0.contains("module 'self' requires itself") })
    }

    @Test("the calls that one message causes have a budget together")
    func turn() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 1000000 }
            function R.on_message(msg) if msg.topic == "busy" then while true do end end return route.drop("called") end
            """#,
            limits: {
                var l = RuleLimits(); l.failuresPerSecond = 100; return l
            }())
        rig.rules.beginTurn()
        for _ in 0..<60 { rig.send("busy") }
        let refused = rig.log.texts.count { $0.contains("not called: the rules have taken more than 20 ms for one message (rule.time)") }
        // Each call takes 2 ms at least; the turn is looked at after each millisecond.
        #expect(refused > 0, "\(rig.log.texts)")
        #expect(rig.figures().errors == [.ruleTime: 60])
        #expect(rig.figures().calls < 16)
        #expect(rig.send().verdict == .pass)
        rig.rules.beginTurn()
        #expect(rig.send().verdict == .drop(why: "called"))
        for _ in 0..<60 { rig.send("busy") }
        #expect(rig.send(now: 1000).verdict == .pass)
        #expect(rig.send(now: 1001).verdict == .drop(why: "called"))
    }
}
