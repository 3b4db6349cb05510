import LuaSyntax
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule check, keys, matches and words")
struct RuleCheckKeyTests {
    typealias Case = RuleCheckTests.Case

    static let keys = [
        Case(
            "return { priority = 5, priority = 6, on_message = function() end }", "1:24 duplicate",
            "return { priority = 5, tick = 6, on_message = function() end }"),
        Case("return { settings = { a = text, a = integer } }", "1:33 duplicate", "return { settings = { a = text, b = integer } }"),
        Case("return { on_message = function() end, on_message = function() end }", "1:39 duplicate", "return { on_message = function() end }"),
        Case(
            "local R = {}\nfunction R.on_message() end\nfunction R.on_message() end\nreturn R", "3:12 duplicate",
            "local R = {}\nfunction R.on_message() end\nlocal old = R.on_message\nfunction R.on_message() old() end\nreturn R"),
        Case(
            "local R = { on_message = function() end }\nR.on_message = function() end\nreturn R", "2:3 duplicate",
            "local R = { on_message = function() end }\nR.on_will = R.on_message\nreturn R"),
        Case(
            "local t = { ['a'] = 1, a = 2, [1] = 3 }\nreturn { on_tick = function() log.info(t.a) end }", "1:24 duplicate",
            "local t = { ['1'] = 1, a = 2, [1] = 3, 4 }\nreturn { on_tick = function() log.info(t.a) end }"),
    ]

    @Test("a key that is given a value twice is found", arguments: keys)
    func twice(one: Case) throws {
        func found(_ text: String) throws -> [String] { try lintFindings(text).filter { !$0.hasSuffix("rule") } }
        #expect(try found(one.wrong) == [one.finding])
        #expect(try found(one.right) == [])
    }

    @Test("a hook and a test that are lost are errors, another key is a warning")
    func severity() throws {
        let rule = "return { on_message = function() end }"
        #expect(try lintDetails("return { on_tick = function() end, on_tick = function() end }").map(\.severity) == [.error])
        #expect(try lintDetails("return { priority = 5, priority = 6, on_tick = function() end }").map(\.severity) == [.warning])
        let twins = "return {\na = function(t) t:eq(1, 2) end,\na = function(t) t:eq(1, 1) end }"
        let found = try lintDetails(rule, test: twins)
        #expect(found.map(\.severity) == [.error])
        #expect(found.first?.location.hasSuffix("rule_test.lua:3:1") == true)
        #expect(found.first?.help?.hasSuffix("rule_test.lua:2:1") == true)
        let payload = "return { a = function(t) t:message { topic = 'a', payload = { b = 1, b = 2 } } end }"
        #expect(try lintDetails(rule, test: payload).map(\.severity) == [.warning])
    }

    @Test("a test whose name stands there twice fails, and the others run")
    func tests() throws {
        func results(_ test: String) throws -> [RuleTestResult] {
            let folder = try PluginFolder(["r/rule.lua": "return { on_message = function() end }", "r/rule_test.lua": test])
            return RuleTestRunner(plugin: try RulePlugin(directory: folder.path + "/r")).run()
        }
        let found = try results("return { a = function(t) t:eq(1, 2) end, b = function() end, ['a'] = function(t) t:eq(1, 1) end }")
        #expect(found.map(\.name) == ["a", "b"])
        #expect(found.first?.failure?.location?.hasSuffix("r/rule_test.lua:1:62") == true, "\(found)")
        #expect(found.last?.failure == nil)
        let added = try results("local T = {}\nfunction T.a(t) t:eq(1, 2) end\nfunction T.a(t) t:eq(1, 1) end\nreturn T")
        #expect(added.first?.failure?.location?.hasSuffix("r/rule_test.lua:3:12") == true, "\(added)")
        #expect(try results("return { a = function(t) t:eq({ b = 1, b = 2 }, { b = 2 }) end }").compactMap(\.failure) == [])
    }

    private static func matching(_ match: String, _ body: String) -> String {
        "return { match = { \(match) },\non_message = function(msg, ctx)\n\(body)\nend }"
    }

