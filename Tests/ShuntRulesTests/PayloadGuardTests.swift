import Foundation
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Payloads stay out of the log")
struct PayloadGuardTests {
    private static let secret = #"{"card":"4111-1111-1111","note":"say \"hi\" to all","name":"J\u00fcrgen M\u00fcller"}"#

    private func logged(_ body: String, _ payload: String = Self.secret) throws -> [RuleLogEntry] {
        let rig = try RuleRig("function R.on_message(msg)\n\(body)\nend")
        rig.send("t", payload)
        return rig.log.all
    }

    @Test(
        "a line that repeats it is hidden, as text, in fields, and with escapes done or undone",
        arguments: [
            "log.info(msg.payload)", "log.info('got ' .. msg:json().card)", "print(msg.payload:sub(10, 17))",
            "log.info('got', { payload = msg.payload })", "log.info('got', msg:json())", "log.info('got', { [msg:json().note] = 1 })",
            "log.info(msg:json().note)", "log.info(msg:json().name)", "log.info('got', { who = msg:json().name })",
            "log.info(json.encode(msg:json().note))", "log.info(json.encode { p = msg.payload })",
            "log.info(json.encode { p = json.encode { msg:json().name } })",
        ])
    func hidden(body: String) throws {
        #expect(try logged(body) == [RuleLogEntry(level: .info, rule: "rule", text: hiddenNotice)])
    }

    @Test(
        "a line is hidden where control characters of the payload have become blanks in it",
        arguments: ["error({ bad = msg.payload })", "error({ msg.payload, bad = msg.payload })", "error('no ' .. msg.payload)"],
        ["4111\n2222\n3333\n4444", "user\tada\tpin\t9876\tcard\t4111222", "12\u{7F}345"])
    func blanks(body: String, payload: String) throws {
        let lines = try logged(body, payload)
        #expect(lines.count == 1 && lines[0].text.contains(hiddenNotice), "\(lines)")
    }

    @Test("an operator may allow payloads in the log, also while the rules run")
    func allowed() throws {
        var limits = RuleLimits.ample
        limits.logsPayloads = true
        let rig = try RuleRig("function R.on_message(msg)\nlog.info(msg.payload) error(msg:json().card)\nend", limits: limits)
        rig.send("t", Self.secret)
        #expect(rig.log.texts.first == Self.secret)
        #expect(rig.log.texts.last?.contains("4111-1111-1111") == true)
        rig.rules.setLimits(.ample)
        rig.log.removeAll()
        rig.send("t", Self.secret)
        #expect(rig.log.texts.first == hiddenNotice)
    }

    @Test("a text of escapes does not hide what it stands for")
    func escapes() throws {
        let escaped = "{\"a\":\"" + "secret of the house".utf16.map { String(format: "\\u%04x", $0) }.joined() + "\"}"
        #expect(try logged("log.info('it is: ' .. msg:json().a)", escaped).map(\.text) == [hiddenNotice])
        #expect(try logged("log.info('it is: 😀 ' .. msg:json().a)", #"{"a":"\ud83d\ude00 and more"}"#).map(\.text) == [hiddenNotice])
    }

