import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule check, rules together")
struct RuleCheckTogetherTests {
    private func together(_ upper: String, _ lower: String, module: String = "return {}") throws -> [RuleFinding] {
        func rule(_ text: String, _ priority: Int) -> String { "local R = { priority = \(priority) }\n\(text)\nreturn R" }
        let folder = try PluginFolder(["up/rule.lua": rule(upper, 900), "up/m.lua": module, "low/rule.lua": rule(lower, 80)])
        return RuleCheck(["up", "low"].map { "\(folder.path)/\($0)" }).findings
    }

    private static func hook(_ body: String, before: String = "") -> String { "\(before)\nfunction R.on_message(msg, ctx) \(body) end" }
    private static let guarding = "function R.on_message(msg) return msg:with { payload = 'x' } end"

    @Test(
        "copies that locals, lists and functions of the file hold are told where they are sent",
        arguments: [
            hook("local copy = msg:with { key = 'copy' } ctx:emit(copy)"),
            hook("local changes = { key = 'copy' } ctx:emit(msg:with(changes))"),
            hook("local copy = msg:with { key = 'copy' } return route.fanout { copy, copy:with { topic = 'audit' } }"),
            hook("local out = {} table.insert(out, msg) out[#out + 1] = msg:with { key = 'x' } return route.fanout(out)"),
            hook("tell(ctx, msg:with { qos = 0 })", before: "local function tell(ctx, m) ctx:emit(m) end"),
            hook("tell(ctx)", before: "local function tell(ctx) ctx:emit(ctx.now > 0 and route.done() or route.drop()) end"),
            hook(
                "return route.fanout(copies(msg))",
                before:
                    "local function copies(m) local list = { m } for i = 1, 3 do list[#list + 1] = m:with { topic = 's/' .. i } end return list end"),
            hook("msg = msg:with { key = 'x' } ctx:emit(msg)"), hook("local r = route return r.done()"),
            hook("local push = route.push({ uid = 'a' }, msg:with { key = 'x' }) return push"),
        ])
    func copies(rule: String) throws {
        #expect(try together(rule, Self.guarding).filter { $0.kind == .unguarded }.count == 1)
        #expect(try together(rule, Self.hook("return nil")).filter { $0.kind == .unguarded } == [])
    }

    @Test(
        "what has another payload, or goes to another topic, is no such copy",
        arguments: [
            hook("msg = msg:with { payload = 'x' } ctx:emit(msg)"), hook("local copy = msg:with { payload = 'x' } ctx:emit(copy)"),
            hook("local copy = msg:with { key = 'x' } copy = copy:with { payload = 'x' } ctx:emit(copy)"),
            hook("local out = {} for i = 1, 3 do out[i] = msg:with { topic = 's/' .. i } end return route.fanout(out)"),
            hook("tell(ctx, msg:with { payload = 'x' })", before: "local function tell(ctx, m) ctx:emit(m) end"),
            hook("ctx:emit(clean(msg))", before: "local function clean(m) local new = { payload = 'x' } return m:with(new) end"),
            hook("local new = {} new.payload = 'x' ctx:emit(msg:with(new))"), hook("return route.delay(5, msg)"),
        ])
    func harmless(rule: String) throws {
        #expect(try together(rule, Self.guarding).filter { $0.kind == .unguarded } == [])
    }

    @Test(
        "a rule that changes payloads is known by what its functions and tables say",
        arguments: [
            hook("return clean(msg)", before: "local function clean(m) return m:with { payload = 'x' } end"),
            hook("local changes = { payload = 'x' } return msg:with(changes)"),
            hook("local changes = {} changes.payload = 'x' return msg:with(changes)"),
            hook("if msg.key then msg = msg:with { payload = 'x' } end return msg"),
        ])
    func guards(rule: String) throws {
        #expect(try together(Self.hook("ctx:emit(msg)"), rule).map(\.kind) == [.unguarded])
    }

    @Test("of rules with the same priority the name decides which one runs first")
    func samePriority() throws {
        func found(_ first: String, _ second: String) throws -> [RuleFinding] {
            func rule(_ text: String) -> String { "local R = {}\n\(text)\nreturn R" }
            let folder = try PluginFolder(["audit/rule.lua": rule(first), "redact/rule.lua": rule(second)])
            return RuleCheck(["redact", "audit"].map { "\(folder.path)/\($0)" }).findings
        }
        let sending = Self.hook("return route.fanout { msg, route.to('audit') }")
        #expect(try found(sending, Self.guarding).map(\.kind) == [.unguarded])
        #expect(try found(sending, Self.guarding).first?.help == "give redact a higher priority than 0")
        #expect(try found(Self.guarding, sending) == [])
        let both = "local function clean(msg) return msg:with { payload = 'x' } end\nR.on_message, R.on_will = clean, clean"
        let will = "function R.on_will() return route.done() end"
        #expect(try found(both, will) == [])
        #expect(try found(will, both).map(\.kind) == [.unguarded])
    }