    static let matches = [
        Case("topic = 'orders/*'", "1:28 match", "topic = 'orders/+'"),
        Case("topic = 'orders/{id}'", "1:28 match", "topic = 'orders/id'"),
        Case("topic = { 'a/b', 'a/:id/c' }", "1:37 match", "topic = { 'a/b', 'a/+/c' }"),
    ]

    @Test("what is no wildcard here is found", arguments: matches)
    func wildcards(one: Case) throws {
        #expect(try lintFindings(Self.matching(one.wrong, "return ctx.now and msg")) == [one.finding])
        #expect(try lintFindings(Self.matching(one.right, "return ctx.now and msg")) == [])
    }

    static let conditions = [
        Case("return msg.topic == 'payments/1' and msg or nil", "3:21 match", "return msg.topic == 'orders/1' and msg or nil"),
        Case("return match(msg.topic, 'payments/#') and msg or nil", "3:25 match", "return match(msg.topic, '+/1') and msg or nil"),
        Case("return match(msg.topic, 'orders/*') and msg or nil", "3:25 match", "return match(msg.topic, 'orders/a') and msg or nil"),
        Case("return msg.kind == 'broadcast' and msg or nil", "3:20 match", "return msg.kind == 'topic' and msg or nil"),
        Case("return msg.topic == 'orders/+' and msg or nil", "3:21 match", "return msg.topic ~= 'payments/1' and msg or nil"),
        Case(
            "local topic = msg.topic return topic == 'a' and msg or nil", "3:41 match",
            "local topic = msg.topic topic = 'a' return topic == 'a' and msg or nil"),
    ]

    @Test("a condition that the rule's match keeps from being true is found", arguments: conditions)
    func never(one: Case) throws {
        let match = "kind = 'topic', topic = 'orders/+'"
        #expect(try lintFindings(Self.matching(match, one.wrong)) == [one.finding])
        #expect(try lintFindings(Self.matching(match, one.right)) == [])
    }

    @Test("what a worker says of the rule's table has a column, and what would be right")
    func columns() throws {
        func told(_ text: String) throws -> String {
            let found = try #require(try lintDetails(text).first)
            return "\(found.location.split(separator: "/").last ?? "") \(found.help ?? "")"
        }
        let topics = "return { match = { topics = 'a' },\non_message = function() end }"
        #expect(try told(topics) == "rule.lua:1:20 did you mean topic? allowed: kind, topic")
        #expect(try told("return {\n  on_error = 'refuse', on_message = function() end }").hasPrefix("rule.lua:2:3 "))
        #expect(try told("return {\n  ['on-message'] = function() end }").hasPrefix("rule.lua:2:3 did you mean on_message?"))
        #expect(try told("local price = require 'price'\nreturn { on_tick = function() log.info(price) end }").hasPrefix("rule.lua:1:23 "))
        #expect(try told("local R = {}\nfunction R.on_message() end\n") == "rule.lua:2:27 return R at the end")
        #expect(try lintDetails("local R = {}\nfunction R.on_message() end\n").count == 1)
    }

    private func together(_ upper: String, _ lower: String) throws -> [RuleFinding] {
        let folder = try PluginFolder(["a/rule.lua": "return { priority = 9, \(upper) }", "b/rule.lua": "return { priority = 1, \(lower) }"])
        return RuleCheck(["a", "b"].map { "\(folder.path)/\($0)" }).findings
    }

    @Test("two rules that drop by the same condition are told, whatever they call their locals")
    func sameCondition() throws {
        func hook(_ message: String, _ body: String, _ topic: String = "a/+") -> String {
            "match = { topic = '\(topic)' }, on_message = function(\(message)) \(body) end"
        }
        let one = hook("msg", "local order = msg:json() if not order then return route.drop('no JSON') end return order.id and msg")
        let same = hook("m", "local o, why = m:json() if not o then return route.drop(why) end return o.id and m")
        #expect(try together(one, same).map(\.kind) == [.overlap])
        #expect(try together(one, hook("m", "local o = m:json() if o then return route.drop() end return m")) == [])
        #expect(try together(one, hook("m", "local o = m:json() if not o then return route.drop() end", "b/+")) == [])
        let state = "if kv.get('a') then return route.drop() end return msg"
        #expect(try together(hook("msg", state), hook("msg", state)) == [])
    }

