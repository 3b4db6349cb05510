import LuaSyntax
import ShuntCore
import Testing

@testable import ShuntRules

/// The findings in `r/rule.lua` and its tests, each as `line:column kind`.
func lintFindings(_ text: String, test: String? = nil, more: [String: String] = [:]) throws -> [String] {
    try lintDetails(text, test: test, more: more).map { finding in
        let place = finding.location.split(separator: "/").last.map { $0.split(separator: ":").dropFirst().joined(separator: ":") } ?? ""
        return "\(place) \(finding.kind.rawValue)"
    }
}

func lintDetails(_ text: String, test: String? = nil, more: [String: String] = [:]) throws -> [RuleFinding] {
    var files = ["r/rule.lua": text]
    if let test { files["r/rule_test.lua"] = test }
    for (name, text) in more { files["r/\(name)"] = text }
    let folder = try PluginFolder(files)
    return RuleCheck([folder.path + "/r"]).findings
}

@Suite("shunt rule check, values and their types")
struct RuleCheckValueTests {
    typealias Case = RuleCheckTests.Case

    /// A hook's body in a line of its own.
    private static func hook(_ body: String) -> String { "return { on_message = function(msg, ctx)\n\(body)\nend }" }

    static let texts = [
        Case("if msg.payload.id == nil then return route.reject('no id') end", "2:16 field", "if msg:json().id == nil then return route.drop() end"),
        Case("local p = msg.payload for k in pairs(p.items) do log.info(k) end", "2:40 field", "for k in pairs(msg:json().items) do log.info(k) end"),
        Case("return msg.payload:uper() == 'A' and msg or nil", "2:20 field", "return msg.payload:upper() == 'A' and msg or nil"),
        Case("return msg.payload.upper() == 'A' and msg or nil", "2:20 colon", "return msg.payload.upper(msg.topic) == 'A' and msg or nil"),
        Case("return msg.payload['id'] and msg or nil", "2:19 field", "return msg:json()['id'] and msg or nil"),
        Case("return msg.payload[1] == 'a' and msg or nil", "2:19 field", "return msg:json()[1] == 'a' and msg or nil"),
        Case("msg.payload.seen = true", "2:13 field", "msg:json().seen = true"),
        Case("return msg.payload:json() and msg or nil", "2:20 field", "return msg:json() and msg or nil"),
        Case("return msg.key:lower():nosuch() and msg or nil", "2:24 field", "return msg.key:lower():find('a') and msg or nil"),
        Case("return msg.qos.level and msg or nil", "2:16 field", "return msg.qos == 1 and msg or nil"),
        Case("for k in pairs(msg.payload) do log.info(k) end", "2:16 arguments", "for k in pairs(msg:json()) do log.info(k) end"),
        Case("return tostring(msg.id).x and msg or nil", "2:25 field", "return tostring(msg.id):len() > 1 and msg or nil"),
        Case("return msg['topik'] and msg or nil", "2:11 field", "return msg['topic'] ~= '' and msg or nil"),
        Case("msg['topik'] = 1", "2:4 field", "local m = {} m['topik'] = 1"),
    ]

    @Test("a text has no fields, and the methods of string", arguments: texts)
    func scalars(one: Case) throws {
        #expect(try lintFindings(Self.hook(one.wrong)) == [one.finding])
        #expect(try lintFindings(Self.hook(one.right)) == [])
    }

    @Test("what is asked of a payload is told with how to decode it")
    func decoding() throws {
        func help(_ body: String) throws -> String? { try lintDetails(Self.hook(body)).first?.help }
        #expect(try help("return msg.payload.id and msg or nil") == "msg:json() decodes it")
        #expect(try help("return msg.payload:uper() == '' and msg or nil") == "did you mean upper?")
        #expect(try help("return msg.payload.length > 5 and msg or nil") == "# gives its length")
    }