    @Test(
        "functions under other names, and those in a table, are followed",
        arguments: [
            hook("return fanout { msg }", before: "local fanout = route.fanout"),
            hook("return send.all(msg)", before: "local send = { all = function(m) return route.chat('x', m) end }"),
            hook("return send.all(msg)", before: "local send = {}\nfunction send.all(m) return route.fanout { m } end"),
            hook("return send:all(msg)", before: "local send = {}\nfunction send:all(m) return self and route.fanout { m } end"),
        ])
    func otherNames(rule: String) throws {
        #expect(try together(rule, Self.guarding).filter { $0.kind == .unguarded }.count == 1)
    }

    @Test("a function in a table that is given another one is not known")
    func replacedMember() throws {
        let replaced = "local send = {}\nfunction send.all(m) return route.fanout { m } end\nsend.all = function(m) return m end"
        #expect(try together(Self.hook("return send.all(msg)", before: replaced), Self.guarding).filter { $0.kind == .unguarded } == [])
    }

    @Test("a rule on trial as a shadow decides nothing")
    func shadows() throws {
        func shadow(_ text: String) -> String { "R.mode = 'shadow'\n" + text }
        let (dropping, sending) = (Self.hook("return route.drop()"), Self.hook("ctx:emit(msg)"))
        #expect(try together(dropping, dropping).map(\.kind) == [.overlap])
        #expect(try together(shadow(dropping), dropping) == [])
        #expect(try together(shadow(dropping).replacing("shadow", with: "canary"), dropping) == [], "it keeps back some of them")
        #expect(try together(sending, Self.guarding).map(\.kind) == [.unguarded])
        #expect(try together(shadow(sending), Self.guarding) == [])
        #expect(try together(sending, shadow(Self.guarding)) == [])
        #expect(try together(sending, Self.guarding.replacing("function R", with: "R.mode = 'canary'\nfunction R")).map(\.kind) == [.unguarded])
    }

    @Test("a folder that is named twice is one plugin")
    func namedTwice() throws {
        let folder = try PluginFolder(["red/rule.lua": "return { on_message = function() return route.drop() end }"])
        let paths = RulePaths([folder.path, folder.path + "/red", folder.path + "/red/../red/rule.lua"])
        #expect(try paths.directories() == [folder.path + "/red"])
    }

    @Test("a will that is published without its topic's rules is told, whichever rule is first")
    func wills() throws {
        let will = "function R.on_will(msg) if msg.retain then return route.done() end end"
        #expect(try together(will, Self.guarding).map(\.kind) == [.unguarded])
        #expect(try together(Self.guarding, will).map(\.kind) == [.unguarded])
        #expect(try together("function R.on_will(msg, _, ctx) ctx:emit(msg) end", Self.guarding) == [], "it goes through the rules of its topic")
        let both = "local function clean(msg) return msg:with { payload = 'x' } end\nR.on_message, R.on_will = clean, clean"
        #expect(try together(both, will) == [])
    }

    // MARK: topics that rules give messages

    @Test(
        "a condition may be true where the rule before gives messages another topic, wherever it does so",
        arguments: [
            (hook("return m.of(msg)", before: "local m = require 'm'"), "return { of = function(msg) return msg:with { topic = 'b' } end }"),
            (hook("local c = {} for _, n in ipairs { 'key', 'topic' } do c[n] = 'b' end return msg:with(c)"), ""),
            (hook("local c = {} m.fill(c) return msg:with(c)", before: "local m = require 'm'"), "return { fill = function(c) c.topic = 'b' end }"),
            (hook("local c = {} local d = c d.topic = 'b' return msg:with(c)"), ""),
            (hook("local c = {} rawset(c, 'topic', 'b') return msg:with(c)"), ""),
            (hook("local c = { key = 'x' } fill(c) return msg:with(c)", before: "local function fill(c) c.topic = 'b' end"), ""),
            (
                hook(
                    "return one(msg)",
                    before: "local function two(m) return m:with { topic = 'b' } end\nlocal function one(m) return two(m) end"), ""
            ),
            (hook("return change[msg.qos](msg)", before: "local change = { function(m) return m:with { topic = 'b' } end }"), ""),
            ("function R.on_chat(msg) return msg:with { topic = 'b' } end\n" + hook("return nil"), ""),
        ])
    func renamed(rule: String, module: String) throws {
        let lower = "R.match = { topic = 'in/#' }\n" + Self.hook("if msg.topic == 'b' then return route.drop() end")
        #expect(try together(rule, lower, module: module.isEmpty ? "return {}" : module).filter { $0.kind == .match } == [])
    }

