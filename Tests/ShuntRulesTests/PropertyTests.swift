import ShuntCore
import Testing

@testable import ShuntRules

@Suite("QoS, retain flag and properties of messages")
struct PropertyTests {
    /// What a client of MQTT 5.0 may send.
    private static let all: [UInt8] = {
        var properties = TestProperties([
            "payload_format": .int(1), "expiry": .int(70_000), "content_type": "application/json", "response_topic": "answers/1",
            "correlation_data": .bytes([0, 255]),
        ])
        for (name, value) in [("region", "eu"), ("key", "k1"), ("region", "us"), ("", "empty")] { properties.add(.user, name, value) }
        return properties.bytes
    }()

    private func fields(_ sent: Sent) -> [String: LuaValue] { sent.properties.withUnsafeBytes { TestProperties.described($0) } }

    private func pairs(_ sent: Sent) -> [String] { (fields(sent)["props"] ?? .null).pairs.map { "\($0.name)=\($0.value)" } }

    /// What becomes of a message by the expression that `on_message` returns.
    private func changed(
        _ expression: String, key: String? = "k1", format: PayloadFormat = .json, payload: String = "{}", properties: [UInt8] = all
    ) throws -> Sent {
        let rig = try RuleRig("function R.on_message(msg, ctx) return \(expression) end")
        let outcome = rig.send("t", payload, key: key, format: format, qos: .exactlyOnce, isRetained: true, properties: properties)
        return try #require(outcome.messages.first, "\(rig.log.texts)")
    }

    // MARK: reading

