import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule check, what is used otherwise than it is meant")
struct RuleCheckMisuseTests {
    /// What is wrong, the kind of its finding, and the same without the fault; in a hook whose parameters are as the pages have them.
    struct Case: CustomTestStringConvertible, Sendable {
        var hook = "on_message"
        var wrong: String
        var kind: RuleFinding.Kind
        var right: String
        var before = ""
        var testDescription: String { "\(hook): \(wrong)" }

        func text(_ body: String) -> String {
            let parameters = RuleVocabulary.hookParameterNames[hook] ?? []
            return "local R = {}\n\(before)\nR.\(hook) = function(\(parameters.joined(separator: ", ")))\n\(body)\nend\nreturn R"
        }
    }

    static let texts = [
        Case(
            wrong: "if msg.topic.find('x') then return route.drop() end", kind: .colon, right: "if msg.topic:find('x') then return route.drop() end"),
        Case(
            wrong: "return msg:with { topic = msg.topic.gsub('a', 'b') }", kind: .colon,
            right: "return msg:with { topic = msg.topic.gsub(msg.topic, 'a', 'b') }"),
        Case(
            wrong: "if msg.payload.sub(1, 1) == 'x' then return route.drop() end", kind: .colon,
            right: "if msg.payload.sub(msg.payload, 1, 1) == 'x' then return route.drop() end"),
    ]

    static let sending = [
        Case(wrong: "return r.rejcet('x')", kind: .library, right: "return r.reject('x')", before: "local r = route"),
        Case(hook: "on_deliver", wrong: "ctx:emit(msg)", kind: .hook, right: "log.info(ctx.rule)"),
        Case(hook: "on_select", wrong: "ctx:emit(msg)", kind: .hook, right: "log.info(ctx.rule)"),
        Case(hook: "on_undelivered", wrong: "ctx:emit(msg)", kind: .hook, right: "log.info(ctx.rule)"),
        Case(hook: "on_acked", wrong: "ctx:emit(msg)", kind: .hook, right: "log.info(ctx.rule)"),
        Case(wrong: "return route.fanout { msg, route.drop() }", kind: .arguments, right: "return route.fanout { msg, route.to('a') }"),
        Case(wrong: "ctx:emit(route.reject('x'))", kind: .arguments, right: "ctx:emit(route.fanout { msg })"),
        Case(wrong: "return route.delay(5, route.fanout { msg })", kind: .arguments, right: "return route.delay(5, route.to('a'))"),
        Case(
            wrong: "ctx:emit(route.message { payload = 'x' })", kind: .arguments,
            right: "ctx:emit(route.to('a', route.message { payload = 'x' }))"),
        Case(wrong: "return route.message { payload = 'x' }", kind: .arguments, right: "return route.message { topic = 'a', payload = 'x' }"),
        Case(wrong: "return msg:json()", kind: .hook, right: "return msg:json() and msg"),
        Case(wrong: "return match('a/+', msg.topic) and msg or nil", kind: .arguments, right: "return match(msg.topic, 'a/+') and msg or nil"),
        Case(wrong: "return re.test('^a', msg.payload) and msg or nil", kind: .arguments, right: "return re.test(msg.payload, '^a') and msg or nil"),
        Case(
            hook: "on_connect", wrong: "return conn:with { limits = { messages = 5 } }", kind: .arguments,
            right: "return conn:with { limits = { messages_per_second = 5 } }"),
        Case(
            hook: "on_connect", wrong: "return conn:with { limits = { messages_per_second = 'many' } }", kind: .arguments,
            right: "return conn:with { limits = { bytes_per_second = 5 } }"),
        Case(
            hook: "on_tick", wrong: "ctx:emit(route.to('a'))", kind: .arguments, right: "ctx:emit(route.to('a', route.message { payload = 'x' }))"),
        Case(
            hook: "on_disconnect", wrong: "ctx:emit(route.push { uid = conn.uid })", kind: .arguments,
            right: "ctx:emit(route.push({ uid = conn.uid }, route.message { payload = 'x' }))"),
        Case(
            hook: "on_connect", wrong: "ctx:emit(route.delay(5))", kind: .arguments,
            right: "ctx:emit(route.delay(5, route.message { topic = 'a', payload = 'x' }))"),
        Case(
            hook: "on_session", wrong: "ctx:emit(route.fanout { route.delay(5, route.chat('a')) })", kind: .arguments,
            right: "ctx:emit(route.fanout { route.chat('a', route.message { payload = event }) })"),
        Case(
            wrong: "local to = route.to return to('a/#')", kind: .arguments, right: "local to = route.to return to('a/b')"),
        Case(wrong: "local get = http.get get('http://a/')", kind: .hook, right: "local drop = route.drop return drop()"),
        Case(wrong: "return route.drop(('%q'):format(1))", kind: .arguments, right: "return route.drop(('%5.2f%%'):format(1))"),
        Case(wrong: "return route.drop(string.format('%y', 1))", kind: .arguments, right: "return route.drop(string.format('%-5s', 1))"),
        Case(wrong: "return route.drop(string.format('5%', 1))", kind: .arguments, right: "return route.drop(string.format('5%%', 1))"),
        Case(wrong: "while true do log.info('x') end return msg", kind: .unreachable, right: "while true do break end return msg"),
        Case(
            wrong: "repeat for i = 1, 2 do break end until false return msg", kind: .unreachable,
            right: "repeat if msg.key then break end until false return msg"),
        Case(
            hook: "on_select", wrong: "for _, m in ipairs(members) do if m.conected then return m end end", kind: .field,
            right: "for _, m in ipairs(members) do if m.congested then return m end end"),
        Case(hook: "on_select", wrong: "if members[1].absnt then return members[2] end", kind: .field, right: "return members[#members]"),
        Case(
            hook: "on_select", wrong: "local first = members[1] return pick(first.uidd)", kind: .field, right: "return pick(members)",
            before: "local function pick(list) return list[1] end"),
        Case(hook: "on_select", wrong: "return members[1].uid", kind: .hook, right: "return members[1]"),
        Case(hook: "on_select", wrong: "return members", kind: .hook, right: "return members[2]"),
        Case(
            hook: "on_connect", wrong: "if sessions.find { uid = conn.uid }[1].clientid then return route.reject() end", kind: .field,
            right: "if sessions.find { uid = conn.uid }[1].client_id then return route.reject() end"),
        Case(wrong: "_G.count = (_G.count or 0) + 1", kind: .global, right: "_G.print(msg.topic)"),
    ]

