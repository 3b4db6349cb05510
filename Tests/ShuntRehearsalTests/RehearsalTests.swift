import Foundation
import ShuntCore
import ShuntRehearsal
import ShuntRules
import Testing

@Suite("Messages that go through rules without a server")
struct RehearsalTests {
    private let hide =
        "return { priority = 2, on_message = function(m) local o = m:json() o.card = nil return m:with { payload = json.encode(o) } end }"

    private func topics(_ messages: [ObservedMessage]) -> [String] { messages.map { String(decoding: $0.topic, as: UTF8.self) } }
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("Every rule is told of in its order, with what it saw, decided, changed and took")
    func steps() throws {
        let rig = try Rig(["hide": hide, "send": "return { on_message = function(m) return route.fanout { m, route.to('audit/x') } end }"])
        let result = try rig.run(#"{"topic":"orders/1","payload":{"id":1,"card":"4"}}"#)
        #expect(result.steps.map(\.rule) == ["hide", "send", "hide"], "the copy meets the rules of its topic")
        #expect(result.steps.map(\.decision) == ["replace", "fanout", "replace"])
        #expect(MessageChange.all(from: result.steps[0].before, to: try #require(result.steps[0].replacement)).map(\.field) == ["payload.card"])
        #expect(text(result.steps[1].before.payload) == #"{"id":1}"#, "it sees what the rule before has made")
        #expect(topics(result.out) == ["orders/1", "audit/x"])
        #expect(result.outcome == "changed with copies")
        #expect(result.steps.allSatisfy { $0.nanoseconds > 0 && $0.bytes > 0 && $0.allocations > 0 })
        #expect(result.answer == nil, "whether somebody gets it is not known")
    }

    @Test("A message that a rule has renamed is asked about as a worker asks: once by each rule that has seen its topic")
    func renamed() throws {
        let rig = try Rig([
            "mover": "return { priority = 9, on_message = function(m) return m:with { topic = 't/' .. m.topic } end }",
            "emits": """
            return { priority = 5, on_message = function(m, c)
              if m.payload == 'e' then c:emit(m:with { key = 'k' }) end
              if m.payload == 'd' then return route.done() end
            end }
            """,
            "guard": "return { priority = 20, match = { topic = 't/#' }, on_message = function(m) return m:with { payload = 'new' } end }",
        ])
        let plain = try rig.run(#"{"topic":"x","payload":"p"}"#)
        #expect(plain.steps.map(\.rule) == ["mover", "emits", "guard"])
        #expect(topics(plain.out) == ["t/x"])
        let emitted = try rig.run(#"{"topic":"x","payload":"e"}"#)
        #expect(emitted.steps.map(\.rule) == ["mover", "emits", "guard", "guard"])
        #expect(topics(emitted.out) == ["t/x", "t/x"])
        let done = try rig.run(#"{"topic":"x","payload":"d"}"#)
        #expect(done.steps.map(\.rule) == ["mover", "emits"])
        #expect(topics(done.out) == ["t/x"])
    }

    @Test(
        "What rules decide about a whole chain is what the product decides",
        arguments: [
            ("return nil", "passed", 1), ("return m", "passed", 1), ("return m:with { payload = 'x' }", "changed", 1),
            ("return route.to('a')", "sent elsewhere", 1), ("return route.drop('old')", "dropped", 0), ("return route.reject('no')", "rejected", 0),
            ("return route.done()", "passed", 1),
            ("c:emit(m:with { topic = 'b' })", "passed with copies", 2),
            ("c:emit(m:with { topic = 'b' }) return route.drop('x')", "dropped", 1), ("return route.push({ uid = 'u' })", "sent elsewhere", 1),
            ("return route.chat('c')", "sent elsewhere", 1), ("return route.always(route.to('a'))", "sent elsewhere", 1),
            ("return route.always()", "passed", 1), ("return m:with { topic = 'x' }", "sent elsewhere", 1), ("error('no')", "passed", 1),
            ("return route.fanout { m:with { payload = 'x' }, route.to('a') }", "changed with copies", 2),
            ("return route.fanout { route.to('a'), route.to('b') }", "sent elsewhere", 2), ("return route.delay(5, m)", "delayed", 1),
            ("return route.delay(0, m)", "delayed", 1), ("return route.delay(5, route.to('a'))", "sent elsewhere", 1),
            ("c:emit(route.delay(5, m))", "passed with copies", 2), ("return route.delay(5, m:with { payload = 'x' })", "delayed", 1),
            ("return route.fanout { route.delay(5, m), route.delay(9, m) }", "delayed with copies", 2),
        ])
    func verdicts(_ body: String, _ outcome: String, _ count: Int) throws {
        let rig = try Rig(["one": "return { match = { topic = 't' }, on_message = function(m, c) \(body) end }"])
        let result = try rig.run(#"{"topic":"t","payload":"p"}"#)
        #expect(result.outcome == outcome)
        #expect(result.out.count == count)
        #expect(result.steps.count == 1)
        #expect(result.hasFailed == body.hasPrefix("error"))
    }

    @Test("What a rule on trial decides is told, and applied to those of a canary's share alone")
    func trials() throws {
        let rig = try Rig(
            [
                "all": "return { priority = 9, mode = 'shadow', on_message = function(m, c) c:emit(route.to('x')) return route.reject('no') end }",
                "tag": "return { on_message = function(m) return m:with { payload = 'old' .. shared.incr('n') } end }",
                ".next": "return { on_message = function(m) shared.incr('n', 10) return m:with { payload = 'new' } end }",
            ], trials: ["tag": .canary(RuleShare(percent: 0, uids: ["ada"]))])
        let bob = try rig.run(#"{"topic":"t","payload":"p","sender":{"uid":"bob"}}"#)
        #expect(bob.steps.map { "\($0.rule) \($0.decision) \($0.isApplied)" } == ["all reject false", "tag@next replace false", "tag replace true"])
        #expect(bob.steps[0].why == "no" && topics(bob.steps[0].sent) == ["x"])
        #expect(text(bob.steps[1].replacement?.payload ?? []) == "new")
        #expect(bob.out.map { text($0.payload) } == ["old1"] && bob.outcome == "changed" && bob.why == "", "a rule on trial has a store of its own")
        #expect(bob.text(ReportStyle(colors: false)).contains("reject (on trial as shadow: not applied)"))
        let ada = try rig.run(#"{"topic":"t","payload":"p","sender":{"uid":"ada"}}"#)
        #expect(ada.steps.map { "\($0.rule) \($0.decision) \($0.isApplied)" } == ["all reject false", "tag@next replace true"])
        #expect(ada.unmatched == ["tag"] && ada.out.map { text($0.payload) } == ["new"])
    }

    @Test("A rule on trial keeps a delivery back from nobody but those of its share")
    func deliveriesOnTrial() throws {
        let rig = try Rig(
            [
                "tag": "return { on_deliver = function() end }",
                ".next": "return { on_deliver = function(m, conn) if conn.uid ~= '' then return route.drop('no') end end }",
            ], subscribers: "t g ada\nt h bob", trials: ["tag": .canary(RuleShare(percent: 0, uids: ["ada"]))])
        let result = try rig.run(#"{"topic":"t","payload":"p"}"#)
        #expect(result.recipients?.map(\.uid) == ["bob"])
        #expect(
            Set(result.steps.map { "\($0.rule) \($0.recipient ?? "") \($0.decision) \($0.isApplied)" })
                == ["tag@next ada drop true", "tag@next bob drop false", "tag bob pass true"])
    }

    @Test("A rule that ends the chain ends it here too, with what those before it made")
    func chain() throws {
        let rig = try Rig([
            "a": "return { match = { topic = 't' }, priority = 3, on_message = function(m) return m:with { payload = m.payload .. 'a' } end }",
            "b":
                "return { match = { topic = 't' }, priority = 2, on_message = function(m, c) c:emit(route.to('b')) return m:with { key = 'k' } end }",
            "c": "return { match = { topic = 't' }, priority = 1, on_message = function(m) return route.done() end }",
            "d": "return { match = { topic = 't' }, on_message = function(m) return route.drop() end }",
        ])
        let result = try rig.run(#"{"topic":"t","payload":"p"}"#)
        #expect(result.steps.map(\.rule) == ["a", "b", "c"])
        #expect(result.steps.last?.decision == "done")
        #expect(result.out.map { text($0.payload) } == ["pa", "pa"])
        #expect(result.out.last?.key.map(text) == "k")
    }

    @Test("A failed rule's error is told with its place, what it logged, and what its on_error does")
    func failing() throws {
        let rig = try Rig(["bad": "return { on_error = 'reject', on_message = function(m)\nlog.warn('soon', { n = 1 })\nreturn m.nothing end }"])
        let result = try rig.run(#"{"topic":"t","payload":"p"}"#)
        let step = try #require(result.steps.first)
        #expect(step.decision == "failed")
        #expect(step.onError == "reject")
        #expect(step.error?.text.hasPrefix("on_message: bad/rule.lua:3:") == true)
        #expect(step.error?.placed.hasPrefix("on_message: \(rig.folder)/bad/rule.lua:3:") == true, "a path that is there")
        #expect(step.lines == [RuleLogEntry(level: .warn, rule: "bad", text: "soon", fields: #"{"n":1}"#)])
        #expect(result.outcome == "rejected")
        #expect(result.answer == .init(status: 403, text: "rule bad failed"))
    }

    @Test("What is delayed is told with its seconds, and takes no room from the messages after it")
    func delayed() throws {
        let rule = "return { on_message = function(m) return route.fanout { route.delay(1.5, m), route.delay(60, route.to('b')) } end }"
        let rig = try Rig(["later": rule], subscribers: "t g ann\nb g bob\n")
        let result = try rig.run(#"{"topic":"t","payload":"p"}"#)
        #expect(result.out.map(\.delay) == [1.5, 60])
        #expect(result.recipients == [])
        let text = result.text(ReportStyle(colors: false))
        #expect(text.contains("sends t, after 1.5 s   p\n     sends b, after 60 s   p\n"), "\(text)")
        #expect(text.contains("delayed with copies\n2 messages go out:\n     t, after 1.5 s   p\n     b, after 60 s   p\n"), "\(text)")
        #expect(text.contains("nobody gets it now\nwho gets what goes out later is not told"), "\(text)")
        #expect(result.tree.text.contains(#""delay":1.5"#) && result.tree.text.contains(#""delay":60,"#), "\(result.tree.text)")
        let many = try Rig(["later": "return { on_message = function(m) return route.delay(5, m:with { payload = ('x'):rep(60000) }) end }"])
        for _ in 0..<2000 { #expect(try many.run(#"{"topic":"t","payload":"p"}"#).outcome == "delayed") }
    }

    @Test("A rule without a match for it is not asked, and a topic that no message may have is refused")
    func unmatched() throws {
        let rig = try Rig(["one": "return { match = { topic = 'a/+' }, on_message = function() return route.drop() end }"])
        let passed = try rig.run(#"{"topic":"t","payload":"p"}"#)
        #expect((passed.outcome, passed.unmatched, topics(passed.out)) == ("passed", ["one"], ["t"]))
        let error = #expect(throws: ShuntError.self) { try rig.run(#"{"topic":"a/+","payload":"p"}"#) }
        #expect(error?.code == .usage && error?.description.contains("wildcards") == true)
        let workers = try rig.run(#"{"topic":"$SYS/broker/version","payload":"p"}"#)
        #expect(workers.out.isEmpty && workers.answer?.status == 400 && workers.answer?.text.contains("only the worker") == true)
    }

    @Test("The sender and MQTT's fields are as they are described")
    func described() throws {
        let rig = try Rig([
            "see": """
            return { on_message = function(m)
              local s = m.sender
              local seen = { s.uid, s.tags[1], s.client_id, s.props.a, m.qos, tostring(m.retain), m.props.region, m.expiry, m.hops, m.id, m.key }
              return m:with { payload = json.encode(seen) }
            end }
            """
        ])
        let result = try rig.run(
            #"{"topic":"t","payload":"p","qos":2,"retain":true,"props":{"region":"eu"},"expiry":9,"hops":3,"id":7,"key":"k","#
                + #""sender":{"uid":"ada","tags":["x"],"client_id":"c","props":{"a":"b"}}}"#)
        #expect(result.out.first.map { text($0.payload) } == #"["ada","x","c","b",2,"true","eu",9,3,7,"k"]"#)
        #expect(result.out.first?.qos == .exactlyOnce)
    }

    @Test("An empty payload reaches the rules as it is")
    func empty() throws {
        let rig = try Rig(["see": "return { on_message = function(m) return m:with { payload = 'was ' .. #m.payload } end }"])
        #expect(try rig.run(#"{"topic":"t"}"#).out.first.map { text($0.payload) } == "was 0")
    }

    @Test("One of each group gets it, and on_deliver and on_undelivered are called where subscribers are known")
    func recipients() throws {
        let rules = [
            "each": """
            return { on_deliver = function(m, c) if c.uid == 'bob' then return route.drop('not bob') end return m:with { payload = c.uid } end,
              on_undelivered = function(m, why) log.info(why) end }
            """
        ]
        let rig = try Rig(rules, subscribers: "t/# work ann\nt/# work ann2\nt/1 watch bob\n{\"topic\":\"t/+\",\"uid\":\"eve\"}\n")
        let result = try rig.run(#"{"topic":"t/1","payload":"p"}"#)
        let recipients = try #require(result.recipients)
        #expect(recipients.count == 2)
        #expect(recipients.contains { $0.uid == "eve" && $0.payload == "eve" && $0.group == nil })
        #expect(recipients.contains { $0.uid.hasPrefix("ann") && $0.group == "work" })
        #expect(Set(result.steps.filter { $0.hook == "on_deliver" }.map(\.decision)) == ["replace", "drop"])
        #expect(result.answer == .init(status: 200, text: ""))
        let nobody = try rig.run(#"{"topic":"other","payload":"p"}"#)
        #expect(nobody.recipients == [])
        #expect(nobody.answer?.status == 500)
        #expect(nobody.steps.map(\.hook) == ["on_undelivered"])
        #expect(nobody.steps.first?.lines.map(\.text) == ["no subscriber"])
    }

    @Test("A broadcast reaches the devices of the filter that a rule leaves")
    func broadcast() throws {
        let rule = """
            return { on_broadcast = function(p) local f = p.filter f.filter_tags = { 'quiet' } return p:with { filter = f, payload = 'hi' } end }
            """
        let lines = #"{"uid":"a","tags":["gold"]}"# + "\n" + #"{"uid":"b","tags":["gold","quiet"]}"#
        let result = try Rig(["news": rule], subscribers: lines).run(
            #"{"kind":"broadcast","payload":"hello","filter":{"match_tags":["gold"]}}"#)
        #expect(result.recipients?.map(\.uid) == ["a"])
        #expect(result.recipients?.first?.payload == "hi")
        #expect(result.outcome == "changed")
        #expect(result.answer?.text == "1 matched, 1 sent, 0 not sent")
    }

    @Test("A chat's message reaches the other members, and the rule sees who is there")
    func chat() throws {
        let rule = "return { on_chat = function(m, c) return m:with { payload = #c.members .. tostring(c:online('cy')) } end }"
        let result = try Rig(["manners": rule], subscribers: "").run(
            #"{"kind":"chat","topic":"c/1","payload":"hi","sender":{"uid":"ann"},"members":[{"uid":"bob"},{"uid":"cy","online":false}]}"#)
        #expect(result.out.first.map { text($0.payload) } == "3false")
        #expect(result.recipients?.map(\.uid) == ["bob"])
    }

    @Test("State lasts from one message to the next, and time is what the message says")
    func state() throws {
        let rig = try Rig(["count": "return { on_message = function(m, c) return m:with { payload = kv.incr('n', 1, 60) .. ' ' .. c.now } end }"])
        let payloads = try [#"{"topic":"t","at":1000}"#, #"{"topic":"t","at":1001}"#, #"{"topic":"t","at":1061}"#].map { line in
            try rig.run(line).out.first.map { text($0.payload) }
        }
        #expect(payloads == ["1 1000.0", "2 1001.0", "1 1061.0"])
    }

    @Test("A chain that goes on is ended as in a worker")
    func hops() throws {
        var rules: [String: String] = [:]
        for index in 0..<12 { rules["r\(index)"] = "return { on_message = function(m) return route.to(m.topic .. 'x') end }" }
        let result = try Rig(rules).run(#"{"topic":"t","payload":"p"}"#)
        #expect(result.exceedsHops)
        #expect(result.out.isEmpty)
    }

    @Test("A rule that its breaker has switched off is told as such")
    func breaker() throws {
        let rig = try Rig(["bad": "return { breaker = { errors = 2 }, on_error = 'drop', on_message = function() error('no') end }"])
        let decisions = try (0..<20).map { number in
            try rig.run(#"{"topic":"t","payload":"p","sender":{"uid":"u\#(number)"}}"#).steps.first?.decision
        }
        #expect(decisions.first == "failed")
        #expect(decisions.last == "off")
    }
}
