import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule check, what is not there where it is used")
struct RuleCheckUseTests {
    typealias Case = RuleCheckMisuseTests.Case

    private static let cases = [
        Case(hook: "on_deliver", wrong: "return msg:with { qos = 0 }", kind: .hook, right: "return msg:with { payload = 'x' }"),
        Case(hook: "on_deliver", wrong: "return msg:with { topic = 'x' }", kind: .hook, right: "return msg:with { props = { a = 'x' } }"),
        Case(hook: "on_deliver", wrong: "return msg:with { retain = true }", kind: .hook, right: "return msg:with { format = 'json' }"),
        Case(hook: "on_deliver", wrong: "return msg:with { key = 'x' }", kind: .hook, right: "return msg:with { content_type = 'x/y' }"),
        Case(hook: "on_deliver", wrong: "log.info(msg.sender.uid)", kind: .field, right: "log.info(conn.uid)"),
        Case(hook: "on_will", wrong: "return route.to('gone/' .. msg.sender.uid)", kind: .field, right: "return route.to('gone/' .. conn.uid)"),
        Case(
            hook: "on_deliver", wrong: "return msg:with { payload = msg.sender.uid }", kind: .field,
            right: "if msg.sender then log.info(msg.sender.uid) end"),
        Case(hook: "on_acked", wrong: "log.info(msg.sender.uid)", kind: .field, right: "log.info(conn.uid)"),
        Case(
            hook: "on_connect", wrong: "if conn.will and conn.will.message then return route.reject('x') end", kind: .field,
            right: "if conn.will and conn.will.payload == 'x' then return route.reject('x') end"),
        Case(
            hook: "on_connect", wrong: "for _, p in ipairs(conn.props) do if p.nam == 'x' then return route.reject('x') end end", kind: .field,
            right: "for _, p in ipairs(conn.props) do if p.name == 'x' then return route.reject('x') end end"),
        Case(
            hook: "on_broadcast", wrong: "local f = push.filter if f.tags then return route.drop() end", kind: .field,
            right: "local f = push.filter f.filter_tags = { 'a' } f.mine = 1 if f.mine then return push:with { filter = f } end"),
        Case(
            hook: "on_broadcast", wrong: "if push.topic == 'news' then return route.drop() end", kind: .match,
            right: "if push.payload == 'news' then return route.drop() end"),
        Case(
            hook: "on_connect", wrong: "return route.redirect('host')", kind: .arguments, right: "return route.redirect('host:4091')"),
        Case(hook: "on_connect", wrong: "return route.redirect('host:99999')", kind: .arguments, right: "return route.redirect('[::1]:4091')"),
        Case(wrong: "return route.drop(time.format(0, '%Q'))", kind: .arguments, right: "return route.drop(time.format(0, '%Y-%m-%d %%'))"),
        Case(
            wrong: "return msg:with { payload = json.encode(msg) }", kind: .arguments,
            right: "return msg:with { payload = json.encode({ msg.topic }) }"),
        Case(
            hook: "on_connect", wrong: "local a = coroutine.wrap(function() return http.get('https://x/') end)() log.info(a)", kind: .hook,
            right: "local a = coroutine.wrap(function() return 1 end)() log.info(a) log.info(http.get('https://x/'))"),
        Case(
            hook: "on_connect", wrong: "local a = http.get('https://x/') if a and a.code == 200 then return route.reject('x') end", kind: .field,
            right: "local a = http.get('https://x/') if a and a.status == 200 then return route.reject('x') end"),
    ]

    @Test("a use of what is not there is found, and its neighbour is not", arguments: cases)
    func found(one: Case) throws {
        #expect(try lintDetails(one.text(one.wrong)).map(\.kind) == [one.kind])
        #expect(try lintDetails(one.text(one.right)).map(\.description) == [])
    }

    @Test("what is meant is told")
    func meant() throws {
        func help(_ body: String, hook: String = "on_message") throws -> String? {
            try lintDetails(Case(hook: hook, wrong: "", kind: .field, right: "").text(body)).first?.help
        }
        #expect(try help("return msg:drop('x')") == "return route.drop(…)")
        #expect(try help("local a = http.get('https://x/') log.info(a.code)", hook: "on_connect") == "did you mean status?")
        #expect(try help("return route.delay(msg, 5)")?.contains("route.drop") == false)
        #expect(try help("return route.always('x')")?.contains("route.drop") == true)
    }

    @Test("a function that is two hooks may ask whether there is a sender")
    func shared() throws {
        let text = "local R = {}\nlocal function tell(msg) log.info(msg.sender.uid) end\nR.on_message, R.on_acked = tell, tell\nreturn R"
        #expect(try lintDetails(text).map(\.description) == [])
    }

