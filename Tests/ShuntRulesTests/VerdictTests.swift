import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Verdicts of on_message")
struct VerdictTests {
    private func decide(_ verdict: String, topic: String = "a/b", payload: String = #"{"id":1}"#) throws -> Outcome {
        try RuleRig("function R.on_message(msg, ctx) \(verdict) end").send(topic, payload, key: "k")
    }

    @Test("nothing returned passes the message on as it came", arguments: ["return nil", "", "return msg"])
    func pass(verdict: String) throws {
        let outcome = try decide(verdict)
        #expect(outcome.verdict == .pass)
        #expect(outcome.messages.isEmpty)
        #expect(outcome.rule == nil)
    }

    @Test("msg:with{} replaces what it names and keeps the rest")
    func replace() throws {
        let outcome = try decide(#"return msg:with { topic = "x", payload = "new", format = "text" }"#)
        #expect(outcome.verdict == .send)
        let sent = try #require(outcome.messages.first)
        #expect((sent.topic, sent.key, sent.payload, sent.format) == ("x", "k", "new", .text))
        #expect(sent.changes == [.topic, .payload, .format])
        let without = try #require(try decide("return msg:with { key = false }").messages.first)
        #expect(without.key == nil)
        #expect(without.changes == [.key])
    }

    @Test("route.to sends it to another topic, with the payload untouched")
    func to() throws {
        let outcome = try decide(#"return route.to("other")"#)
        #expect(outcome.verdict == .send)
        #expect(outcome.messages.map(\.topic) == ["other"])
        #expect(outcome.messages.map(\.changes) == [[.topic]])
        let both = try decide(#"return route.to("other", msg:with { key = "z" })"#)
        #expect(both.messages.map(\.key) == ["z"])
    }

    @Test("route.fanout sends several, in order")
    func fanout() throws {
        let outcome = try decide(
            #"return route.fanout { msg, msg:with { topic = "x" }, route.to("y"), route.push({ uid = "u" }, msg), route.chat("c9") }"#)
        #expect(outcome.messages.map(\.topic) == ["a/b", "x", "y", "a/b", "c9"])
        #expect(outcome.messages.map(\.kind) == [.topic, .topic, .topic, .broadcast, .chat])
        #expect(outcome.messages[3].filter == #"{"uid":"u"}"#)
        #expect(outcome.messages[4].changes == [.kind, .topic])
    }

    @Test("a message that went over limits.hops is an error of the rule that sent it on, told within bounds, and no reason to switch it off")
    func hops() throws {
        let rig = try RuleRig("R.breaker = { errors = 1 } function R.on_message() return route.to('x') end")
        rig.send()
        withBytes("a/2") { topic in
            let message = MessageView(kind: .topic, topic: topic, key: nil, payload: .none, format: .none, id: 0, sender: .none)
            for _ in 0..<50 { rig.rules.exceededHops(rule: 0, message: message, now: 1000) }
            rig.rules.exceededHops(rule: 7, message: message, now: 1000)
        }
        #expect(rig.figures().errors == [.hopLimit: 50])
        #expect(rig.log.texts.first == "on_message: what it sends on had come over limits.hops topics, and is dropped (limit.hops)")
        #expect(rig.log.texts.count < 50 && rig.log.texts.last?.contains("counted only") == true)
        #expect(rig.send().messages.map(\.topic) == ["x"])
    }

    @Test(
        "more than limits.fanout of one message is an error of the rule that sends it, hops together; one in its place is not more",
        arguments: [
            ("return route.fanout { msg, route.to('x') }", 1, false), ("return route.fanout { msg, route.to('x') }", 2, true),
            ("return route.to('x')", 0, true), ("ctx:emit(route.to('x'))", 0, false), ("ctx:emit(route.to('x'))", 1, true),
            ("pcall(ctx.emit, ctx, route.to('x'))", 0, true), ("return msg:with { topic = 'x' }", 0, true),
        ])
    func room(verdict: String, room: Int, fits: Bool) throws {
        let rig = try RuleRig("R.on_error = 'reject' function R.on_message(msg, ctx) \(verdict) end")
        let outcome = rig.send(room: room)
        #expect((outcome.verdict == .reject(why: "rule rule failed")) == !fits)
        #expect(rig.figures().errors == (fits ? [:] : [.fanoutLimit: 1]))
        #expect(
            rig.log.texts.count { $0.contains("limits.fanout messages would come of one message") && $0.hasSuffix("(limit.fanout)") }
                == (fits ? 0 : 1))
    }

    @Test("copies of a large payload for other topics are bounded in bytes")
    func roomInBytes() throws {
        let rig = try RuleRig("function R.on_message(msg) return route.fanout { msg, route.to('x'), route.to('y'), route.to('z') } end")
        #expect(rig.send("t", String(repeating: "x", count: 16 << 20)).messages.count == 4)
        #expect(rig.send("t", String(repeating: "x", count: 24 << 20)).verdict == .pass)
        #expect(rig.figures().errors == [.fanoutLimit: 1])
    }

    @Test("drop and reject end it with a reason of one line")
    func dropAndReject() throws {
        #expect(try decide(#"return route.drop("no")"#).verdict == .drop(why: "no"))
        #expect(try decide(#"return route.reject("line one\nline two")"#).verdict == .reject(why: "line one line two"))
        #expect(try decide(#"return route.reject(("é"):rep(1000))"#).verdict == .reject(why: String(repeating: "é", count: 256)))
    }

    @Test("ctx:emit sends besides; an error takes back what its call emitted")
    func emit() throws {
        let outcome = try decide(#"ctx:emit(route.to("audit")); ctx:emit(msg:with { topic = "copy" })"#)
        #expect(outcome.verdict == .pass)
        #expect(outcome.messages.map(\.topic) == ["audit", "copy"])
        let failed = try decide(#"ctx:emit(route.to("audit")); error("late")"#)
        #expect(failed.verdict == .pass)
        #expect(failed.messages.isEmpty)
    }

    @Test("rules run by priority; replace goes on, route and done stop the chain")
    func chain() throws {
        let rig = try RuleRig(files: [
            "first/rule.lua": #"return { priority = 9, on_message = function(m) return m:with { topic = m.topic .. "/1" } end }"#,
            "second/rule.lua": #"""
            return { priority = 5, on_message = function(m)
              if m.key == "done" then return route.done() end
              if m.key == "to" then return route.to("stop") end
              return m:with { payload = m.payload .. "!" }
            end }
            """#,
            "third/rule.lua": #"return { priority = 1, on_message = function(m) return m:with { topic = m.topic .. "/3" } end }"#,
        ])
        let all = rig.send("t", "p")
        #expect(all.messages.map(\.topic) == ["t/1/3"])
        #expect(all.messages.map(\.payload) == ["p!"])
        #expect(all.messages.map(\.changes) == [[.topic, .payload]])
        #expect(all.rule == 2)
        #expect(rig.send("t", "p", key: "done").messages.map(\.topic) == ["t/1"])
        #expect(rig.send("t", "p", key: "to").messages.map(\.topic) == ["stop"])
        #expect(rig.rules.figures().map(\.rule) == ["first", "second", "third"])
        #expect(rig.figures(rule: 1).verdicts == ["replace": 1, "done": 1, "route": 1])
        #expect(rig.figures(rule: 2).calls == 1)
    }

    @Test("a copy of a message may be kept; msg itself is only there while its hook runs")
    func keeping() throws {
        let rig = try RuleRig(
            #"""
            local kept, raw
            function R.on_message(msg, ctx)
              if msg.topic == "keep" then kept, raw = msg:with {}, msg return end
              return kept
            end
            function R.on_disconnect() return raw.topic end
            """#)
        rig.send("keep", "first payload", key: "k1")
        let sent = try #require(rig.send("later", "second").messages.first)
        #expect((sent.topic, sent.payload, sent.key) == ("keep", "first payload", "k1"))
        #expect(sent.changes == [.topic, .key, .payload, .format, .qos, .retain, .properties])
        rig.rules.onDisconnect(Clients.peer(), why: "gone", now: 1)
        #expect(rig.log.texts.contains { $0.contains("msg is only there while its hook runs") })
    }

    @Test("a large payload is not copied by msg:with{}, and its copy can't outlive it")
    func largePayload() throws {
        let rig = try RuleRig(
            #"""
            local kept
            function R.on_message(msg)
              if kept then return kept end
              kept = msg:with { topic = "big" }
              return kept
            end
            """#,
            limits: {
                var l = RuleLimits(); l.callMemory = 64 * 1024; return l
            }())
        let big = String(repeating: "x", count: 3_000_000)
        #expect(rig.send("t", big).messages.map(\.payload.count) == [3_000_000])
        #expect(rig.send("t", "{}").verdict == .pass)
        #expect(rig.log.texts.contains { $0.contains("over 64 KiB") })
    }

    @Test(
        "what can't be sent is an error with a sentence",
        arguments: [
            (#"return msg:with { payload = "" }"#, "payload is empty"),
            (#"return msg:with { topic = "a/#" }"#, "has + , # or a zero byte"),
            (#"return msg:with { topic = "$SYS/a" }"#, "msg:with{}: topic '$SYS/a': only the worker publishes below $SYS"),
            (#"return route.to("$SYS/" .. msg.topic)"#, "route.to: topic '$SYS/a/b': only the worker publishes below $SYS"),
            (#"return route.delay(1, route.message { topic = "$SYS/", payload = "x" })"#, "only the worker publishes below $SYS"),
            (#"return msg:with { topics = "a" }"#, "takes topic, key, payload, format, qos, retain, props, content_type"),
            (#"return msg:with { format = "image" }"#, "format is text or json"),
            (#"return { topic = "x" }"#, "on_message returned a table"),
            (#"return route.redirect("w:1")"#, "returned a verdict that it can't"),
            (#"return route.continue("t/x")"#, "returned a verdict that it can't"),
            (#"return route.fanout {}"#, "at least one message"),
            (#"return route.fanout { 1 }"#, "item 1 is not msg"),
            (#"return route.push({ tags = { "a" } })"#, "not tags"),
            (#"return msg.tpic"#, "msg has no 'tpic'"),
            (#"return ctx.setings"#, "ctx has no 'setings'"),
            (#"local t = {} for i = 1, 1001 do t[i] = msg end return route.fanout(t)"#, "a call may send 1000"),
            (#"for i = 1, 101 do ctx:emit(route.to("t")) end"#, "more than 100 messages"),
        ])
    func errors(body: String, expected: String) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx) \(body) end")
        let outcome = rig.send()
        #expect(outcome.verdict == .pass)
        #expect(outcome.messages.isEmpty)
        #expect(rig.log.texts.contains { $0.contains(expected) }, "\(rig.log.texts)")
        #expect(rig.figures().errors.values.reduce(0, +) == 1)
    }

    @Test(
        "an error without a place of its own has that of the hook",
        arguments: [
            (#"return "drop""#, "on_message returned a string"), ("return true", "on_message returned a boolean"),
            ("return {}", "on_message returned a table"), ("return route.drop", "on_message returned a function"),
            ("error({})", "raised a table instead of a text: {}"), (#"return ("x"):rep(1e9)"#, "needed more than its budget of 1024 KiB of memory"),
            (#"return route.always(route.to("x")), ctx:emit(msg)"#, "route.always after ctx:emit"),
        ])
    func places(body: String, expected: String) throws {
        let rig = try RuleRig("\nfunction R.on_message(msg, ctx)\n\(body) end")
        rig.send()
        let text = try #require(rig.log.texts.first)
        #expect(text.contains("on_message: rule/rule.lua:3: \(expected)") || text.contains("on_message: rule/rule.lua:4: \(expected)"), "\(text)")
    }

    private static let given = SettingValue.object([
        "limit": .int(3), "list": .array([.string("a"), .string("b")]), "more": .object(["deep": .int(1)]),
    ])

    @Test(
        "a setting can't be changed, at any depth and by any function",
        arguments: [
            "ctx.settings.limit = 5", "ctx.settings.new = 5", "ctx.settings.more.deep = 2", "ctx.settings.list[1] = 'x'", "ctx.settings.limit = nil",
            "rawset(ctx.settings, 'limit', 5)", "table.insert(ctx.settings.list, 'c')", "table.remove(ctx.settings.list)",
            "table.sort(ctx.settings.list, function(a, b) return a > b end)", "table.move({ 'x' }, 1, 1, 1, ctx.settings.list)",
        ])
    func frozen(body: String) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx)\n\(body)\nend", settings: Self.given)
        rig.send()
        let expected = "ctx.settings can't be changed: keep what differs in a local of the rule, in kv or in shared (rule.failed)"
        #expect(rig.log.texts.first?.hasSuffix(expected) == true, "\(rig.log.texts)")
    }

    @Test(
        "settings are read as any table",
        arguments: [
            ("ctx.settings.limit", "3"), ("#ctx.settings.list", "2"), ("table.concat(ctx.settings.list, '+')", "a+b"), ("ctx.settings.absent", "nil"),
            ("select('#', table.unpack(ctx.settings.list))", "2"), ("json.encode(ctx.settings)", #"{"limit":3,"list":["a","b"],"more":{"deep":1}}"#),
            ("#msgpack.encode(ctx.settings) > 10", "true"), ("rawget(ctx.settings, 'limit')", "3"), ("rawlen(ctx.settings.list)", "2"),
            ("rawequal(ctx.settings.more, ctx.settings.more)", "true"), ("type(ctx.settings)", "table"), ("next(ctx.settings.more)", "deep"),
            ("(function() local n = 0 for k, v in pairs(ctx.settings) do n = n + 1 end return n end)()", "3"),
            ("(function() local t = '' for i, v in ipairs(ctx.settings.list) do t = t .. i .. v end return t end)()", "1a2b"),
            (
                "(function() local c = {} for k, v in next, ctx.settings.list do c[k] = v end c[1] = 'x' return c[1] .. ctx.settings.list[1] end)()",
                "xa"
            ),
            (
                "select(2, pcall(setmetatable, ctx.settings, {}))",
                "ctx.settings can't be changed: keep what differs in a local of the rule, in kv or in shared"
            ), ("getmetatable(ctx.settings)", "nil"),
        ])
    func frozenReads(value: String, expected: String) throws {
        let rig = try RuleRig(
            "function R.on_message(msg, ctx)\nlog.info(tostring((\(value))))\nend", settings: Self.given)
        rig.send()
        #expect(rig.log.texts == [expected])
    }

    @Test("settings go into what a rule sends; on_load has a table of its own, and ctx has it as on_load has left it")
    func frozenUses() throws {
        let rig = try RuleRig(
            """
            local kept
            function R.on_load(settings)
              settings.limit, settings.list[3], settings.more.itself, kept = 9, "c", settings.more, settings.more
            end
            function R.on_message(msg, ctx)
              local push = route.push({ match_tags = ctx.settings.list }, msg)
              kept.deep = kept.deep + 1
              log.info(ctx.settings.limit .. tostring(ctx.settings.more == ctx.settings.more.itself) .. kept.deep, { ctx.settings.more.deep })
              return push
            end
            """, settings: Self.given)
        #expect(rig.send().messages.map(\.filter) == [#"{"match_tags":["a","b","c"]}"#])
        #expect(rig.log.all.map(\.fields) == [#"{"value":[1]}"#])
        #expect(rig.log.texts == ["9true2"])
    }

    @Test(
        "an error that is no text has the line where it was raised, its type, and what it says",
        arguments: [
            ("error({ code = 1, why = 'no stock', more = { 1 } })", "raised a table instead of a text: {code = 1, more = table, why = \"no stock\"}"),
            ("error({ 1, 2, code = 7 })", "raised a table instead of a text: {code = 7, …}"), ("error(42)", "raised a number instead of a text: 42"),
            ("error(0.5)", "raised a number instead of a text: 0.5"), ("error(nil)", "raised a nil instead of a text"),
            ("error()", "raised a nil instead of a text"), ("error(true)", "raised a boolean instead of a text: true"),
            ("error(setmetatable({ code = 2 }, { __tostring = error }))", "raised a table instead of a text: {code = 2}"),
            ("error(('x'):rep(9), 0)", "xxxxxxxxx"), ("error({ ('n'):rep(61) })", "raised a table instead of a text: {…}"),
            ("local w = coroutine.wrap(function() error({ code = 3 }) end) w()", "raised a table instead of a text: {code = 3}"),
        ])
    func otherErrors(body: String, expected: String) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx)\n\n\(body)\nend")
        rig.send()
        let text = try #require(rig.log.texts.first)
        let place = expected == "xxxxxxxxx" ? "" : "rule/rule.lua:4: "
        #expect(text == "on_message: \(place)\(expected) (rule.failed)")
    }

    @Test("a value that was caught leaves no place to an error that comes later")
    func caughtErrors() throws {
        let rig = try RuleRig("function R.on_message(msg)\npcall(error, { code = 1 })\n\nassert(false, { code = 2 })\nend")
        rig.send()
        #expect(rig.log.texts.first == "on_message: rule/rule.lua:2: raised a table instead of a text: {code = 2} (rule.failed)")
    }

    @Test("a table that repeats the payload is not shown")
    func hiddenErrors() throws {
        let rig = try RuleRig("function R.on_message(msg)\nerror({ card = msg.payload })\nend")
        rig.send("a", "4111-1111-1111-1111")
        #expect(rig.log.texts.first?.contains("4111") == false)
        #expect(rig.log.texts.first?.hasPrefix("on_message: rule/rule.lua:3: ") == true, "\(rig.log.texts)")
    }

    @Test(
        "what can't be changed in place says what is right",
        arguments: [
            (#"msg.topic = "x""#, "msg can't be changed in place: return msg:with{ topic = … }"),
            (#"local copy = msg:with {} copy.payload = "x""#, "msg can't be changed in place: return msg:with{ payload = … }"),
            (#"msg.sender.tags = {}"#, "conn can't be changed in place: return conn:with{ tags = … }"),
            ("ctx.now = 1", "ctx can't be changed"), ("route.drop().why = 1", "verdict can't be changed"),
            (#"counter("c").value = 1"#, "counter can't be changed"),
        ])
    func inPlace(body: String, expected: String) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx) \(body) end")
        rig.send()
        #expect(rig.log.texts.first?.contains("rule/rule.lua:2: \(expected)") == true, "\(rig.log.texts)")
    }

    @Test(
        "on_error decides what a failing rule does to the message",
        arguments: [
            ("pass", Outcome.Verdict.pass), ("drop", .drop(why: "rule rule failed")), ("reject", .reject(why: "rule rule failed")),
        ])
    func onError(action: String, verdict: Outcome.Verdict) throws {
        #expect(try RuleRig("R.on_error = \"\(action)\" function R.on_message() error(\"x\") end").send().verdict == verdict)
    }
}
