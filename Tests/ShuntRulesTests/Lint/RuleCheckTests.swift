import LuaSyntax
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule check")
struct RuleCheckTests {
    /// What is found in `r/rule.lua`, each as `line:column kind message`.
    private func found(_ text: String, test: String? = nil) throws -> [String] {
        var files = ["r/rule.lua": text]
        if let test { files["r/rule_test.lua"] = test }
        let folder = try PluginFolder(files)
        let check = RuleCheck([folder.path + "/r"])
        return check.findings.map { finding in
            let place = finding.location.split(separator: "/").last.map { $0.split(separator: ":").dropFirst().joined(separator: ":") } ?? ""
            return "\(place) \(finding.kind.rawValue)"
        }
    }

    /// A source that has a fault, where it is, and the nearest one that has not.
    struct Case: CustomTestStringConvertible, Sendable {
        var wrong: String
        var finding: String
        var right: String
        var testDescription: String { wrong }

        init(_ wrong: String, _ finding: String, _ right: String) { (self.wrong, self.finding, self.right) = (wrong, finding, right) }
    }

    private static func hook(_ body: String) -> String { "return { on_message = function(msg, ctx) \(body) end }" }

    static let bodies = [
        Case("return msg.payloda", "1:53 field", "return msg.topic ~= '' and msg or nil"),
        Case("msg.topic = 'x'", "1:46 field", "return msg:with { topic = 'x' }"),
        Case("return msg.json()", "1:53 colon", "return msg:json() and msg"),
        Case("ctx.emit(msg)", "1:46 colon", "ctx:emit(msg)"),
        Case("return route:drop('no')", "1:55 colon", "return route.drop('no')"),
        Case("return json:decode('1')", "1:54 colon", "return json.decode('1') and msg"),
        Case("return route.rejct('no')", "1:55 library", "return route.reject('no')"),
        Case("return msg:with { paylod = 'x' }", "1:60 arguments", "return msg:with { payload = 'x' }"),
        Case("log.wran('x')", "1:46 library", "log.warn('x')"),
        Case("return msg.sender.udi", "1:60 field", "return msg.sender.uid == '' and msg or nil"),
        Case("local x = 1", "1:48 unused", "local x = 1 return x"),
        Case("local x = 1 x = 2", "1:48 unused", "local x = 1 x = x + 1"),
        Case("local x = 1 local x = x return x", "1:60 shadowed", "local x = 1 local y = x return y"),
        Case("return nothing", "1:49 global", "return nil"),
        Case("count = 1", "1:42 global", "local count = 1 return count"),
        Case("os.exit()", "1:42 global", "return"),
        Case("if msg.topic == 'a' then end", "1:42 empty", "if msg.topic == 'a' then return msg end"),
        Case("error('no') log.info('x')", "1:54 unreachable", "log.info('x') error('no')"),
        Case("log.info('got ' .. msg.payload)", "1:61 payload", "log.info('got ' .. #msg.payload)"),
        Case("local x = = 1", "1:52 syntax", "local x = 1 return x"),
    ]

    @Test("each fault of a hook is found at its place, and not in the nearest source without it", arguments: bodies)
    func hooks(one: Case) throws {
        #expect(try found(Self.hook(one.wrong)) == [one.finding])
        #expect(try found(Self.hook(one.right)) == [])
    }

