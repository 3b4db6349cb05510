import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Loading, replacing, switching off")
struct LifecycleTests {
    private func failure(_ files: [String: String], enabled: RuleSet.Enabled = .all, settings: [String: SettingValue] = [:]) throws -> ShuntError? {
        let folder = try PluginFolder(files)
        do throws(ShuntError) {
            _ = try RuleSet.load(directory: folder.path, enabled: enabled, settings: settings)
            return nil
        } catch {
            var error = error
            error.location = error.location.map { $0.replacing(folder.path + "/", with: "") }
            return error
        }
    }

    @Test(
        "what is wrong with a rule file is said with its line and what would be right",
        arguments: [
            ("return {\n  on_message = function( end }", "r/rule.lua:2", "expected near 'end'", nil),
            ("return 5", "r/rule.lua:1", "a rule file returns its table, not a number", nil),
            ("local R = {}\nR.on_mesage = function() end\nreturn R", "r/rule.lua:2", "unknown hook on_mesage", "did you mean on_message?"),
            ("local R = {}\n\nfunction R.extra() end\nreturn R", "r/rule.lua", "unknown key extra in the rule's table", nil),
            ("return {\n  prioritty = 5,\n}", "r/rule.lua:2", "unknown key prioritty in the rule's table", "did you mean priority?"),
            ("return {\n  priority = \"high\" }", "r/rule.lua:2", "priority is a text", "a whole number; higher runs first"),
            ("return {\n\n  match = { kind = \"topics\" } }", "r/rule.lua:3", "unknown kind \"topics\" in match", "one of topic, broadcast, chat"),
            ("return { match = { topic = \"a/#/b\" } }", "r/rule.lua:1", "match.topic is no topic filter: \"a/#/b\"", nil),
            ("return { match = { topics = \"a\" } }", "r/rule.lua:1", "unknown key topics in match", "allowed: kind, topic"),
            ("return { budget = { time = 2 } }", "r/rule.lua:1", "budget.time is 2", "a time like \"2ms\" or \"10s\""),
            ("return { budget = { memory = \"lots\" } }", "r/rule.lua:1", "budget.memory is \"lots\"", nil),
            ("return { mode = \"shade\" }", "r/rule.lua:1", "mode is \"shade\"", "live, shadow, or canary"),
            ("return { on_error = \"ignore\" }", "r/rule.lua:1", "on_error is \"ignore\"", "pass, drop or reject"),
            ("return { breaker = { errors = -1 } }", "r/rule.lua:1", "breaker.errors is -1", nil),
            ("return { on_message = 5 }", "r/rule.lua:1", "on_message is a number", "a function"),
            ("return { name = \"a b\" }", "r/rule.lua:1", "name is \"a b\"", nil),
            ("\nerror(\"at load\")", "r/rule.lua:2", "at load", nil),
            ("return { on_load = function()\n  error(\"no such thing\") end }", "r/rule.lua:2", "no such thing", nil),
            ("\u{1B}Lua\u{54}", "r/rule.lua", "attempt to load a binary chunk", nil),
        ] as [(String, String, String, String?)])
    func invalid(text: String, location: String, message: String, help: String?) throws {
        let error = try #require(try failure(["r/rule.lua": text]))
        #expect(error.code == .ruleInvalid)
        #expect(error.location?.hasPrefix(location) == true, "\(error)")
        #expect(error.message.contains(message), "\(error)")
        if let help { #expect(error.help?.contains(help) == true, "\(error)") }
    }

    @Test("a rule that hangs or eats memory while loading is ended")
    func loadBudget() throws {
        var limits = RuleLimits()
        limits.loadNanoseconds = 20_000_000
        let folder = try PluginFolder(["r/rule.lua": "while true do end"])
        #expect { try RuleSet.load(directory: folder.path, limits: limits) } throws: { ($0 as? ShuntError)?.code == .ruleTime }
        let eats = try PluginFolder(["r/rule.lua": "return { on_load = function() local t = {} while true do t[#t + 1] = {} end end }"])
        #expect { try RuleSet.load(directory: eats.path) } throws: { ($0 as? ShuntError)?.code == .ruleMemory }
    }

    @Test("what a rule did goes on over reloads under its name; what is gone is gone, and counters stay bounded")
    func figures() throws {
        func rule(_ name: String, counts: String) -> String {
            """
            local started = counter("started")
            return { name = "\(name)", on_load = function() started:inc() end,
              on_message = function(m) counter("\(counts)"):inc() return route.drop("no") end }
            """
        }
        func counters(_ rig: RuleRig) -> [String: Double] {
            Dictionary(uniqueKeysWithValues: rig.rules.figures()[0].counters.map { ($0.name, $0.value) })
        }
        let rig = try RuleRig(files: ["r/rule.lua": rule("same", counts: "old")])
        func reload(_ text: String) throws {
            let folder = try PluginFolder(["r/rule.lua": text])
            #expect(rig.rules.replace(with: try RuleSet.load(directory: folder.path), now: 1) == nil)
        }
        for _ in 0..<3 { rig.send("t") }
        try reload(rule("same", counts: "old"))
        rig.send("t")
        #expect(rig.figures().calls == 4)
        #expect(rig.figures().verdicts == ["drop": 4])
        #expect(counters(rig) == ["old": 4, "started": 2])
        try reload(rule("same", counts: "new"))
        rig.send("t")
        #expect(counters(rig) == ["old": 4, "new": 1, "started": 3])
        let broken = try PluginFolder([
            "r/rule.lua": "return { name = 'same', on_load = function() if kv.get('never') == nil then error('no') end end }"
        ])
        if let set = try? RuleSet.load(directory: broken.path) { #expect(rig.rules.replace(with: set, now: 1) != nil) }
        #expect(rig.figures().calls == 5)
        // What a version has decided counts, also if it does not stay.
        try reload(rule("same", counts: "new"))
        rig.send("t")
        rig.rules.revert(now: 1)
        #expect(rig.figures().calls == 6)
        rig.send("t")
        #expect(rig.figures().calls == 7)
        try reload(rule("other", counts: "new"))
        #expect(rig.figures().calls == 0)
        #expect(counters(rig) == ["started": 1])
        // Each version counts under names of its own.
        var figures = RuleFigures(rule: "r", hooks: [:], counters: [], isOff: false)
        for version in 0..<10 {
            let counters = (0..<4).map { RuleFigures.Counter(name: "v\(version)n\($0)", labels: "{}", value: 1) }
            figures = RuleFigures(rule: "r", hooks: [:], counters: counters, isOff: false).adding(figures, counters: 10)
        }
        #expect(figures.counters.count == 10)
        #expect(figures.counters.prefix(5).map(\.name) == ["v9n0", "v9n1", "v9n2", "v9n3", "v8n0"])
    }

    @Test("a plugin that is not there is named with those that are")
    func missing() throws {
        let files = ["orders/rule.lua": "return {}", "billing/rule.lua": "return {}", "notes/README.md": ""]
        let error = try #require(try failure(files, enabled: .names(["order"])))
        #expect(error.code == .ruleMissing)
        #expect(error.message == "there is no plugin order")
        #expect(error.help == "did you mean orders? it has billing, orders")
        #expect(try failure(["x/rule.lua": "return { name = \"a\" }", "y/rule.lua": "return { name = \"a\" }"])?.message == "two rules are named a")
        let big = ["r/rule.lua": "--" + String(repeating: "x", count: 300_000)]
        #expect(try failure(big)?.message == "the file is more than 262144 bytes")
    }

    @Test("settings of what is not enabled are warned of, and hooks that there are not")
    func warnings() throws {
        let folder = try PluginFolder(["r/rule.lua": "return {\n  on_select = function() end, on_message = function() end }"])
        let set = try RuleSet.load(directory: folder.path, settings: ["other": [:]])
        #expect(set.warnings.map(\.message) == ["there are settings for other, which is not enabled"])
        let guarded = try PluginFolder(["guard/rule.lua": "return {}"])
        #expect(
            throws: ShuntError(
                .ruleInvalid, "there are settings for guart, which is not enabled", at: "rules.settings.guart", help: "did you mean guard?")
        ) {
            try RuleSet.load(directory: guarded.path, settings: ["guart": [:]])
        }
        #expect(try failure(["r/rule.lua": "return { on_selekt = function() end }"])?.help == "did you mean on_select?")
    }

    @Test("the errors of all plugins are told at once")
    func allErrors() throws {
        let folder = try PluginFolder(["a/rule.lua": "return { priority = 'x' }", "b/rule.lua": "return 1", "c/rule.lua": "return {}"])
        let error = try #require(throws: ShuntError.self) { try RuleSet.load(directory: folder.path) }
        #expect(error.all.count == 2)
        #expect(error.all[0].location?.contains("/a/rule.lua") == true && error.all[1].location?.contains("/b/rule.lua") == true)
    }

    @Test("a rule requires its own files, once each")
    func require() throws {
        let rig = try RuleRig(files: [
            "r/rule.lua":
                "local a, b = require 'lib.a', require 'lib/a' return { on_message = function() return route.drop(a.name .. tostring(a == b)) end }",
            "r/lib/a.lua": "return { name = 'a' .. require('other') }",
            "r/other.lua": "return 'o'",
        ])
        #expect(rig.send().verdict == .drop(why: "aotrue"))
        let loop = try failure(["r/rule.lua": "require 'a' return {}", "r/a.lua": "require 'a'"])
        #expect(loop?.message == "module 'a' requires itself")
        #expect(loop?.location == "r/a.lua:1")
    }

    // MARK: replacing

    private func version(_ number: Int, _ load: String = "") -> String {
        #"""
        local state
        return {
          on_load = function(settings, saved) \#(load) state = saved or { count = 0 } end,
          on_unload = function() return state end,
          on_message = function() state.count = state.count + 1 return route.drop("v\#(number) " .. state.count) end,
        }
        """#
    }

    @Test("a new version takes over what the old one saved, between two messages")
    func replace() throws {
        let rig = try RuleRig(files: ["r/rule.lua": version(1)])
        rig.send()
        #expect(rig.send().verdict == .drop(why: "v1 2"))
        let next = try PluginFolder(["r/rule.lua": version(2)])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: next.path), now: 1) == nil)
        #expect(rig.send().verdict == .drop(why: "v2 3"))
        #expect(rig.rules.replace(with: .empty, now: 1) == nil)
        #expect(rig.send().verdict == .pass)
    }

    @Test("a new version that does not start leaves the old one running, with its state")
    func replaceFails() throws {
        let rig = try RuleRig(files: ["r/rule.lua": version(1)])
        rig.send()
        // It starts where the set is checked, and fails in the loop, which has saved something.
        let next = try PluginFolder(["r/rule.lua": version(2, #"if saved then error("can't take it") end"#)])
        let error = rig.rules.replace(with: try RuleSet.load(directory: next.path), now: 1)
        #expect(error?.message == "can't take it")
        #expect(rig.send().verdict == .drop(why: "v1 2"))
    }

    @Test("new rules that had started are told to stop where another one does not start")
    func stopsStarted() throws {
        let told = { (version: String) in
            "return { on_load = function() log.info('\(version) load') end, on_unload = function() log.info('\(version) unload') end }"
        }
        let rig = try RuleRig(files: ["a/rule.lua": told("a1"), "b/rule.lua": version(1)])
        rig.log.removeAll()
        let next = try PluginFolder(["a/rule.lua": told("a2"), "b/rule.lua": version(2, "if saved then error('no') end")])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: next.path), now: 1) != nil)
        #expect(rig.log.texts == ["a1 unload", "a2 load", "a2 unload", "a1 load"])
    }

    @Test("an on_unload that returns something else than a table is named in the log, and the next version starts without", arguments: ["'x'", "3"])
    func savesNothing(value: String) throws {
        let rig = try RuleRig(files: ["r/rule.lua": "return { on_unload = function() return \(value) end, on_message = function() end }"])
        let next = try PluginFolder(["r/rule.lua": version(2)])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: next.path), now: 1) == nil)
        #expect(rig.send().verdict == .drop(why: "v2 1"))
        let type = value == "3" ? "number" : "string"
        #expect(rig.log.texts.count == 1)
        #expect(rig.log.texts.first?.contains("r/rule.lua: it returned a \(type), and may return a table (rule.invalid)") == true, "\(rig.log.texts)")
        #expect(rig.rules.figures()[0].hooks["on_unload"]?.errors == [.ruleFailed: 1])
    }

    @Test("a version that another loop could not switch to is taken back: the old one starts from what it saved")
    func revert() throws {
        let rig = try RuleRig(files: ["r/rule.lua": version(1)])
        rig.send()
        let next = try PluginFolder(["r/rule.lua": version(2), "s/rule.lua": "return { name = 's', on_connect = function() end }"])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: next.path), now: 1) == nil)
        #expect(rig.send().verdict == .drop(why: "v2 2"))
        rig.rules.revert(now: 1)
        #expect(rig.send().verdict == .drop(why: "v1 2"))
        #expect(rig.rules.figures().map(\.rule) == ["r"])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: next.path), now: 1) == nil)
        rig.rules.settle()
        rig.rules.revert(now: 1)
        #expect(rig.send().verdict == .drop(why: "v2 3"), "what is settled stays")
    }

    @Test("what a version has decided that is taken back is counted, and what it counted")
    func revertedFigures() throws {
        func version(_ text: String) -> String {
            "return { on_message = function() counter('seen'):inc() return route.drop('\(text)') end }"
        }
        let rig = try RuleRig(files: ["r/rule.lua": version("old")])
        func counted() -> [Double] { [Double(rig.figures().calls), rig.rules.figures()[0].counters[0].value] }
        rig.send()
        let next = try PluginFolder(["r/rule.lua": version("new")])
        for round in 1...2 {
            #expect(rig.rules.replace(with: try RuleSet.load(directory: next.path), now: 1) == nil)
            rig.send()
            rig.rules.revert(now: 1)
            #expect(counted() == [Double(2 * round), Double(2 * round)])
            #expect(rig.send().verdict == .drop(why: "old"))
        }
        #expect(counted() == [5, 5])
    }

    @Test("a version that the other loops do not take decides nothing: the old one goes on with its state")
    func notAgreed() throws {
        let rig = try RuleRig(files: ["r/rule.lua": version(1)])
        rig.send()
        rig.rules.settle()
        let next = try PluginFolder(["r/rule.lua": version(2)])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: next.path), now: 1, isAgreed: { false }) != nil)
        #expect(rig.send().verdict == .drop(why: "v1 2"))
        rig.rules.revert(now: 1)
        #expect(rig.send().verdict == .drop(why: "v1 3"))
    }

    @Test("a reload leaves the figures of a rule as they are, whether it changes the rule or not, and so does going back")
    func figuresGoOn() throws {
        func rule(_ why: String) -> String {
            "return { on_message = function(m) counter('seen', { t = m.topic }):inc() if m.topic == 'bad' then error('x') end return route.drop('\(why)') end }"
        }
        let rig = try RuleRig(files: ["r/rule.lua": rule("one")])
        func calls() -> [UInt64?] { rig.rules.figures().map { $0.hooks["on_message"]?.calls } }
        func counted() -> [Double] { rig.rules.figures().flatMap(\.counters).sorted { $0.labels < $1.labels }.map(\.value) }
        rig.send("a")
        rig.send("bad")
        let same = try RuleSet.load(directory: rig.folder.path)
        for _ in 0..<2 { #expect(rig.rules.replace(with: same, now: 1) == nil) }
        rig.send("a")
        #expect(calls() == [3])
        #expect(counted() == [2, 1])
        #expect(rig.rules.figures()[0].hooks["on_message"]?.errors == [.ruleFailed: 1])
        let other = try PluginFolder(["r/rule.lua": rule("two")])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: other.path), now: 1) == nil)
        #expect(calls() == [3])
        rig.send("a")
        #expect(calls() == [4])
        rig.rules.revert(now: 1)
        #expect(calls() == [4] && counted() == [3, 1])
    }

    @Test("where all plugins run, a folder without a rule.lua is an error: a guard does not go because its file is missing")
    func missingFile() throws {
        let error = try failure(["guard/README.md": "", "other/rule.lua": "return {}", ".git/config": ""])
        #expect(error?.code == .ruleMissing)
        #expect(error?.location == "guard")
        #expect(error?.message == "the plugin guard has no rule.lua")
        #expect(try failure([".git/config": "", "README.md": "", "other/rule.lua": "return {}"]) == nil)
    }

    @Test("a thousand replacements leave memory where it was")
    func replaceMemory() throws {
        let rig = try RuleRig(files: ["r/rule.lua": version(1)])
        let set = try RuleSet.load(directory: rig.folder.path)
        for _ in 0..<100 { _ = rig.rules.replace(with: set, now: 1) }
        let before = rig.rules.memory
        for _ in 0..<1000 { _ = rig.rules.replace(with: set, now: 1) }
        #expect(rig.rules.memory < before + 1_000_000)
    }

    @Test("a reason is a text: no address reaches a client")
    func reasons() throws {
        let rig = try RuleRig(
            "R.on_error = 'drop' function R.on_message(msg) if msg.topic == 'n' then return route.reject(5) end return route.reject { code = 1 } end")
        #expect(rig.send("n").verdict == .reject(why: "5"))
        #expect(rig.send("t").verdict == .drop(why: "rule rule failed"))
    }

    @Test("a hook that is written with a colon, and a global that only a function sets, are warned of with file and line")
    func likelyMistakes() throws {
        let folder = try PluginFolder([
            "r/rule.lua": """
            local R, lib = {}, require "lib"
            seen = {}
            function R:on_message(msg)
              key = msg.key or key
              seen[1] = key
            end
            function R.on_connect()
              local function inner() deep = 1 key = 2 end
              limit, seen, shared_by_lib = 1, 2, 3
              inner()
            end
            return R
            """,
            "r/lib.lua": "shared_by_lib = 1\nlocal M = {} function M.f() local _ENV = {} inside = 1 end\nfunction M.g() cache = {} end return M",
            "s/rule.lua": "extra = 1 function extra2() end local x = 1 return { on_message = function(self_made) x = self_made.topic end }",
        ])
        let warnings = try RuleSet.load(directory: folder.path).warnings
        #expect(
            warnings.map { "\($0.location?.dropFirst(folder.path.count + 1) ?? "-") \($0.message)" } == [
                "r/rule.lua:3 on_message has a parameter self, which gets what should be the next one",
                "r/rule.lua:4 a function sets the global key, which keeps its value for the next message",
                "r/rule.lua:9 a function sets the global limit, which keeps its value for the next message",
                "r/rule.lua:8 a function sets the global deep, which keeps its value for the next message",
                "r/lib.lua:3 a function sets the global cache, which keeps its value for the next message",
            ])
        #expect(try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).warnings().map(\.message) == warnings.map(\.message))
        #expect(try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/s")).warnings() == [])
    }

    @Test("where a global is set is found in long functions, too")
    func globalsInLongFunctions() throws {
        let lines = (0..<2000).map { "x = x + \($0) y = y .. 'text \($0 % 50)'" }.joined(separator: "\n")
        let text = "local x, y = 1, ''\nreturn { on_message = function()\n\(lines)\n\n\n\n" + String(repeating: "\n", count: 300) + "late = x end }"
        let writes = try #require(GlobalWrites(Array(text.utf8)))
        #expect(writes.byFunctions == [.init(name: "late", line: 2 + 2000 + 3 + 300 + 1)])
        #expect(GlobalWrites(Array("not lua".utf8)) == nil)
    }

    @Test("a byte order mark at the start of a file is nothing")
    func byteOrderMark() throws {
        let rig = try RuleRig(files: ["r/rule.lua": "\u{FEFF}return { on_message = function() return route.drop('ran') end }"])
        #expect(rig.send().verdict == .drop(why: "ran"))
    }

    @Test("a dot in place of a colon in a rule test is an error")
    func dots() throws {
        let folder = try PluginFolder([
            "r/rule.lua": "return { on_message = function() end }",
            "r/rule_test.lua": "return { m = function(t) t.message { topic = 'x' } end, s = function(t) t.settings { a = 1 } end }",
        ])
        let results = try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).run()
        #expect(results.map { $0.failure?.message.contains("with a colon") } == [true, true])
    }

    // MARK: the runner of rule tests

    @Test("the runner tells what failed, where")
    func runner() throws {
        let folder = try PluginFolder([
            "r/rule.lua": "return { on_message = function(m) return m:with { topic = 'x' } end }",
            "r/rule_test.lua": """
            return {
              ["a passes"] = function(t) t:eq(t:message { topic = "a", payload = "p" }.topic, "x") end,
              ["b fails"] = function(t)
                t:eq(t:message { topic = "a", payload = "p" }.verdict, "drop")
              end,
              ["c errs"] = function(t) local x = nil; return x.y end,
              ["d asks wrongly"] = function(t)
                t:message { tpic = "a" }
              end,
              ["e hangs"] = function(t) t:ok(false, "no") end,
            }
            """,
        ])
        let results = try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).run()
        #expect(results.map(\.name) == ["a passes", "b fails", "c errs", "d asks wrongly", "e hangs"])
        #expect(results[0].failure == nil)
        #expect(results[1].failure?.message == #"expected "drop", got "replace""#)
        #expect(results[1].failure?.location == folder.path + "/r/rule_test.lua:4")
        #expect(results[2].failure?.location == folder.path + "/r/rule_test.lua:6")
        #expect(results[3].failure?.message.contains("t:message does not take tpic") == true)
        #expect(results[3].failure?.location == folder.path + "/r/rule_test.lua:8")
        #expect(results[4].failure?.message == "no")
    }
}