    private static let shows = #"""
        function R.on_message(msg)
          local pairs = {}
          for i, pair in ipairs(msg.props) do pairs[i] = pair.name .. "=" .. pair.value end
          log.info(json.encode {
            msg.qos, msg.retain, pairs, msg.key or "no key", msg.content_type or false, msg.response_topic or false,
            base64.encode(msg.correlation_data or ""), msg.expiry or false, msg.payload_format or false, msg.props.region or false,
          })
        end
        """#

    @Test("a rule reads what a client of MQTT has sent along: pairs in their order, and the first of a name")
    func reading() throws {
        let rig = try RuleRig(Self.shows)
        rig.send(key: "k1", format: .json, qos: .exactlyOnce, isRetained: true, properties: Self.all)
        #expect(
            rig.log.texts == [
                #"[2,true,["region=eu","key=k1","region=us","=empty"],"k1","application/json","answers/1","AP8=",70000,1,"eu"]"#
            ])
    }

    @Test("a message of the exchange protocol counts as QoS 1, has no properties, and the content type of its format")
    func exchange() throws {
        let rig = try RuleRig(Self.shows)
        rig.send(key: "k", format: .json)
        rig.send(format: .none)
        #expect(
            rig.log.texts == [
                #"[1,false,{},"k","application/json",false,"",false,1,false]"#, #"[1,false,{},"no key",false,false,"",false,false,false]"#,
            ])
    }

    @Test("of a broken encoding a rule reads what stands before the break, and nothing beyond the end")
    func broken() throws {
        let rig = try RuleRig(Self.shows)
        for count in 0..<Self.all.count { rig.send(key: "k1", properties: Array(Self.all.prefix(count))) }
        #expect(rig.log.texts.count == Self.all.count)
        #expect(rig.figures().errors.isEmpty)
        #expect(rig.log.texts.filter { $0.contains(#""region=eu","key=k1"]"#) }.count > 5)
        rig.log.removeAll()
        let broken: [[UInt8]] = [
            [38, 255, 255], [38, 0, 1, 97, 255, 255, 0], [2, 0, 0], [3], [0], [11, 255, 255, 255, 255, 38, 0, 0, 0, 0], [77, 1],
        ]
        for bytes in broken {
            rig.send(format: .none, properties: bytes)
        }
        #expect(Set(rig.log.texts) == [#"[1,false,{},"no key",false,false,"",false,false,false]"#])
    }

    @Test(
        "the format is the content type's; where none is named, what the payload looks like when a rule asks",
        arguments: [
            (PayloadFormat.none, "{}", "json"), (.none, " [1]", "json"), (.none, "{", "text"), (.none, "12", "text"), (.none, "", "text"),
            (.none, "[1]x", "text"), (.text, "{}", "text"), (.json, "x", "json"),
        ])
    func format(named: PayloadFormat, payload: String, seen: String) throws {
        let rig = try RuleRig(
            "function R.on_message(msg) log.info(msg.format, { a = msg:json() ~= nil }) log.info(msg:with { topic = 'x' }.format) end")
        rig.send("t", payload, format: named)
        #expect(rig.log.texts == [seen, seen])
    }

    // MARK: changing

    @Test("what a rule does not change goes along: QoS, retain flag, properties, key")
    func kept() throws {
        for expression in ["route.to('x')", "msg:with { topic = 'x' }", "msg:with { topic = 'x' }:with { payload = 'y' }"] {
            let sent = try changed(expression)
            #expect((sent.qos, sent.isRetained, sent.properties, sent.key) == (.exactlyOnce, true, Self.all, "k1"), "\(expression)")
            #expect(sent.changes.isDisjoint(with: [.qos, .retain, .properties, .key]))
        }
    }

    @Test("QoS and the retain flag")
    func flags() throws {
        let sent = try changed("msg:with { qos = 0, retain = false }")
        #expect((sent.qos, sent.isRetained, sent.properties) == (.atMostOnce, false, Self.all))
        #expect(sent.changes == [.qos, .retain])
    }

    @Test(
        "user properties: a list, by name, or both; a name stands for the first of the list, false for none of it",
        arguments: [
            ("{}", []), ("{ { name = 'b', value = '2' }, { name = 'a', value = '1' } }", ["b=2", "a=1"]),
            ("{ b = '2', a = '1' }", ["a=1", "b=2"]), ("{ { name = 'a', value = '1' }, b = '2', a = '3' }", ["a=3", "b=2"]),
            ("{ { name = 'a', value = '1' }, { name = 'a', value = '2' }, { name = 'b', value = '' }, a = false }", ["b="]),
            ("msg.props", ["region=eu", "key=k1", "region=us", "=empty"]),
            (
                "(function() local p = msg.props p.region = 'asia' p.new = 'x' p[''] = false return p end)()",
                ["region=asia", "key=k1", "region=us", "new=x"]
            ),
        ])
    func pairs(props: String, expected: [String]) throws {
        let sent = try changed("msg:with { props = \(props) }")
        #expect(pairs(sent) == expected)
        #expect(sent.changes.contains(.properties))
        // The others stay.
        #expect(fields(sent)["expiry"] == .int(70_000))
        #expect(fields(sent)["correlation_data"]?.bytes == [0, 255])
    }

    @Test("the user property key is the message's key")
    func key() throws {
        #expect(try changed("msg:with { props = { key = 'other' } }").key == "other")
        #expect(try changed("msg:with { props = {} }").key == "k1")
        #expect(try changed("msg:with { props = { key = 'a' }, key = 'b' }").key == "b")
        #expect(try changed("msg:with { key = 'b' }:with { props = { key = 'a' } }").key == "a")
        let rig = try RuleRig(
            """
            function R.on_message(msg)
              log.info(msg:with { key = 'new' }.props.key .. " " .. #msg:with { key = false }.props .. " " .. msg:with { props = { key = 'p' } }.key)
            end
            """)
        rig.send(key: "k1", properties: Self.all)
        #expect(rig.log.texts == ["new 3 p"])
    }

    @Test("the other properties, and none of them")
    func others() throws {
        let given = #"content_type = "text/plain", response_topic = "r/1", correlation_data = "\0c", expiry = 5, payload_format = 0"#
        let sent = try changed("msg:with { \(given) }")
        #expect(sent.format == .text)
        #expect(fields(sent)["content_type"] == "text/plain")
        #expect(fields(sent)["response_topic"] == "r/1")
        #expect(fields(sent)["correlation_data"]?.bytes == Array("\0c".utf8))
        #expect(fields(sent)["expiry"] == .int(5))
        #expect(fields(sent)["payload_format"] == .int(0))
        #expect(pairs(sent).count == 4)
        let none = try changed(
            "msg:with { content_type = false, response_topic = false, correlation_data = false, expiry = false, payload_format = false, props = {} }")
        #expect(none.properties.isEmpty)
        #expect(none.format == .none)
    }

    @Test("the format and the content type stand for each other")
    func contentType() throws {
        let text = try changed("msg:with { format = 'text' }")
        #expect((text.format, fields(text)["content_type"], pairs(text).count) == (.text, "text/plain", 4))
        // Without properties the format says it.
        let plain = try changed("msg:with { format = 'text' }", properties: [])
        #expect((plain.format, plain.properties, plain.changes) == (.text, [], [.format]))
        let user = try changed("msg:with { props = { a = 'b' } }", properties: [])
        #expect((fields(user)["content_type"], fields(user)["payload_format"]) == ("application/json", .int(1)))
    }

    @Test(
        "what can't be a property is an error with a sentence",
        arguments: [
            ("qos = 3", "qos is 0, 1 or 2"), ("qos = 1.0", "qos is 0, 1 or 2"), ("retain = 1", "retain is true or false"),
            ("props = 'a=b'", "props must be a table"), ("props = { 'a' }", "props is a list of"),
            ("props = { { name = 'a' } }", "value in props must be a text"),
            ("props = { { value = 'a' } }", "name in props must be a text"), ("props = { a = 1 }", "value in props must be a text"),
            ("props = { [true] = 'a' }", "for a name"), ("props = { a = true }", "value in props must be a text"),
            (#"props = { a = "\xff" }"#, "is not UTF-8"), (#"props = { ["a\0"] = "" }"#, "is not UTF-8, or has a control character"),
            ("props = { a = ('x'):rep(65536) }", "longer than 65535"), (#"content_type = "\xff""#, "content_type is not UTF-8"),
            ("content_type = 1", "content_type must be a text"), ("response_topic = 'a/#'", "has + , #"), ("response_topic = ''", "is empty"),
            ("expiry = -1", "expiry is a whole number"), ("expiry = 4294967295", "expiry is a whole number"),
            ("expiry = '5'", "expiry is a whole number"),
            ("expiry = true", "expiry is a whole number"), ("payload_format = 2", "payload_format is a whole number"),
            ("correlation_data = ('x'):rep(65536)", "longer than 65535"),
            ("props = (function() local t = {} for i = 1, 1025 do t[i] = { name = 'a', value = 'b' } end return t end)()", "more than 1024 pairs"),
        ])
    func errors(given: String, expected: String) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx) return msg:with { \(given) } end")
        #expect(rig.send(properties: Self.all).verdict == .pass)
        #expect(rig.log.texts.contains { $0.contains(expected) }, "\(rig.log.texts)")
    }

    @Test("a copy that is kept has its properties; one whose properties are too large lives as long as its message")
    func copies() throws {
        let rig = try RuleRig(
            """
            local kept
            function R.on_message(msg)
              if msg.topic == "keep" then kept = msg:with {} elseif msg.topic == "own" then kept = msg:with { props = msg.props } else return kept end
            end
            """)
        rig.send("keep", qos: .exactlyOnce, isRetained: true, properties: Self.all)
        let sent = try #require(rig.send("t", qos: .atMostOnce).messages.first)
        #expect((sent.qos, sent.isRetained, sent.properties) == (.exactlyOnce, true, Self.all))
        var large = TestProperties()
        for _ in 0..<3 { large.add(.user, "a", String(repeating: "x", count: 60_000)) }
        rig.send("keep", properties: large.bytes)
        #expect(rig.send("t").messages.isEmpty)
        #expect(rig.log.texts.contains { $0.contains("payload or props are over 64 KiB") })
        rig.send("own", properties: large.bytes)
        #expect(rig.send("t").messages.first?.properties == large.bytes)
    }

    @Test("on_deliver may change properties, and nothing else that is not the recipient's")
    func deliver() throws {
        let rig = try RuleRig(
            "function R.on_deliver(msg, conn) return msg.topic == 'a' and msg:with { props = { to = conn.uid } } or msg:with { retain = true } end")
        guard case .replace(let sent) = rig.deliver("a") else { throw ShuntError(.internalError, "not replaced: \(rig.log.texts)") }
        #expect(pairs(sent) == ["to=u1"])
        #expect(rig.deliver("b") == .deliver)
        #expect(rig.log.texts.contains { $0.contains("may change a message's payload, format and properties") })
    }

    @Test("thousands of properties take a call's budget and no more")
    func many() throws {
        var limits = RuleLimits.ample
        limits.callMemory = 256 * 1024
        let rig = try RuleRig("function R.on_message(msg) log.info(#msg.props) end", limits: limits)
        var properties = TestProperties()
        for number in 0..<100_000 { properties.add(.user, "\(number)", "x") }
        rig.send(properties: properties.bytes)
        #expect(rig.figures().errors == [.ruleMemory: 1])
        rig.send(key: "k1", properties: Self.all)
        #expect(rig.log.texts.last == "4")
    }
}