    static let files = [
        Case("return { on_mesage = function() end }", "1:10 hook", "return { on_message = function() end }"),
        Case("return { prioritty = 1, on_message = function() end }", "1:10 rule", "return { priority = 1, on_message = function() end }"),
        Case(
            "local R = {}\nfunction R:on_message() return route.done() end\nreturn R", "2:12 colon",
            "local R = {}\nfunction R.on_message() return route.done() end\nreturn R"),
        Case(
            "return { match = { kind = 'chat' }, on_message = function() end }", "1:37 match",
            "return { match = { kind = 'chat' }, on_chat = function() end }"),
        Case(
            "return { match = { kind = 'broadcast', topic = 'a' }, on_broadcast = function() end }", "1:48 match",
            "return { match = { kind = 'broadcast' }, on_broadcast = function() end }"),
        Case(
            "return { match = { topic = { 'a/#', 'a/b' } }, on_message = function() end }", "1:37 match",
            "return { match = { topic = { 'a/+', 'b/b' } }, on_message = function() end }"),
        Case(
            "return { match = { topic = 'a+' }, on_message = function() end }", "1:28 match",
            "return { match = { topic = 'a/+' }, on_message = function() end }"),
        Case(
            "local seen = {}\nreturn { on_message = function(msg) seen[msg.key] = true end }", "2:37 growth",
            "local seen = {}\nreturn { on_message = function(msg) seen[msg.key] = true seen[msg.key] = nil end }"),
        Case(
            "return { match = { topic = { 'a/+', 'a/#/b' } }, on_message = function() end }", "1:37 match",
            "return { match = { topic = { 'a/+', 'a/b/#' } }, on_message = function() end }"),
        Case(
            "return { on_connect = function(conn) return route.drop(conn.uid) end }", "1:51 hook",
            "return { on_connect = function(conn) return route.reject(conn.uid) end }"),
        Case(
            "return { on_message = function(msg) return route.redirect(msg.topic) end }", "1:50 hook",
            "return { on_chat = function(msg) return route.redirect(msg.topic) end }"),
        Case(
            "return { on_message = function(msg) route.reject(msg.topic) end }", "1:37 unused",
            "return { on_message = function(msg) return route.reject(msg.topic) end }"),
        Case(
            "return { on_message = function(msg) msg:with { topic = 'x' } end }", "1:37 unused",
            "return { on_message = function(msg) return msg:with { topic = 'x' } end }"),
        Case(
            "return { onmessage = function(msg) return msg and nil end }", "1:10 hook",
            "return { on_message = function(msg) return msg and nil end }"),
        Case(
            "return { on_register = function(conn) return conn:with { uid = 'a' } end }", "1:58 hook",
            "return { on_register = function(conn) return conn:with { tags = { 'a' } } end }"),
        Case(
            "return { on_tick = function() http.get('http://a/') end }", "1:36 hook",
            "return { on_subscribe = function() http.get('http://a/') end }"),
        Case(
            "return { on_message = function(msg, ctx, more) return more and msg end }", "1:42 hook",
            "return { on_message = function(msg, ctx) return ctx.now and msg end }"),
    ]

    @Test("each fault of a file is found at its place, and not in the nearest source without it", arguments: files)
    func rules(one: Case) throws {
        #expect(try found(one.wrong) == [one.finding])
        #expect(try found(one.right) == [])
    }

    static let values = [
        Case("return route.to('a/#')", "1:58 arguments", "return route.to('a/b')"),
        Case("return route.to('')", "1:58 arguments", "return route.to('a')"),
        Case("return route.to('a\\0b')", "1:58 arguments", "return route.to('a')"),
        Case("return route.to('a/+/' .. ctx.rule)", "1:58 arguments", "return route.to('a/' .. ctx.rule)"),
        Case("return route.to(5)", "1:58 arguments", "return route.to('5')"),
        Case("return route.to('a', 'b')", "1:63 arguments", "return route.to('a', msg)"),
        Case("return route.chat('#')", "1:60 arguments", "return route.chat('a')"),
        Case("return route.delay(-1, msg)", "1:61 arguments", "return route.delay(1, msg)"),
        Case("return route.push({ uid = 5 }, msg)", "1:68 arguments", "return route.push({ uid = '5' }, msg)"),
        Case("return route.message { topic = 'a', paylod = 'x' }", "1:78 arguments", "return route.message { topic = 'a', payload = 'x' }"),
        Case("return route.message { topic = '+', payload = 'x' }", "1:73 arguments", "return route.message { topic = 'a', payload = 'x' }"),
        Case("return msg:with { topic = 'a/#' }", "1:68 arguments", "return msg:with { topic = 'a' }"),
        Case("return msg:with { payload = { 1 } }", "1:70 arguments", "return msg:with { payload = json.encode { 1 } }"),
        Case("return msg:with { payload = '' }", "1:70 arguments", "return msg:with { payload = ' ' }"),
        Case("return msg:with { qos = 3 }", "1:66 arguments", "return msg:with { qos = 2 }"),
        Case("return msg:with { qos = '1' }", "1:66 arguments", "return msg:with { qos = 1 }"),
        Case("return msg:with { retain = 1 }", "1:69 arguments", "return msg:with { retain = true }"),
        Case("return msg:with { format = 'jsn' }", "1:69 arguments", "return msg:with { format = 'json' }"),
        Case("return msg:with { key = true }", "1:66 arguments", "return msg:with { key = false }"),
        Case("return msg:with { expiry = -5 }", "1:69 arguments", "return msg:with { expiry = 60 }"),
        Case("return match(msg.topic, 'a/#/b') and msg or nil", "1:66 arguments", "return match(msg.topic, 'a/+/b') and msg or nil"),
        Case("ctx:emit('x')", "1:51 arguments", "ctx:emit(msg)"),
        Case("return 'drop'", "1:49 hook", "return route.drop()"),
        Case("return true", "1:49 hook", "return nil"),
        Case("return { payload = 'x' }", "1:49 hook", "return msg:with { payload = 'x' }"),
    ]