    @Test("settings that a loop goes through are followed")
    func settings() throws {
        func found(_ body: String) throws -> [String] {
            try lintFindings(
                """
                return { settings = { routes = list { from = filter, to = topic }, plans = map { rate = integer } },
                  on_message = function(msg, ctx)
                local s = ctx.settings
                \(body)
                end }
                """)
        }
        #expect(try found("for _, r in ipairs(s.routes) do if r.form then return route.drop() end end") == ["4:38 field"])
        #expect(try found("local all = s.routes for _, r in pairs(all) do if r.form then return route.drop() end end") == ["4:53 field"])
        #expect(try found("for name, plan in pairs(s.plans) do if plan.rat then return route.drop(name) end end") == ["4:45 field"])
        #expect(try found("for _, r in ipairs(s.routes) do if r.from == msg.topic then return route.to(r.to) end end") == [])
        #expect(try found("for name, plan in pairs(s.plans) do if plan.rate > 1 then return route.drop(name) end end") == [])
        #expect(try found("for _, r in ipairs(s.routes) do r.from = 'x' end") == ["4:35 field"])
    }

    @Test("a name that a counter can't have is told where the counter is made")
    func counters() throws {
        #expect(try lintFindings("local c = counter('not-ok')\nreturn { on_message = function() c:inc() end }") == ["1:11 rule"])
    }

    private func together(_ upper: String, _ lower: String, match: String) throws -> [RuleFinding] {
        let folder = try PluginFolder([
            "a/rule.lua": "return { priority = 95, match = { topic = 'orders/+' }, on_message = function(msg, ctx) \(upper) end }",
            "b/rule.lua": "return { priority = 80, match = \(match), on_message = function(msg) \(lower) end }",
        ])
        return RuleCheck(["a", "b"].map { "\(folder.path)/\($0)" }).findings
    }

    @Test(
        "a payload that goes to a topic where a rule which changes payloads does not see it is told",
        arguments: [
            "ctx:emit(route.to('audit/orders'))", "return route.fanout { msg:with { payload = 'x' }, route.to('audit/orders') }",
            "return route.to('audit/orders')", "ctx:emit(route.message { topic = 'audit/x', payload = msg.payload })",
            "local p = msg.payload ctx:emit(route.message { topic = 'audit/x', payload = p })", "ctx:emit(msg:with { topic = 'audit/x' })",
            "return route.fanout { msg:with { topic = 'audit/x', key = 'k' } }",
            "local copy = msg:with { key = 'k' } ctx:emit(route.to('audit/x', copy))",
            "ctx:emit(route.delay(5, route.to('audit/x')))", "local to = 'audit/x' ctx:emit(route.to(to))",
            "return route.to('audit/x', route.message { payload = msg.payload })",
        ])
    func elsewhere(upper: String) throws {
        let changing = "return msg:with { payload = 'x' }"
        #expect(try together(upper, changing, match: "{ topic = 'orders/#' }").map(\.kind) == [.unguarded])
        let unsure = try together(upper, changing, match: "function() return {} end")
        #expect(unsure.map(\.kind) == [.unguarded] && unsure.first?.message.hasSuffix("unless its match takes that topic") == true)
        #expect(try together(upper, changing, match: "{ topic = { 'orders/#', 'audit/#' } }") == [], "it sees the copy")
        #expect(try together(upper, changing, match: "{ topic = '#' }") == [])
        #expect(try together(upper, "return msg:with { key = 'x' }", match: "{ topic = 'orders/#' }") == [])
        #expect(
            try together(changing + " or ctx.now", upper.replacing("ctx:emit", with: "log.info"), match: "{ topic = 'orders/#' }") == [],
            "it is below")
    }

    @Test(
        "a payload that was written anew, and one that the rules below see, are not",
        arguments: [
            "ctx:emit(route.message { topic = 'audit/x', payload = 'seen' })", "ctx:emit(route.to('audit/x', msg:with { payload = 'x' }))",
            "ctx:emit(msg:with { topic = 'audit/x', payload = 'x' })", "return msg:with { topic = 'audit/x' }",
            "ctx:emit(route.to('audit/' .. msg.topic))", "ctx:emit(route.to('audit/x', route.message { payload = json.encode({ 1 }) }))",
        ])
    func rewritten(upper: String) throws {
        #expect(try together(upper, "return msg:with { payload = 'x' }", match: "{ topic = 'orders/#' }").filter { $0.kind == .unguarded } == [])
    }

    @Test("two rules that ask the same are told, in whatever order they write it")
    func order() throws {
        func both(_ first: String, _ second: String) throws -> [RuleFinding.Kind] {
            try together(
                "if \(first) then return route.drop('a') end return ctx.now and nil", "if \(second) then return route.drop('b') end", match: "{}"
            )
            .map(\.kind)
        }
        #expect(try both("'x' == msg.key", "msg.key == 'x'") == [.overlap])
        #expect(try both("'x' ~= msg.key", "msg.key ~= 'x'") == [.overlap])
        #expect(try both("'y' == msg.key", "msg.key == 'x'") == [])
    }
}
