import Foundation
import ShuntCore
import Synchronization
import Testing

@testable import ShuntRules

@Suite("shunt rule test")
struct RuleTestTests {
    private func run(_ rule: String, _ tests: String, print: @escaping @Sendable (String) -> Void = { _ in }) throws -> [RuleTestResult] {
        let folder = try PluginFolder(["r/rule.lua": rule, "r/rule_test.lua": tests])
        return try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r"), print: print).run().map { result in
            var failure = result.failure
            failure?.location = result.failure?.location?.replacing(folder.path + "/", with: "")
            return RuleTestResult(name: result.name, failure: failure)
        }
    }

    @Test("a test sees what a rule on trial decides, and what it sends", arguments: ["shadow", "canary"])
    func trials(mode: String) throws {
        let results = try run(
            "return { mode = '\(mode)', on_message = function(m, ctx) ctx:emit(m:with { topic = 'b' }) return m:with { payload = 'x' } end }",
            """
            return { ["it decides"] = function(t)
              local out = t:message { topic = "a", payload = "p" }
              t:eq(out.verdict, "replace") t:eq(#out.messages, 2) t:eq(out.messages[2].payload, "x")
            end }
            """)
        #expect(results.map(\.failure) == [nil])
    }

    private static let raises = "return { on_message = function(m) if m.topic == 'bad' then error('oh no') end log.error('a line') end }"

    @Test("a rule that fails fails the test, unless the test looks at the error")
    func failing() throws {
        let results = try run(
            Self.raises,
            """
            return {
              ["1 looks at it"] = function(t) t:ok(t:message { topic = "bad" }.error:find("oh no")) end,
              ["2 does not"] = function(t)
                t:message { topic = "good" }
                t:eq(t:message { topic = "bad" }.verdict, "pass")
              end,
              ["3 looks at all"] = function(t) for _ in pairs(t:message { topic = "bad" }) do end end,
              ["4 fails too"] = function(t) t:eq(t:message { topic = "bad" }.verdict, "drop") end,
              ["5 a line of log.error is no failure"] = function(t) local out = t:message { topic = "good" } t:eq(out.error, nil) t:eq(out.logs, { "a line" }) end,
            }
            """)
        #expect(results.map { $0.failure == nil } == [true, false, true, false, true], "\(results)")
        #expect(results[1].failure?.location == "r/rule_test.lua:5")
        #expect(results[1].failure?.message.hasPrefix("the rule failed: on_message: r/rule.lua:1: oh no (rule.failed)") == true)
        #expect(results[3].failure?.message.contains(#"expected "drop", got "pass"; the rule failed: on_message"#) == true)
    }

    @Test("more failures than the log would tell in a second are all seen")
    func manyFailures() throws {
        let results = try run(
            Self.raises,
            """
            return { ["many"] = function(t) for i = 1, 30 do t:ok(t:message { topic = "bad" }.error) end end }
            """)
        #expect(results.map(\.failure) == [nil])
    }

    @Test(
        "what t does not know is an error with its line",
        arguments: [
            ("t:message { tpic = 'a' }", "t:message does not take tpic"), ("t:message { topic = 5 }", "t:message: topic is a number"),
            ("t:message { payload = 5 }", "t:message: payload is a number"), ("t:message { format = 'jsn' }", "t:message: format is \"jsn\""),
            ("t:message { hops = 300 }", "t:message: hops is 300; a whole number from 0 to 255"),
            ("t:message { id = 'x' }", "t:message: id is a text"),
            ("t:message { sender = 'ann' }", "t:message: sender takes a table, not a text"),
            ("t:message { sender = { name = 'ann' } }", "t:message: sender does not take name"),
            ("t:message('x')", "t:message takes a table, not a text"), ("t:deliver { to = { tags = 'a' } }", "t:deliver: to: tags is a text"),
            ("t:undelivered { kind = 'topics' }", "t:undelivered: kind is \"topics\""), ("t:connect { uuid = 'x' }", "t:connect does not take uuid"),
            ("t:subscribe { filter = 'x' }", "t:subscribe does not take filter"),
            ("t:disconnect { reason = 'x' }", "t:disconnect does not take reason"),
            ("t:chat { members = { 'ann' } }", "t:chat: members takes a table, not a text"),
            ("t:chat { members = { { id = 'ann' } } }", "t:chat: members does not take id"),
            ("t:chat_open { why = 'x' }", "t:chat_open does not take why"), ("t:chat_close { why = 5 }", "t:chat_close: why is a number"),
            ("t:message { topc = 'a' }", "t:message does not take topc; did you mean topic? it takes content_type, "),
            ("t:message { topic = 'orders/+' }", "t:message: topic: no message has 'orders/+' as its topic"),
            ("t:message { topic = '' }", "t:message: topic: the topic is empty"), ("t:will { topic = '#' }", "t:will: topic: no message has '#'"),
            ("t:deliver { topic = 'a/#' }", "t:deliver: topic: no message has"), ("t:select { topic = '' }", "t:select: topic: the topic is empty"),
            ("t:message { topic = 'gr\\xf6n' }", "t:message: topic is no UTF-8"), ("t:connect { tags = { '\\xf6' } }", "t:connect: tags is a list"),
            ("t:connect { uid = '\\xf6' }", "t:connect: uid is no UTF-8"),
            ("t:message { props = { a = '\\xf6' } }", "t:message: props is a list"),
            ("t:resolve('a', { '\\xf6' })", "t:resolve: addresses is a list"),
            ("t:http('GET http://a/', { headers = { a = 5 } })", "t:http: headers is a table"),
            ("t:equal(1, 1)", "t has no equal; did you mean eq? it has acked, advance, "), ("t.mesage {}", "t has no mesage; did you mean message?"),
            ("local x = t:message {}.verdit", "what t:message gives has no verdit; did you mean verdict? it has verdict, why"),
            ("t:eq(t:message {}.eror, nil)", "what t:message gives has no eror; did you mean error?"),
            ("t:eq(t:message {}.messages[1].paylod, 'x')", "a message that is sent has no paylod; did you mean payload?"),
            ("t:eq(t:connect {}.payload, nil)", "what t:connect gives has no payload"),
            ("t:eq(t:advance(1).verdict, nil)", "what t:advance gives has no verdict"),
            ("t:advance('1s')", "t:advance takes seconds"), ("t:settings(5)", "t:settings takes a table"),
        ])
    func unknown(call: String, expected: String) throws {
        let failure = try #require(try run("return { on_message = function() end }", "return { ['x'] = function(t)\n\(call)\nend }").first?.failure)
        #expect(failure.message.contains(expected), "\(failure)")
        if !call.contains("settings") { #expect(failure.location == "r/rule_test.lua:2", "\(failure)") }
    }

    @Test("on its way to a client a message has what the packet carries: a rule sees the same in a test and in a worker")
    func underWay() throws {
        let results = try run(
            """
            local R = {}
            local function see(msg)
              log.info(table.concat({ tostring(msg.sender and msg.sender.uid), msg.id, msg.hops, msg.qos, tostring(msg.retain), #msg.props }, " "))
            end
            R.on_deliver, R.on_undelivered, R.on_acked = see, see, see
            return R
            """,
            """
            return { ["all"] = function(t)
              local function asked(more)
                local asked = { topic = "a", payload = "x", id = 7, hops = 2, qos = 2, retain = true, props = { a = "b" }, sender = { uid = "u" } }
                for key, value in pairs(more) do asked[key] = value end
                return asked
              end
              t:eq(t:deliver(asked { to = { uid = "x" } }).logs, { "nil 7 0 1 false 0" })
              t:eq(t:deliver(asked { to = { uid = "x", client_id = "c" } }).logs, { "nil 0 0 2 true 1" })
              t:eq(t:acked(asked { by = { uid = "x", client_id = "c" } }).logs, { "nil 0 0 2 true 1" })
              t:eq(t:undelivered(asked { why = "queue full" }).logs, { "nil 7 0 2 true 1" })
              t:eq(t:undelivered(asked { why = "no subscriber" }).logs, { "u 7 2 2 true 1" })
            end }
            """)
        #expect(results.map(\.failure) == [nil])
    }

    @Test("a sender has the attributes that the test gives it, and a message the format of its content type, and the key among its properties")
    func described() throws {
        let results = try run(
            """
            return { on_message = function(m)
              return route.reject(table.concat({ m.sender.attributes.plan or "none", m.format, m.content_type or "-", m.key or "-" }, " "))
            end }
            """,
            """
            return { ["all"] = function(t)
              t:eq(t:message { topic = "a", payload = "x", sender = { uid = "u", attributes = { plan = "free" } } }.why, "free text text/plain -")
              t:eq(t:message { topic = "a", payload = "{}", content_type = "x/y" }.why, "none json x/y -")
              t:eq(t:message { topic = "a", payload = "x", content_type = "application/json", props = { key = "k" } }.why, "none json application/json k")
            end }
            """)
        #expect(results.map(\.failure) == [nil])
    }

    @Test("a test of a rule that needs settings, and gives it none, is told how they are given")
    func settings() throws {
        let results = try run(
            "return { settings = { rate = number { min = 1 } }, on_message = function() end }",
            """
            return {
              ["1 none"] = function(t) t:message { topic = "a" } end,
              ["2 wrong"] = function(t) t:settings { rate = 0 } t:message { topic = "a" } end,
            }
            """)
        #expect(
            results.map { $0.failure?.message } == [
                "rules.settings.r.rate is missing; a number of at least 1; a test gives the settings by t:settings{…}",
                "rules.settings.r.rate is 0; a number of at least 1",
            ])
    }

    @Test("what an outcome may have and has not is nil, and a comparison of outcomes tells what differs")
    func absent() throws {
        let results = try run(
            "return { on_message = function() end, on_connect = function() end, on_subscribe = function() end }",
            """
            return {
              ["1 fields"] = function(t)
                local out = t:message { topic = "a" }
                for _, name in ipairs { "why", "worker", "always", "error", "closed", "key", "filter", "delay", "expiry" } do t:eq(out[name], nil) end
                t:eq(out.messages[1].key, nil)
                t:eq(t:connect {}.limits, nil) t:eq(t:subscribe {}.why, nil) t:eq(t:subscribe {}.error, nil)
              end,
              ["2 whole"] = function(t) t:eq(t:message { topic = "a" }.messages[1], { topic = "a", foo = 1 }) end,
            }
            """)
        #expect(results[0].failure == nil, "\(results)")
        #expect(results[1].failure?.message.contains(".foo: missing, expected 1") == true, "\(results)")
    }

    @Test("a test whose name is no UTF-8, or has a NUL, is run")
    func names() throws {
        let results = try run(
            "return { on_message = function() end }",
            #"""
            return { ["gr\xf6\xdfe"] = function(t) t:eq(1, 2) end, ["n\0ul"] = function(t) t:eq(1, 2) end, ["ö"] = function() end }
            """#)
        #expect(results.map(\.name) == [#"gr\xf6\xdfe"#, "n\u{0}ul", "ö"])
        #expect(results.map { $0.failure?.message } == ["expected 2, got 1", "expected 2, got 1", nil])
    }

    @Test("what is no test in a table of tests is an error that names it")
    func noTests() throws {
        let wrong = "a test file returns [\"what is promised\"] = function(t), not "
        #expect(try run("return {}", "return { ['x'] = 5 }").first?.failure?.message == wrong + "[\"x\"] = a number")
        #expect(try run("return {}", "return { function() end }").first?.failure?.message == wrong + "[1] = a function")
        let huge = try run("return {}", "return { [('x'):rep(2000000)] = function() end }")
        #expect(huge.first?.failure?.message.contains("names of the tests") == true, "\(huge)")
    }

    @Test("an error that is no text is told with its line")
    func tables() throws {
        let results = try run("return { on_message = function() end }", "return { ['x'] = function(t)\nerror({ code = 1 })\nend }")
        #expect(results.first?.failure?.location == "r/rule_test.lua:2", "\(results)")
    }

    @Test("payloads that are no text go through as they are")
    func binary() throws {
        let results = try run(
            "return { on_message = function(m) return m:with { payload = m.payload .. '\\xfe', key = m.key .. '\\xfd' } end }",
            #"""
            return { ["binary"] = function(t)
              local out = t:message { payload = "\xff\0\xc3", key = "\x80" }
              t:eq(out.payload, "\xff\0\xc3\xfe") t:eq(out.key, "\x80\xfd") t:eq(out.messages[1].payload, "\xff\0\xc3\xfe")
            end }
            """#)
        #expect(results.map(\.failure) == [nil])
    }

    @Test("print in a test goes to who runs it; what the rule prints is in logs")
    func prints() throws {
        let lines = Mutex<[String]>([])
        _ = try run(
            "return { on_message = function() print('of the rule') end }",
            """
            return { ["x"] = function(t) print("of the test", 5) t:eq(t:message {}.logs, { "of the rule" }) for i = 1, 200 do print(i) end end }
            """, print: { line in lines.withLock { $0.append(line) } })
        #expect(lines.withLock { $0 } == ["of the test\t5"] + (1...200).map(String.init))
    }

    @Test("a rule_test.lua that does not load is a test that failed")
    func broken() throws {
        let results = try run("return {}", "return {\n  ['x'] = function( end }")
        #expect(results.map(\.name) == ["rule_test.lua"])
        #expect(results.first?.failure?.location == "r/rule_test.lua:2")
        #expect(try run("return {}", "return 5").first?.failure?.message == "a test file returns a table of tests")
    }

    @Test("a plugin is checked without its settings and without tests: hooks, keys, budgets over the worker's")
    func checked() throws {
        func warnings(_ rule: String) throws -> [String] {
            let folder = try PluginFolder(["r/rule.lua": rule])
            return try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).warnings().map(\.message)
        }
        #expect(try warnings("return { on_load = function() error('settings, please') end, on_message = function() end }") == [])
        #expect(throws: ShuntError.self) { try warnings("return { on_mesage = function() end }") }
        #expect(
            try warnings("return { budget = { time = '50ms', memory = '32MiB' }, on_message = function() end }") == [
                "budget.memory is over rules.budget.memory: 1024 KiB is what the rule gets",
                "budget.time is over rules.budget.time: 2.0 ms is what the rule gets",
            ])
    }

    @Test("a budget over the worker's is warned of where it is loaded, with its line")
    func budgetWarning() throws {
        let folder = try PluginFolder(["r/rule.lua": "return {\n  budget = { time = '50ms' },\n  on_message = function() end }"])
        var limits = RuleLimits()
        limits.callNanosecondsCap = 2_000_000
        let set = try RuleSet.load(directory: folder.path, limits: limits)
        #expect(set.warnings.map(\.message) == ["budget.time is over rules.budget.time: 2.0 ms is what the rule gets"])
        #expect(set.warnings.first?.location?.hasSuffix("r/rule.lua:2") == true)
        #expect(set.rules.map(\.definition.nanoseconds) == [2_000_000])
    }

    @Test("only regular files are read", .timeLimit(.minutes(1)))
    func regularFiles() throws {
        let folder = try PluginFolder(["r/rule.lua": "return {}"])
        #expect(mkfifo(folder.path + "/r/pipe.lua", 0o600) == 0)
        let error = #expect(throws: ShuntError.self) { try RulePlugin(directory: folder.path + "/r") }
        #expect(error?.message == "not a regular file")
        #expect(error?.location?.hasSuffix("/r/pipe.lua") == true)
    }

    @Test(
        "whatever is wrong with a rule keeps a process from starting as a configuration error does",
        arguments: [
            ErrorCode.ruleInvalid, .ruleMissing, .ruleFailed, .ruleTime, .ruleMemory,
        ])
    func exitCodes(code: ErrorCode) { #expect(code.exitCode == 78) }
}