    @Test("a value that is written out and that the worker would refuse is found, and not the nearest one that it takes", arguments: values)
    func literals(one: Case) throws {
        #expect(try found(Self.hook(one.wrong)) == [one.finding])
        #expect(try found(Self.hook(one.right)) == [])
    }

    @Test("what is wrong with a value is told with what would be right")
    func words() throws {
        func told(_ body: String) throws -> String {
            let folder = try PluginFolder(["r/rule.lua": Self.hook(body)])
            let found = try #require(RuleCheck([folder.path + "/r"]).findings.first)
            return "\(found.message); \(found.help ?? "")"
        }
        #expect(try told("return msg:with { payload = { 1 } }") == "msg:with{}: payload is a table; a text, such as json.encode makes of a table")
        #expect(try told("return msg:with { retain = 'yes' }") == "msg:with{}: retain is the text \"yes\"; true or false")
        #expect(try told("return 'rejet'").contains("did you mean route.reject(…)? nothing, "))
        #expect(try told("return route.to('a/#')").hasPrefix("route.to: topic \"a/#\" has +, # or a zero byte in it"))
    }

    private static let schema =
        "settings = { limit = integer { default = 4 }, routes = list { to = topic }, more = table({ rate = number }, { optional = true }) }"

    static let settings = [
        Case("return ctx.settings.limt", "4:21 field", "return ctx.settings.limit > 4 and msg or nil"),
        Case("return ctx.settings['limt']", "4:20 field", "return ctx.settings['limit'] > 4 and msg or nil"),
        Case("local s = ctx.settings return route.to(s.too)", "4:42 field", "local s = ctx.settings return route.to(s.routes[1].to)"),
        Case("return route.to(ctx.settings.routes[1].too)", "4:40 field", "return route.to(ctx.settings.routes[1].to)"),
        Case("ctx.settings.limit = 5", "4:14 field", "local limit = ctx.settings.limit return limit > 5 and msg or nil"),
        Case("ctx.settings.more.rate = 5", "4:19 field", "local rate = ctx.settings.more.rate return rate > 5 and msg or nil"),
        Case("local s = ctx.settings s.limit = 5", "4:26 field", "local s = ctx.settings return s.limit > 5 and msg or nil"),
    ]

    @Test("a setting that the rule does not have, and one that is set, are found", arguments: settings)
    func ownSettings(one: Case) throws {
        func rule(_ body: String) -> String { "local R = { \(Self.schema) }\n\nfunction R.on_message(msg, ctx)\n\(body)\nend\nreturn R\n" }
        #expect(try found(rule(one.wrong)).first == one.finding)
        #expect(try found(rule(one.right)) == [])
    }

    @Test("a rule that does not say what its settings are is believed")
    func unknownSettings() throws {
        #expect(try found(Self.hook("return ctx.settings.whatever.there.is and msg or nil")) == [])
        #expect(try found(Self.hook("ctx.settings.x = 1")) == ["1:55 field"])
    }

    @Test("tests are looked at too")
    func tests() throws {
        let rule = "return { on_message = function() end }"
        #expect(try found(rule, test: "return { ['a'] = function(t) t.message { topic = 'a' } end }") == ["1:32 colon"])
        #expect(try found(rule, test: "return { ['a'] = function(t) t:mesage { topic = 'a' } end }") == ["1:32 field"])
        #expect(try found(rule, test: "return { ['a'] = function(t) t:message { topci = 'a' } end }") == ["1:42 arguments"])
        #expect(try found(rule, test: "return { ['a'] = function(t) t:message { topic = 'a' } end }") == [])
    }