    static let values = [
        Case("return route.drop", "2:14 hook", "return route.drop()"),
        Case("return msg.payload", "2:8 hook", "return msg:with { payload = msg.payload }"),
        Case("local text = msg.topic return text", "2:31 hook", "local text = msg.topic return route.to(text)"),
        Case("return msg.sender", "2:8 hook", "return msg.sender and msg"),
        Case("return route.fanout(msg, route.to('x'))", "2:21 arguments", "return route.fanout { msg, route.to('x') }"),
        Case("return route.fanout({ msg, 'audit/x' })", "2:28 arguments", "return route.fanout({ msg, route.to('audit/x') })"),
        Case("return route.fanout { msg, msg.topic }", "2:28 arguments", "local list = { msg } return route.fanout(list)"),
        Case("return route.to('a', msg.payload)", "2:22 arguments", "return route.to('a', msg:with { payload = 'x' })"),
        Case("return route.chat(msg)", "2:19 arguments", "return route.chat(msg.topic, msg)"),
        Case(
            "local o = msg:json() return msg:with { payload = o }", "2:50 arguments",
            "local o = msg:json() return msg:with { payload = json.encode(o) }"),
        Case("return msg:with { payload = msg:json() }", "2:29 arguments", "return msg:with { payload = msg.topic }"),
        Case("local o = { 1 } return msg:with { payload = o }", "2:45 arguments", "local o = { 1 } return msg:with { payload = json.encode(o) }"),
        Case("return route.always(msg:with { key = 'a' })", "2:21 arguments", "return route.always(route.drop())"),
        Case("return json.decode(msg) and msg or nil", "2:20 arguments", "return json.decode(msg.payload) and msg or nil"),
        Case("return match(msg, 'a') and msg or nil", "2:14 arguments", "return match(msg.key, 'a') and msg or nil"),
        Case("log('x')", "2:1 library", "log.info('x')"),
        Case("route('x')", "2:1 library", "return route.to('x')"),
        Case("counter('x'):increment()", "2:14 field", "counter('x'):inc()"),
        Case("counter('x').inc()", "2:14 colon", "counter('x'):inc(2)"),
        Case("return sessions.find('ada') and msg", "2:22 arguments", "return sessions.find { uid = 'ada' } and msg"),
        Case("return match('orders/+') and msg or nil", "2:8 arguments", "return match(msg.topic, 'orders/+') and msg or nil"),
        Case("kv.set('a')", "2:4 arguments", "kv.set('a', 1)"),
        Case("return route.to()", "2:14 arguments", "return route.to(tostring(ctx.rule))"),
        Case("return re.match(msg.topic, '(?=x)') and msg or nil", "2:28 arguments", "return re.match(msg.topic, '(?:x)') and msg or nil"),
        Case("return string.find(msg.topic, '[a') and msg or nil", "2:31 arguments", "return string.find(msg.topic, '[a', 1, true) and msg or nil"),
        Case("return msg.topic:match('(a') and msg or nil", "2:24 arguments", "return msg.topic:match('(a)%1[]]%b()()') and msg or nil"),
        Case("return msg.topic:gsub('a)', '') and msg or nil", "2:23 arguments", "return msg.topic:gsub('a%)', '') and msg or nil"),
        Case("return msg.topic:find('a%') and msg or nil", "2:23 arguments", "return msg.topic:find('a%%') and msg or nil"),
        Case("return require('later') and msg", "2:16 library", "return require('there') and msg"),
        Case("return require 'sub.later' and msg", "2:16 library", "return pcall(require, 'later') and msg or nil"),
    ]

    @Test("what the worker would refuse on every message is found, and not the nearest that it takes", arguments: values)
    func arguments(one: Case) throws {
        let more = ["there.lua": "return {}"]
        #expect(try lintFindings(Self.hook(one.wrong), more: more) == [one.finding])
        #expect(try lintFindings(Self.hook(one.right), more: more) == [])
    }