    @Test("what stands in the rule's own source is shown: the name of a field, a text that it logs")
    func ownNames() throws {
        let lines = try logged("local _ = msg:json().delivery_address.city", #"{"delivery_address":null}"#)
        #expect(lines.first?.text.contains("(field 'delivery_address')") == true)
        #expect(
            try logged("log.info('no delivery_address', { delivery_address = 1 })", #"{"delivery_address":null}"#).map(\.text) == [
                "no delivery_address"
            ])
        // What joins it is the client's.
        let mixed = try logged("local _ = 'delivery_address' log.info(msg.payload)", #"{"delivery_address":"Main Street 1"}"#)
        #expect(mixed.map(\.text) == [hiddenNotice])
    }

    @Test("a rule test hides nothing")
    func ruleTests() throws {
        let folder = try PluginFolder([
            "r/rule.lua": "return { on_message = function(m) log.info(m.payload) error(m.payload) end }",
            "r/rule_test.lua": #"""
            return { shown = function(t)
              local out = t:message { topic = "t", payload = "the secret payload" }
              t:eq(out.logs[1], "the secret payload")
              t:ok(out.error:find("the secret payload", 1, true))
            end }
            """#,
        ])
        let results = try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).run()
        #expect(results.map(\.failure) == [nil])
    }

    @Test("a short payload is found as a whole; what does not repeat it stands")
    func short() throws {
        #expect(try logged("log.info('pin ' .. msg.payload)", "4711").map(\.text) == [hiddenNotice])
        #expect(try logged("log.info('pin ' .. msg.payload)", "471").map(\.text) == ["pin 471"])
        #expect(try logged("log.info('len', { n = #msg.payload })").map(\.text) == ["len"])
    }

    @Test("of several lines in a call only those that repeat it are hidden")
    func several() throws {
        let lines = try logged("log.info('order received') log.warn(msg.payload) log.info('order passed on')")
        #expect(lines.map(\.text) == ["order received", hiddenNotice, "order passed on"])
        #expect(lines.map(\.level) == [.info, .warn, .info])
    }

    @Test("a large payload costs the rule nothing, and is still compared")
    func large() throws {
        let payload = String(repeating: "0123456789abcdef", count: 300_000) + "the end of it"
        let rig = try RuleRig("function R.on_message(msg)\nfor i = 1, 50 do log.info('line ' .. i) end log.info('xx the ' .. 'end' .. ' of it')\nend")
        rig.send("t", payload)
        #expect(rig.figures().errors == [:], "\(rig.log.texts)")
        #expect(rig.log.texts == (1...50).map { "line \($0)" } + [hiddenUncompared])
    }

    @Test("of an error with a large payload the place, Lua's words and the rule's names are shown")
    func largeError() throws {
        let payload = #"{"delivery_address":null,"rest":""# + String(repeating: "4111-1111 ", count: 80_000) + #""}"#
        func said(_ body: String) throws -> [String] {
            let rig = try RuleRig("R.budget = { time = '2ms' }\nfunction R.on_message(msg)\n\(body)\nend")
            rig.send("t", payload)
            return rig.log.texts
        }
        #expect(
            try said("local order = {} return order.delivery_address.city")
                == ["on_message: rule/rule.lua:4: attempt to index a nil value (field 'delivery_address') (rule.failed)"])
        #expect(try said("error(('4111-'):rep(5))") == ["on_message: rule/rule.lua:4: \(hiddenUncompared) (rule.failed)"])
        #expect(try said("error(('4111-'):rep(5) .. ':1: x', 0)") == ["on_message: \(hiddenUncompared) (rule.failed)"])
        #expect(try said("log.info('order of ' .. #msg.payload .. ' bytes')").first?.hasPrefix("order of 8") == true)
    }

    @Test("what is said is looked for in the rule's own files within a bound", arguments: [8000, 600_000])
    func ownFiles(size: Int) throws {
        let words = (0..<1000).map { String($0 &* 7_919_777 % 99_999_989) }.joined(separator: "-")
        var files = ["r/words.lua": "return '\(words)'"]
        for number in 0..<3 { files["r/a\(number).lua"] = "return '" + String(repeating: "0123456789-", count: 20_000) + "'" }
        files["r/rule.lua"] = """
            return { budget = { time = '2ms' }, on_message = function(msg)
              local words = require('words')
              for i = 1, 30 do log.info(words:sub(i, i + 1000), { words = words:sub(i, i + 3000) }) end
            end }
            """
        let rig = try RuleRig(files: files)
        let start = ContinuousClock.now
        rig.send("t", words + String(repeating: "x", count: size))
        // Without a bound it is a quarter of a minute.
        #expect(ContinuousClock.now - start < .seconds(2))
    }

    @Test("what a call logs is compared in some milliseconds, however much that is")
    func quick() throws {
        var random = SplitMix(seed: 7)
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        let payload = (0..<12_000).map { _ in
            #"\""# + String(decoding: (0..<40).map { _ in letters.randomElement(using: &random)! }, as: UTF8.self)
        }.joined()
        let rig = try RuleRig(
            #"""
            R.budget = { time = "1s" }
            function R.on_message(msg)
              if msg.topic == "quiet" then return end
              for i = 1, 100 do
                local text = msg.payload:sub(i * 2000, i * 2000 + 640):upper()
                log.error(text)
                log.warn(text:reverse())
              end
            end
            """#)
        func least(_ topic: String) -> Double {
            (1...4).map { second in
                let clock = ThreadClock()
                rig.send(topic, payload, now: 1000 + Double(second))
                return clock.milliseconds
            }.min() ?? 0
        }
        let quiet = least("quiet"), said = least("said")
        #expect(said - quiet < 40)
        #expect(rig.log.all.count > 4 * 45)
    }

    @Test("an error keeps its hook, place and code where its text is hidden")
    func errors() throws {
        #expect(try logged("error(msg.payload)").map(\.text) == ["on_message: rule/rule.lua:3: \(hiddenNotice) (rule.failed)"])
        #expect(try logged("error(msg.payload, 0)").map(\.text) == ["on_message: \(hiddenNotice) (rule.failed)"])
        #expect(try logged(#"error('a\0b', 0)"#).map(\.text) == ["on_message: a\0b (rule.failed)"])
        #expect(try logged(#"error('a\0' .. msg.payload, 0)"#).map(\.text) == ["on_message: \(hiddenNotice) (rule.failed)"])
        #expect(try logged("error('4111-1' .. '111-1111:1: x', 0)").map(\.text) == ["on_message: \(hiddenNotice) (rule.failed)"])
        let budget = try logged("while true do end", "took more than its budget of 50 ms")
        #expect(budget.map(\.text) == ["on_message: rule/rule.lua:3: took more than its budget of 50 ms (rule.time)"])
        let large = try logged("while true do end", String(repeating: "x", count: 2 << 20))
        #expect(large.first?.text.contains("took more than its budget") == true)
    }

    @Test("a payload that another rule made is the one that is compared")
    func replaced() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": "return { priority = 2, on_message = function(m) return m:with { payload = 'made by the first rule' } end }",
            "b/rule.lua": "return { priority = 1, on_message = function(m) log.info(m.payload) log.info('hello from here') end }",
        ])
        rig.send("t", "hello from here")
        #expect(rig.log.texts == [hiddenNotice, "hello from here"])
    }

    @Test("what a rule has read of a compressed payload is compared")
    func compressed() throws {
        let rig = try RuleRig(
            files: [
                "r/rule.lua":
                    "return { on_message = function(m) if m.topic == 'read' then log.info(m.payload) end log.info('the pl' .. 'ain te' .. 'xt?') end }"
            ],
            inflate: { _, _, _, _ in Array("the plain text".utf8) })
        rig.send("read", "Z", compression: .gzip)
        #expect(rig.log.texts == [hiddenNotice, hiddenNotice])
    }

    @Test("the failures of one rule do not keep another's out of the log")
    func shares() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": "return { priority = 2, breaker = { errors = 1000 }, on_message = function(m) error('first') end }",
            "b/rule.lua": "return { priority = 1, on_message = function(m) if m.topic == 'b' then error('other') end end }",
        ])
        for _ in 0..<50 { rig.send("a") }
        rig.send("b")
        #expect(rig.log.texts.count { $0.contains("first") } == 10)
        #expect(rig.log.texts.count { $0.contains("further errors of this rule and second are counted only") } == 1)
        #expect(rig.log.texts.last?.contains("other") == true)
        rig.send("a", now: 1001)
        #expect(rig.log.texts.count { $0.contains("first") } == 11)
    }

    @Test("What a rule reads of a will, or of an authentication, is in no log and no reason that is logged")
    func wills() throws {
        let rig = try RuleRig(
            """
            function R.on_connect(conn)
              local will = conn.will
              if conn.uid == "log" then log.warn("it says " .. will.payload) end
              if conn.uid == "fail" then error("no " .. will.payload) end
              return route.reject(will.payload)
            end
            function R.on_auth(conn, data) error("wrong: " .. data) end
            """)
        var peer = Clients.peer(uid: "log")
        peer.mqtt = Peer.MQTT(
            clientID: "c", version: "5.0", keepAlive: 0,
            will: Peer.Will(topic: Array("t".utf8), payload: Array("farewell, dear friends".utf8), qos: .atMostOnce, isRetained: false))
        rig.clients.known[peer.id] = peer
        _ = rig.rules.onConnect(peer, now: 1)
        #expect(rig.rules.hidesReason("farewell, dear friends") && rig.rules.hidesReason("x dear friends"))
        #expect(!rig.rules.hidesReason("no room"))
        peer.uid = "fail"
        rig.clients.known[peer.id] = peer
        _ = rig.rules.onConnect(peer, now: 1)
        _ = rig.rules.onAuth(peer, AuthStep(method: "m", data: Array("a very secret word".utf8), number: 1), now: 1)
        #expect(rig.log.texts.count == 3)
        for text in rig.log.texts { #expect(text.contains(hiddenNotice) && !text.contains("dear") && !text.contains("secret")) }
    }

    @Test("A short payload hides no word of the rule's own, and none of Lua's")
    func shortWords() throws {
        for word in ["nested", "field", "index"] {
            let lines = try logged("local t = {} return t.nested.field1", word)
            #expect(lines.first?.text.contains("field 'nested'") == true, "\(word): \(lines)")
        }
        #expect(try logged("log.info(msg.payload)", "4711").first?.text == hiddenNotice)
    }

    @Test("A secret setting is not shown where decisions and failures are")
    func secrets() throws {
        let rig = try RuleRig(
            """
            R.settings = { key = text { secret = true } }
            function R.on_message(msg, ctx)
              if msg.topic == "e" then error("the key is " .. ctx.settings.key) end
              return route.drop("key " .. ctx.settings.key)
            end
            """, settings: .object(["key": .string("TOPSECRETKEY")]))
        func why(_ topic: String) -> String { rig.rules.decide(RuleMessage(topic: Array(topic.utf8), key: nil, payload: []), rule: 0, now: 1).why }
        #expect(why("t") == "key (hidden)")
        #expect(why("e").contains("the key is (hidden)"))
        #expect(rig.rules.rules[0].notes.errors.allSatisfy { !$0.text.contains("TOPSECRETKEY") })
        #expect(rig.rules.rules[0].notes.errors.count == 1)
    }

    @Test(
        "A secret of several lines is not shown in any form, nor a part of it where a text is cut",
        arguments: [
            "log.info(KEY)", "log.info('x', { KEY })", "log.info('x', { [KEY] = 1 })", "log.info(json.encode { KEY })",
            "log.info('x', { json.encode { KEY } })", "error(KEY)", "error({ code = KEY })", "error({ code = ('x'):rep(40) .. KEY })",
            "log.info(('x'):rep(1024 - #KEY + 1) .. KEY)", "log.info(('x'):rep(1014) .. KEY)", "log.info('x', { ('x'):rep(4030) .. KEY })",
            "log.info('x', { ('x'):rep(4096 - 40 - #KEY) .. KEY })", "error(('x'):rep(980) .. KEY, 0)",
            "error({ a = ('x'):rep(50) .. KEY, b = ('y'):rep(30) .. KEY, c = KEY })",
        ])
    func secretLines(body: String) throws {
        let rig = try RuleRig(
            "R.settings = { key = text { secret = true } } function R.on_message(msg, ctx) local KEY = ctx.settings.key \(body) end",
            settings: .object(["key": .string("BEGIN\tKEY \"one\"\r\nSECRETPART\u{1}\\rest\r\nEND")]))
        rig.send("t", "none of it")
        #expect(rig.log.all.count == 1)
        for line in rig.log.all {
            let said = line.text + line.fields
            #expect(!said.contains("BEGI") && !said.contains("SECRET") && !said.contains("rest"), "\(line)")
        }
    }

    @Test("Only what begins a secret is hidden where a text is cut, and only there")
    func cutTexts() throws {
        let rig = try RuleRig(
            "R.settings = { key = text { secret = true } } function R.on_message(msg) log.info(msg.topic) end",
            settings: .object(["key": .string("TOPSECRET")]))
        for text in ["so TOPSEC", "so … TOPS", "so TOP…", String(repeating: "x", count: 600) + "TOP"] {
            rig.log.removeAll()
            rig.send(text, "none of it")
            #expect(rig.log.texts == [text])
        }
    }

    @Test("The fields of a line stay JSON where a secret is hidden in them")
    func secretFields() throws {
        let rig = try RuleRig(
            """
            R.settings = { pin = integer { secret = true }, key = text { secret = true } }
            function R.on_message(msg, ctx)
              local s = ctx.settings
              log.info("x", { a = s.pin, b = { s.pin, 7, true }, c = "is " .. s.pin .. "\\n", d = s.key, e = 'a \\"b\\": {1}' })
            end
            """, settings: .object(["pin": 123_456, "key": "say \"no\": 5"]))
        rig.send()
        #expect(
            rig.log.all.first?.fields
                == #"{"a":"(hidden)","b":["(hidden)",7,true],"c":"is (hidden)\n","d":"(hidden)","e":"a \"b\": {1}"}"#)
    }
}