    @Test("a comment silences a line's warnings, and no error")
    func silenced() throws {
        #expect(try found("local x = 1 -- shunt: ignore\nreturn { on_message = function() end }") == [])
        #expect(try found("local x = 1 -- shunt: ignore unused\nreturn { on_message = function() end }") == [])
        #expect(try found("local x = 1 -- shunt: ignore shadowed\nreturn { on_message = function() end }") == ["1:7 unused"])
        #expect(try found("return { prioritty = 1, on_message = function() end } -- shunt: ignore") == ["1:10 rule"])
    }

    private func together(_ upper: String, _ lower: String) throws -> [RuleFinding] {
        let folder = try PluginFolder([
            "a/rule.lua": "return { priority = 9, match = { topic = 'a/#' }, on_message = function(msg, ctx) \(upper) end }",
            "b/rule.lua": "return { priority = 1, match = { topic = 'a/+' }, on_message = function(msg) \(lower) end }",
        ])
        return RuleCheck(["a", "b"].map { "\(folder.path)/\($0)" }).findings
    }

    @Test("two rules that drop the same are told, with both places")
    func overlaps() throws {
        let found = try together("if msg.topic == 'a/b' then return route.drop() end return ctx.now and nil", "return route.drop()")
        #expect(found.map(\.kind) == [.overlap])
        #expect(found.first?.help?.contains("a/rule.lua:1:") == true)
        #expect(try together("if msg.topic == 'a/c/d' then return route.drop() end return ctx.now and nil", "return route.drop()") == [])
    }

    @Test(
        "what sends messages past a rule that changes payloads is told",
        arguments: [
            "return route.fanout { msg, route.to('a') }", "return route.done()", "ctx:emit(msg:with { key = 'x' })",
            "return route.push({ uid = 'a' })",
        ])
    func unguarded(body: String) throws {
        #expect(Set(try together(body, "return msg:with { payload = 'x' }").map(\.kind)) == [.unguarded])
        #expect(try together(body, "return msg:with { topic = 'x' }") == [])
        #expect(try together("return route.to('a/c')", "return msg:with { payload = 'x' }") == [])
    }

    @Test(
        "what goes to another topic meets the rules of that topic",
        arguments: [
            "ctx:emit(msg:with { topic = 'a/c' })", "ctx:emit(msg:with { topic = msg.topic, key = 'x' })",
            "return route.fanout { msg:with { topic = 'a/c' }, route.to('a/d') }",
            "ctx:emit(route.to('a/c', msg))",
        ])
    func guarded(body: String) throws {
        #expect(try together(body, "return msg:with { payload = 'x' }") == [])
    }

    @Test("two rules of one name are told, and a match that cannot be found")
    func starting() throws {
        let rule = "return { name = 'same', on_message = function() end }"
        let twins = try PluginFolder(["a/rule.lua": rule, "b/rule.lua": rule])
        #expect(RuleCheck(["a", "b"].map { "\(twins.path)/\($0)" }).findings.map(\.message) == ["two rules are named same"])
        let folder = try PluginFolder([
            "r/rule.lua": "return { settings = {}, match = function() return { topik = 'x' } end, on_message = function() end }"
        ])
        let found = RuleCheck([folder.path + "/r"])
        #expect(found.errors == 1 && found.findings.first?.message.contains("topik") == true, "\(found.findings)")
    }

    @Test("grants are listed")
    func grants() throws {
        let folder = try PluginFolder(["r/rule.lua": "return { grants = { publish = { 'audit/#' }, broadcast = true } }"])
        #expect(RuleCheck([folder.path + "/r"]).grants == [.init(rule: "r", rights: ["publish audit/#", "broadcast"])])
    }

    @Test("the plugins that come with Shunt, and those that `rule new` makes, have no finding")
    func clean() throws {
        #expect(RuleCheck(PluginTests.names.map { "\(PluginTests.directory)/\($0)" }).findings.map(\.description) == [])
        for kind in RuleTemplate.Kind.allCases {
            let template = try RuleTemplate(name: "new", kind: kind)
            let folder = try PluginFolder(Dictionary(uniqueKeysWithValues: template.files.map { ("new/\($0.name)", $0.text) }))
            #expect(RuleCheck([folder.path + "/new"]).findings.map(\.description) == [])
        }
    }
}