    @Test(
        "it is never true where that rule changes something else",
        arguments: [
            hook("return msg:with { key = 'b' }"), hook("local c = {} c.key = 'b' log.info('x', c) return msg:with(c)"), hook("return nil"),
            hook("return nil", before: "function R.on_subscribe(sub) return sub:with { topic = 'b' } end"),
        ])
    func notRenamed(rule: String) throws {
        let lower = "R.match = { topic = 'in/#' }\n" + Self.hook("if msg.topic == 'b' then return route.drop() end")
        #expect(try together(rule, lower).map(\.kind) == [.match])
    }

    @Test("a rule that changes messages may give the next one something to keep back")
    func changedBetween() throws {
        let (byTopic, bySize) = ("if msg.topic == 'b' then return route.drop() end", "if #msg.payload > 9 then return route.drop() end")
        for (condition, change, isTold) in [
            (byTopic, "return msg:with { topic = 'b' }", false), (byTopic, "return msg:with { key = 'b' }", true),
            (bySize, "return msg:with { payload = 'long' }", false), (bySize, "return nil", true),
        ] {
            let found = try together(Self.hook("\(condition) \(change)"), Self.hook(condition))
            #expect(found.contains { $0.kind == .overlap } == isTold, "\(condition) \(change)")
        }
        #expect(try together(Self.hook("return route.drop()"), Self.hook("return route.drop()")).map(\.kind) == [.overlap])
    }

    // MARK: what is kept back twice

    @Test(
        "what one rule drops and another rejects is told, with which does what",
        arguments: [
            ("if #msg.payload > 1000 then return route.VERDICT('a') end", "the same messages, by the same condition"),
            ("if msg.sender.uid == '' then return route.VERDICT('a') end", "the same messages, by the same condition"),
            ("local o = msg:json() if not o or not o.id then return route.VERDICT('a') end", "the same messages, by the same condition"),
            ("local n = #msg.payload if n > 1000 then return route.VERDICT('a') end", "the same messages, by the same condition"),
            ("if msg.topic == 'a' then return route.VERDICT('a') end", "messages of \"a\""), ("return route.VERDICT('a')", "all messages"),
        ])
    func verdicts(body: String, what: String) throws {
        let (drops, rejects) = (body.replacing("VERDICT", with: "drop"), body.replacing("VERDICT", with: "reject"))
        #expect(
            try together(Self.hook(drops), Self.hook(rejects)).first { $0.kind == .overlap }?.message
                == "up runs before, and drops \(what): this rule never rejects them")
        #expect(
            try together(Self.hook(rejects), Self.hook(drops)).first { $0.kind == .overlap }?.message
                == "up runs before, and rejects \(what): this rule never drops them")
        #expect(
            try together(Self.hook(drops), Self.hook(drops)).first { $0.kind == .overlap }?.message.hasPrefix("up runs before, and keeps back")
                == true)
    }

    @Test(
        "conditions that say the same in other words are the same",
        arguments: [
            ("msg.topic == 'a' or msg.topic == 'b'", "msg.topic == 'a'", true),
            ("msg.topic == 'a' or match(msg.topic, 'b/#')", "msg.topic == 'b/c'", true),
            ("msg.topic == 'a' or msg.topic == 'b'", "msg.topic == 'c'", false), ("msg.topic == 'a' or msg.key", "msg.topic == 'a'", false),
            ("msg.key == nil", "not msg.key", true), ("nil == msg.key", "not msg.key", true), ("msg.key ~= nil", "msg.key", true),
            ("msg.retain == nil", "not msg.retain", false), ("msg:json().id == nil", "not msg:json().id", false),
        ])
    func conditions(upper: String, lower: String, same: Bool) throws {
        func rule(_ condition: String) -> String { Self.hook("if \(condition) then return route.drop('a') end") }
        #expect(try together(rule(upper), rule(lower)).contains { $0.kind == .overlap } == same)
    }
}