    static let comparisons = [
        Case(wrong: "if not msg.topic == 'a/b' then return route.drop() end", kind: .match, right: "if not (msg.topic == 'a/b') then return end"),
        Case(wrong: "if msg.sender == 'ada' then return route.drop() end", kind: .match, right: "if msg.sender.uid == 'ada' then return end"),
        Case(wrong: "if #msg.payload == '3' then return route.drop() end", kind: .match, right: "if #msg.payload == 3 then return end"),
        Case(wrong: "if msg.payload > 5 then return route.drop() end", kind: .match, right: "if tonumber(msg.payload) > 5 then return end"),
        Case(wrong: "if '5' < msg.qos then return route.drop() end", kind: .match, right: "if 1 < msg.qos and msg.topic < 'b' then return end"),
        Case(wrong: "if not msg.qos > 1 then return route.drop() end", kind: .match, right: "if not (msg.qos > 1) then return end"),
        Case(
            hook: "on_connect", wrong: "if conn.tags == 'admin' then return route.reject() end", kind: .match,
            right: "if conn.tags[1] == 'admin' then return route.reject() end"),
        Case(
            hook: "on_connect", wrong: "if conn.id == 'a' then return route.reject() end", kind: .match,
            right: "if conn.id == 1 then return route.reject() end"),
        Case(wrong: "return msg.qos == '1' and msg or nil", kind: .match, right: "return msg.qos == 1 and msg or nil"),
        Case(wrong: "return msg.retain == 1 and msg or nil", kind: .match, right: "return msg.retain == true and msg or nil"),
        Case(wrong: "return msg.format == 'JSON' and msg or nil", kind: .match, right: "return msg.format == 'json' and msg or nil"),
        Case(wrong: "return msg.kind ~= 'topic' and msg or nil", kind: .match, right: "return msg.kind == 'topic' and msg or nil"),
        Case(
            wrong: "return msg.sender.protocol == 'MQTT' and msg or nil", kind: .match, right: "return msg.sender.protocol == 'mqtt' and msg or nil"),
        Case(
            hook: "on_session", wrong: "if event == 'create' then log.info('x') end", kind: .match,
            right: "if event == 'created' then log.info('x') end"),
        Case(
            hook: "on_undelivered", wrong: "if why == 'no_subscriber' then log.info('x') end", kind: .match,
            right: "if why == 'no subscriber' then log.info('x') end"),
        Case(
            hook: "on_chat_close", wrong: "if why ~= 'closed' then log.info('x') end", kind: .match,
            right: "if why ~= 'destroyed' then log.info('x') end"),
        Case(
            hook: "on_connect", wrong: "if conn.version == 5 then return route.reject() end", kind: .match,
            right: "if conn.version == '5.0' then return route.reject() end"),
    ]