    @Test("a rule before may give messages a topic that the match does not take")
    func renamed() throws {
        let lower = "match = { topic = 'orders/+' }, on_message = function(m) return m.topic == 'payments/1' and route.drop() or nil end"
        #expect(try together("on_message = function(m) return m:with { topic = 'payments/1' } end", lower) == [])
        #expect(try together("on_message = function(m) return m:with { key = 'payments/1' } end", lower).map(\.kind) == [.match])
    }

    @Test("a hook that match keeps from being called keeps nothing back")
    func neverCalled() throws {
        let found = try together(
            "match = { kind = 'chat' }, on_message = function() return route.drop() end, on_chat = function() end",
            "match = { topic = 'orders/+' }, on_message = function() return route.drop() end")
        #expect(found.map(\.kind) == [.match])
    }

    @Test(
        "words and signs of other languages are told with Lua's",
        arguments: [
            ("if a != b then end", "~="), ("if a && b then end", "and"), ("if a || b then end", "or"), ("local x = 1 x += 1", "x = x + …"),
            ("local x = 1 x++", "x = x + 1"), ("// a comment", "--"), ("/* a comment */", "--[["), ("# a comment", "--"), ("if a = b then end", "=="),
            ("while a = b do end", "=="), ("return a = b", "=="), ("for i = 1, 2 do continue end", "goto continue"),
            ("return a ? b : c", "a and b or c"),
            ("if a === b then end", "=="), ("msg.count++", "x = x + 1"), ("if a { return }", "no braces"), ("while a == 1 { }", "do … end"),
            ("local function f() { return 1 }", "no braces"), ("local t = [1, 2]", "{ 1, 2 }"), ("local t = { \"a\": 1 }", "a = 1"),
            ("local t = { a: 1 }", "a = 1"), ("local t = { a: b }", "a = 1"), ("let x = 1", "local x"), ("const x = 1", "local x"),
            ("var x", "local x"), ("if a then b() elif c then end", "elseif"), ("if a then return elif c then end", "elseif"),
            ("if a then b() else if c then d() end", "elseif"), ("local a = \u{201C}x\u{201D}", "between two \""), ("local \u{E4} = 1", "a to z"),
            ("local a = function(x) => x", "function(x)"), ("throw 'x'", "error"),
            ("return null", "nil"), ("return undefined", "nil"), ("return None", "nil"), ("return True", "true"),
        ])
    func words(body: String, help: String) throws {
        let found = try lintDetails("return { on_message = function()\n\(body)\nend }")
        #expect(found.first { $0.kind == .syntax || $0.kind == .global }?.help?.contains(help) == true, "\(found)")
    }

    @Test("what other languages do not have either is told without a hint", arguments: ["return return", "local x = not", "f(1,)"])
    func noHint(body: String) throws {
        #expect(try lintDetails("local function f()\n\(body)\nend\nreturn { on_tick = f }").map(\.help) == [nil])
    }

    @Test("a character that Lua has not is shown as it is")
    func characters() throws {
        #expect(try lintDetails("local a = \u{201C}x\u{201D}").map(\.message).first == "Lua has no '\u{201C}' outside of texts")
        #expect(try lintDetails("local a = `x`").map(\.message).first == "Lua has no '`'")
        #expect(try lintDetails("local a = \u{1}").map(\.message).first == "Lua has no byte 1 outside of texts")
    }

    @Test("a global that a hook is given, or that is a type's other name, is told with what to write")
    func names() throws {
        func help(_ text: String) throws -> String? { try lintDetails(text).first { $0.kind == .global }?.help }
        #expect(try help("return { on_tick = function() log.info('x' .. ctx.now) end }") == "on_tick is given it: function(ctx)")
        #expect(try help("return { settings = { rate = int { default = 1 } }, on_tick = function() end }") == "did you mean integer?")
        let other = "local function f() return order.id end\nreturn { on_message = function(msg) local order = msg:json() return f() and order end }"
        #expect(try help(other) == "the local order is declared further down, in line 2")
    }
}
