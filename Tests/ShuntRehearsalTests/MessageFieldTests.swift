import Foundation
import ShuntCore
import ShuntRehearsal
import ShuntRules
import Testing

@Suite("What only MQTT carries, and what holds for later messages, in a rehearsal")
struct MessageFieldTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    private func topics(_ messages: [ObservedMessage]) -> [String] { messages.map { text($0.topic) } }

    private static let message =
        #"{"topic":"a/1","payload":"21.5","qos":2,"retain":true,"props":{"region":"eu"},"expiry":60,"sender":{"uid":"ada","client_id":"c1"}}"#
    private static let seen =
        "json.encode { msg.qos, msg.retain, msg.props.region or false, msg.expiry or false, msg.content_type or false, #msg.payload, msg.hops }"

    @Test(
        "A rule that gets what another has sent on sees QoS, retain flag and properties, and nothing is left behind",
        arguments: [
            "return route.to('b/1')", "return route.fanout { route.to('b/1') }", "ctx:emit(route.to('b/1')) return route.drop()",
            "return msg:with { topic = 'b/1' }", "return route.fanout { msg:with { topic = 'b/1' } }",
            "ctx:emit(msg:with { topic = 'b/1' }) return route.drop()",
        ])
    func sentOn(body: String) throws {
        let rig = try Rig([
            "dup": "return { match = { topic = 'a/+' }, on_message = function(msg, ctx) \(body) end }",
            "look":
                "return { match = { topic = 'b/+' }, on_message = function(msg) log.info(\(Self.seen)) if msg.props.region == 'eu' then "
                + "return route.drop('eu') end end }",
        ])
        let result = try rig.run(Self.message)
        #expect(result.steps.last?.lines.map(\.text) == [#"[2,true,"eu",60,false,4,1]"#])
        #expect(result.out.isEmpty && result.outcome == "dropped" && result.unmatched.isEmpty)
    }

    @Test(
        "Broadcasts and chats' messages are as a worker gives them, whatever is described",
        arguments: [
            (#"{"kind":"broadcast","filter":{"uid":"u"},"#, #"[1,false,false,false,false,"text"]"#),
            (#"{"kind":"chat","topic":"c","#, #"[1,false,false,false,false,"text"]"#),
            (#"{"kind":"chat","topic":"c","format":"json","#, #"[1,false,false,false,false,"json"]"#),
        ])
    func ofOtherKinds(start: String, seen: String) throws {
        let look = "log.info(json.encode { msg.qos, msg.retain, msg.props.region or false, msg.expiry or false, msg.key or false, msg.format })"
        let rig = try Rig(["look": "local function f(msg) \(look) end\nreturn { on_broadcast = f, on_chat = f }"])
        let result = try rig.run(start + #""payload":"[1]","qos":2,"retain":true,"key":"k","expiry":60,"props":{"region":"eu"}}"#)
        #expect(result.steps.flatMap(\.lines).map(\.text) == [seen])
        #expect(result.outcome == "passed")
    }

    @Test("A topic that a rule gives a broadcast is none")
    func topicOfBroadcast() throws {
        for (changes, outcome) in [("topic = 'q/9'", "passed"), ("topic = 'q/9', payload = 'new'", "changed")] {
            let rig = try Rig(["push": "return { on_broadcast = function(push) return push:with { \(changes) } end }"])
            let result = try rig.run(#"{"kind":"broadcast","payload":"hi","filter":{"uid":"u"}}"#)
            #expect(result.out.count == 1 && result.outcome == outcome, "\(changes): \(result.outcome)")
        }
    }

    @Test("What goes out keeps what the message has that it is made of")
    func kept() throws {
        let rig = try Rig([
            "move": "return { on_message = function(msg) if msg.hops == 0 then return route.to('b') end end }",
            "see": "return { on_message = function() end }",
        ])
        let result = try rig.run(Self.message)
        #expect(topics(result.out) == ["b"] && result.outcome == "sent elsewhere")
        #expect(result.out.first?.qos == .exactlyOnce && result.out.first?.isRetained == true && result.out.first?.properties["expiry"] == 60)
    }

    @Test("Hooks about recipients see them, too, and an empty payload as it is")
    func recipients() throws {
        let rig = try Rig(
            [
                "pick": """
                return {
                  on_select = function(group, members, msg)
                    log.info(\(Self.seen))
                    for _, member in ipairs(members) do if member.uid == msg.props.to then return member end end
                  end,
                  on_undelivered = function(msg, why) log.info(\(Self.seen)) end }
                """
            ], subscribers: "g/1 gr ann\ng/1 gr bob\ng/1 gr cid\n")
        let chosen = try rig.run(#"{"topic":"g/1","payload":"21.5","qos":2,"retain":true,"content_type":"x/y","props":{"to":"cid","region":"eu"}}"#)
        #expect(chosen.steps.first?.lines.map(\.text) == [#"[2,true,"eu",false,"x/y",4,0]"#])
        #expect(chosen.recipients?.map(\.uid) == ["cid"])
        let missed = try rig.run(#"{"topic":"g/2","payload":"","qos":2,"props":{"region":"eu"}}"#)
        #expect(missed.steps.map(\.hook) == ["on_undelivered"] && missed.answer?.status == 500)
        #expect(missed.steps.first?.lines.map(\.text) == [#"[2,false,"eu",false,false,0,0]"#])
    }

    @Test(
        "A standing decision decides about the topic's later messages, and is told as a step without a call",
        arguments: [
            ("route.drop('x')", "drop", "dropped", []), ("route.reject('x')", "reject", "rejected", []),
            ("route.to('b')", "route", "sent elsewhere", ["b"]),
            ("route.fanout { msg, route.to('b') }", "fanout", "passed with copies", ["a/1", "b"]),
        ])
    func always(verdict: String, decision: String, outcome: String, out: [String]) throws {
        let rig = try Rig([
            "al":
                "return { match = { topic = 'a/+' }, on_message = function(msg) if msg.payload ~= 'keep' then "
                + "return route.always(\(verdict)) end end }"
        ])
        #expect(try rig.run(#"{"topic":"a/1","payload":"keep"}"#).outcome == "passed")
        let first = try rig.run(#"{"topic":"a/1","payload":"x"}"#)
        #expect(first.steps.map { "\($0.decision) \($0.isAlways) \($0.isStanding)" } == ["\(decision) true false"])
        let later = try rig.run(#"{"topic":"a/1","payload":"keep"}"#)
        #expect(later.steps.map { "\($0.decision) \($0.isAlways) \($0.isStanding)" } == ["\(decision) true true"])
        #expect(later.outcome == outcome && topics(later.out) == out && first.outcome == outcome)
        #expect(later.text(ReportStyle(colors: false)).contains("decided before, not called"))
        #expect(try rig.run(#"{"topic":"a/2","payload":"keep"}"#).outcome == "passed", "another topic")
        var summary = RehearsalSummary()
        for result in [first, later] { summary.add(result) }
        #expect(summary.tree["rules"]?.text.contains(#""calls":1,"decisions":{"\#(decision)":2}"#) == true, "\(summary.tree.text)")
    }

    @Test("A rule that passes all messages of a topic, or is done with them, is not asked again; one that sees another topic decides for one message")
    func passing() throws {
        let rig = try Rig([
            "ok": "return { priority = 2, match = { topic = 'a' }, on_message = function(msg) return route.always() end }",
            "end": "return { priority = 1, match = { topic = 'a' }, on_message = function(msg) return route.always(route.done()) end }",
            "last": "return { match = { topic = { 'a', 'c' } }, on_message = function(msg) return route.always(route.drop('last')) end }",
            "move": "return { priority = 3, match = { topic = 'c' }, on_message = function(msg) return msg:with { topic = 'd' } end }",
        ])
        #expect(try rig.run(#"{"topic":"a","payload":"x"}"#).steps.map(\.rule) == ["ok", "end"])
        let later = try rig.run(#"{"topic":"a","payload":"x"}"#)
        #expect(later.steps.isEmpty && later.outcome == "passed" && Set(later.unmatched) == ["ok", "end", "last", "move"])
        for _ in 0..<2 { #expect(try rig.run(#"{"topic":"c","payload":"x"}"#).steps.map(\.isStanding) == [false, false]) }
    }

    @Test("At limits.hops the message goes that has come over too many topics, and no other")
    func hops() throws {
        var rules: [String: String] = [:]
        for index in 0..<11 {
            rules["h\(index)"] =
                "return { priority = \(index), match = { topic = 't/\(index)' }, on_message = function(msg) return route.fanout { "
                + "route.to('t/\(index + 1)'), route.to('z/\(index)') } end }"
        }
        let result = try Rig(rules).run(#"{"topic":"t/0","payload":"p"}"#)
        #expect(result.exceedsHops && topics(result.out) == (0...8).map { "z/\($0)" })
        let few = try Rig(rules, routing: RoutingLimits(hops: 2)).run(#"{"topic":"t/0","payload":"p"}"#)
        #expect(topics(few.out) == ["z/0", "z/1", "z/2"], "the configuration's limits.hops counts")
    }

    @Test("A message of which nothing goes out is dropped, wherever that was")
    func nothing() throws {
        let rig = try Rig([
            "a": "return { match = { topic = 'a' }, on_message = function(msg) return route.to('b') end }",
            "b": "return { match = { topic = 'b' }, on_message = function(msg) return route.drop('no') end }",
        ])
        let result = try rig.run(#"{"topic":"a","payload":"p"}"#)
        #expect(result.outcome == "dropped" && result.why == "no")
    }

    @Test("The sender has the attributes that rules gave it")
    func attributes() throws {
        let rig = try Rig(["plan": "return { on_message = function(msg) return route.reject(msg.sender.attributes.plan) end }"])
        #expect(try rig.run(#"{"topic":"a","sender":{"uid":"ada","attributes":{"plan":"free"}}}"#).why == "free")
    }

    @Test(
        "A description that says a thing twice, or not enough, is refused",
        arguments: [
            (#"{"topic":"a","payload":"x","payload_base64":"eA=="}"#, "payload and payload_base64 exclude each other"),
            (#"{"topic":"a","payload":"x","topic":"b"}"#, "topic stands there twice"),
            (#"{"topic":"a","sender":{"uid":"x","uid":"y"}}"#, "uid stands there twice"),
            (#"{"kind":"chat","payload":"x"}"#, "the message has no chat"), (#"{"topic":"a","qos":3}"#, "the message: qos is 3"),
            (#"{"topic":"a","format":"jsn"}"#, #"the message: format is "jsn""#), (#"{"topic":"a","expiry":1.5}"#, "the message: expiry is 1.5"),
        ])
    func refused(line: String, message: String) throws {
        #expect(throws: ShuntError.self) { try Rig.message(line) }
        do { _ = try Rig.message(line) } catch let error as ShuntError { #expect(error.message == message) }
    }
}