    static let growth = [
        ("on_message", "msg.topic"), ("on_message", "msg.sender.uid"), ("on_connect", "conn.uid"), ("on_connect", "conn.id"),
        ("on_message", "msg:json().id"),
    ].map { hook, key in
        Case(hook: hook, wrong: "local key = \(key) seen[key] = true", kind: .growth, right: "seen[\(key) and 1] = true", before: "local seen = {}")
    }

    @Test("each fault has its finding, and the same without it has none", arguments: texts + sending + comparisons + growth)
    func found(one: Case) throws {
        #expect(try lintDetails(one.text(one.wrong)).map(\.kind) == [one.kind])
        #expect(try lintDetails(one.text(one.right)).map(\.description) == [])
    }

    @Test("a table that loses its keys does not grow")
    func emptied() throws {
        let text = "local seen = {}\nreturn { on_connect = function(c) seen[c.id] = true end, on_disconnect = function(c) seen[c.id] = nil end }"
        #expect(try lintDetails(text) == [])
    }

    @Test("an empty list in match takes nothing", arguments: ["kind", "topic"])
    func emptyMatch(key: String) throws {
        let found = try lintFindings("return {\n  match = { \(key) = {} }, on_message = function() end }")
        #expect(found == ["2:13 rule"])
        let folder = try PluginFolder(["r/rule.lua": "return { match = { \(key) = {} }, on_message = function() end }"])
        #expect(throws: ShuntError.self) { try RuleSet.load(directory: folder.path) }
    }

    @Test("all mistakes of a rule's table are told, each with its place")
    func table() throws {
        let text = """
            return { name = "a b", tick = 0, mode = "test", grants = { publish = { "audit/#/x" }, sent = 1 }, budget = { time = "1h", size = 1 },
              breaker = { errors = -1, window = "x" }, match = { topic = "a/#", kinds = "topic" }, on_mesage = 5,
              on_message = function(m) return m end }
            """
        let found = try lintDetails(text)
        #expect(
            found.map(\.message).sorted() == [
                "breaker.errors is -1", "breaker.window is \"x\"", "budget.time is \"1h\"", "grants.publish is no list of topic filters",
                "mode is \"test\"", "name is \"a b\"", "tick is 0", "unknown hook on_mesage", "unknown key kinds in match",
                "unknown key sent in grants",
                "unknown key size in budget",
            ])
        #expect(found.allSatisfy { $0.location.split(separator: ":").count == 3 })
    }

    @Test("a place is found in a line with a number sign")
    func place() throws {
        let text = #"return { name = "a", grants = { publish = { "audit/#" } }, budget = { time = "1s" }, on_message = function(m) return m end }"#
        #expect(try lintFindings(text) == ["1:71 rule"])
    }
}