    @Test("what is not sure is no finding")
    func unsure() throws {
        for body in [
            "local o = msg:json() if type(o) == 'string' then return msg:with { payload = o } end", "return kv.get('a')",
            "return route.to(kv.get('a'))", "local f = route.drop return f()", "kv.set(table.unpack { 'a', 1 })", "return msg:with(msg:json())",
            "local text = msg.payload text = msg:json() return route.to(text.id)", "hash.sha256(5)", "log.info(5)",
            "return msg:with { props = msg.props }", "return msg:with { filter = { uid = msg.topic } }",
            "local part = msg.topic:match('[^/]+') return part and route.to(part)",
            "local o = msg:json() return o.x:match('[a') and msg or nil", "return json.encode(msg:json()) == '' and msg or nil",
        ] { #expect(try lintFindings(Self.hook(body)) == [], "\(body)") }
    }

    @Test(
        "tables are ordered where a metatable of the plugin may say how",
        arguments: [
            "local one, two = { n = 1 }, { n = 2 }\nsetmetatable(one, order) setmetatable(two, order)",
            "local one, two = { n = 1 }, { n = 2 }\nfor _, v in ipairs { one, two } do setmetatable(v, order) end",
        ])
    func ordered(made: String) throws {
        let body = "local function older(a, b) return a < b end\nreturn { on_message = function() if BODY then return route.drop() end end }"
        for condition in ["one < two", "one >= 5", "older(one, two)"] {
            let rule = "\(made)\n\(body.replacing("BODY", with: "\(condition) or older(1, 2)"))"
            for order in ["{ __lt = function() return true end, __le = true }", "{ ['__lt'] = true }", "{}\nfunction order.__lt() return true end"] {
                #expect(try lintFindings("local order = \(order)\n\(rule)") == [], "\(condition), \(order)")
            }
            #expect(try lintFindings("local order = require 'm'\n\(rule)", more: ["m.lua": "return { __lt = function() end }"]) == [])
        }
        let plain = "local order = {}\n\(made)\n\(body.replacing("BODY", with: "one < two or older(1, 2)"))"
        #expect(try lintFindings(plain).map { $0.hasSuffix("match") } == [true])
        let other = "local order = { __lt = true }\n\(made)\n\(body.replacing("BODY", with: "(one or 1) and ('a' < 5) or older(1, 2)"))"
        #expect(try lintFindings(other).map { $0.hasSuffix("match") } == [true])
    }

    private static let calling = "return { on_message = function(msg) return a(msg) and msg end }"

    static let functions = [
        Case(
            "local function total_of(msg)\nreturn msg.topik\nend\nreturn { on_message = function(msg) return total_of(msg) and msg end }",
            "2:12 field",
            "local function total_of(msg)\nreturn msg.topik\nend\nreturn { on_message = function(msg) return total_of(msg:json()) and msg end }"),
        Case(
            "local function total_of(msg) return msg.json() end\nreturn { on_message = function(msg) return total_of(msg) and msg end }",
            "1:41 colon",
            "local function total_of(msg) return msg:json() end\nreturn { on_message = function(msg) return total_of(msg) and msg end }"),
        Case(
            "local function b(m) return m.topik end\nlocal function a(m) return b(m) end\n\(Self.calling)",
            "1:30 field",
            "local function b(m) return m.topik end\nlocal function a(m) return b(m), b end\n\(Self.calling)"),
        Case(
            "local function f(p) return p.x end\nreturn { on_message = function(msg) return f(msg.payload) and msg end }", "1:30 field",
            "local function f(p) return p.x end\nreturn { on_message = function(msg) return f(msg.payload) and f({ x = 1 }) and msg end }"),
        Case(
            "local function f(c) return c.settings.y end\nreturn { settings = { x = text }, on_tick = function(ctx) f(ctx) end }", "1:39 field",
            "local function f(c) return c.settings.x end\nreturn { settings = { x = text }, on_tick = function(ctx) f(ctx) end }"),
        Case(
            "local function show(m) log.info(m.payload) end\nreturn { on_message = function(msg) show(msg) end }", "1:33 payload",
            "local function show(m) log.info(#m.payload) end\nreturn { on_message = function(msg) show(msg) end }"),
        Case(
            "local function decide(msg)\nreturn msg.topik and msg\nend\nreturn { on_message = decide }", "2:12 field",
            "local function decide(msg)\nreturn msg.topik and msg\nend\ndecide({})\nreturn { on_message = decide }"),
        Case(
            "local R = { prioritty = 1 }\nfunction R.on_message(msg) return msg end\nreturn setmetatable(R, {})", "1:13 rule",
            "local R = { priority = 1 }\nfunction R.on_message(msg) return msg end\nreturn setmetatable(R, {})"),
    ]

    @Test("what a function is given by every call of it is known in it", arguments: functions)
    func calls(one: Case) throws {
        #expect(try lintFindings(one.wrong) == [one.finding])
        #expect(try lintFindings(one.right) == [])
    }
}
