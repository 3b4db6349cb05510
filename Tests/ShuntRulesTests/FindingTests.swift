import LuaSyntax
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("sessions.find")
struct FindingTests {
    private static let rule = """
        function R.on_message(msg)
          local found, more = sessions.find { uid = msg.topic }
          return msg:with { payload = json.encode { list = found, more = more, count = #found } }
        end
        """

    private func rig(_ body: String = FindingTests.rule, _ sessions: [ListedSession] = []) throws -> RuleRig {
        let rig = try RuleRig(body)
        let directory = SessionDirectory()
        for one in sessions { directory.list(one) }
        rig.rules.sessions = directory
        return rig
    }

    private func session(_ uid: String, _ device: String, tags: [String] = [], isMQTT: Bool = false, isConnected: Bool = true) -> ListedSession {
        ListedSession(
            uid: uid, device: device, tags: tags, alias: ["other"], connection: isConnected ? .client(7) : .none,
            address: PeerAddress(ipv4: 0x7F00_0001, port: 5000), connectedAt: 1000.5, loop: 3, clientID: isMQTT ? "c-" + device : nil)
    }

    private func sent(_ rig: RuleRig, _ topic: String) -> String {
        let outcome = rig.send(topic)
        return outcome.messages.first?.payload ?? "\(outcome.verdict) \(rig.log.texts)"
    }

    @Test("gives what there is of each, and a list without any for nobody")
    func fields() throws {
        let rig = try rig(
            Self.rule,
            [
                session("ada", "phone", tags: ["a", "b"]), session("ada", "tablet", isMQTT: true),
                session("ada", "watch", isMQTT: true, isConnected: false),
            ])
        let id = ConnectionID.client(7).raw
        let there = #""address":"127.0.0.1:5000","alias":["other"]"#
        #expect(
            sent(rig, "ada") == #"{"count":3,"list":["#
                + #"{"alias":["other"],"client_id":"c-watch","connected":false,"device":"watch","loop":3,"protocol":"mqtt","tags":[],"uid":"ada"},"#
                + #"{\#(there),"client_id":"c-tablet","connected":true,"connected_at":1000.5,"device":"tablet","id":\#(id),"loop":3,"#
                + #""protocol":"mqtt","tags":[],"uid":"ada"},"#
                + #"{\#(there),"connected":true,"connected_at":1000.5,"device":"phone","id":\#(id),"loop":3,"#
                + #""protocol":"exchange","tags":["a","b"],"uid":"ada"}],"more":false}"#)
        #expect(sent(rig, "bob") == #"{"count":0,"list":[],"more":false}"#)
        rig.rules.sessions = nil
        #expect(sent(rig, "ada") == #"{"count":0,"list":[],"more":false}"#)
    }

    @Test("gives at most 100, and says that there are more")
    func most() throws {
        let rig = try rig(Self.rule, (0..<101).map { session("ada", "d\($0)") })
        let text = sent(rig, "ada")
        #expect(text.hasPrefix(#"{"count":100,"#) && text.hasSuffix(#","more":true}"#))
        #expect(text.contains(#""device":"d100""#) && !text.contains(#""device":"d0","#))
    }

    @Test("What clients choose takes only so much of a call's memory")
    func large() throws {
        let text = String(repeating: "x", count: 2000)
        let labels = (0..<50).map { "\($0)" + text }
        let rig = try rig(
            Self.rule.replacing("list = found", with: "list = json.array({})"),
            (0..<100).map { session("ada", "\($0)" + text, tags: labels) } + [session("bob", "b", tags: labels)])
        let found = sent(rig, "ada")
        #expect(found.contains(#""more":true"#) && !found.contains(#""count":100"#) && !found.contains(#""count":0"#), "\(found)")
        #expect(sent(rig, "bob") == #"{"count":1,"list":[],"more":false}"#)
        let own = try self.rig(
            "function R.on_message(msg) return msg:with { payload = 'tags ' .. #sessions.find { uid = 'bob' }[1].tags } end",
            [session("bob", "b", tags: labels)])
        #expect(sent(own, "t") == "tags 0")
    }

    @Test(
        "what it does not take is an error that says what it takes",
        arguments: [
            ("sessions.find()", "sessions.find takes a table"), ("sessions.find('ada')", "sessions.find takes a table"),
            ("sessions.find {}", "sessions.find needs a uid"), ("sessions.find { uid = 5 }", "uid must be a text, not a number"),
            ("sessions.find { device = 'a' }", "sessions.find takes uid, not device"),
            ("sessions.find { uid = 'ada', 'x' }", "sessions.find takes uid, not"),
        ])
    func errors(call: String, expected: String) throws {
        let rig = try rig("function R.on_message(msg) \(call) end")
        rig.send()
        #expect(rig.log.texts.contains { $0.contains(expected) }, "\(rig.log.texts)")
    }

    @Test("Any text may be asked for", arguments: ["", "\\0", "a\\255b", "('x'):rep(100000)"])
    func texts(uid: String) throws {
        let asked = uid.hasSuffix(")") ? uid : "'\(uid)'"
        let rig = try rig("function R.on_message(msg) return msg:with { payload = #sessions.find { uid = \(asked) } .. '' } end")
        #expect(sent(rig, "t") == "0")
    }

    @Test("A rule that has the name in one of its files is one for which the loops list sessions, by whatever way it gets there")
    func named() throws {
        let named = [
            Self.rule, "local s = sessions function R.on_message() end", "function R.on_message() return _G['sessions'].find { uid = '' } end",
            "function R.on_message() return _ENV['sess\\z\nions'] end", "function R.on_message() local _ENV = { s = _ENV } return s.sessions end",
            "function R.on_message() local name = [[sessions]] end",
        ]
        for body in named { #expect(try RuleRig(body).rules.wanted.contains(.sessions), "\(body)") }
        let others = ["function R.on_message() end -- sessions", "function R.on_session() local my_sessions = 'the sessions' end"]
        for body in others { #expect(try !RuleRig(body).rules.wanted.contains(.sessions), "\(body)") }
        let required = try RuleRig(files: [
            "r/rule.lua": "local who = require 'who' return { on_message = function() return who('a') end }",
            "r/who.lua": "return function(uid) return sessions.find { uid = uid } end",
        ])
        #expect(required.rules.wanted.contains(.sessions))
        let hidden = try rig("function R.on_message() return _G['sess' .. 'ions'].find { uid = 'ada' } end")
        #expect(!hidden.rules.wanted.contains(.sessions))
        hidden.send()
        #expect(hidden.log.texts.contains { $0.contains("for rules whose files have the name") }, "\(hidden.log.texts)")
    }

    @Test("A reload switches it on and off")
    func reload() throws {
        let rig = try RuleRig("function R.on_message() end")
        #expect(!rig.rules.wanted.contains(.sessions))
        let asking = try PluginFolder(["rule/rule.lua": "local R = {}\n" + Self.rule + "\nreturn R"])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: asking.path), now: 1) == nil)
        #expect(rig.rules.wanted.contains(.sessions))
        rig.rules.revert(now: 2)
        #expect(!rig.rules.wanted.contains(.sessions))
    }

    @Test("A test says who is there")
    func tests() throws {
        let folder = try PluginFolder([
            "r/rule.lua": """
            local R = {}
            function R.on_connect(conn)
              local count = 0
              for _, one in ipairs(sessions.find { uid = conn.uid }) do
                if one.connected then count = count + 1 end
              end
              if count >= 2 then return route.reject("two are enough") end
            end
            function R.on_disconnect(conn)
              for _, one in ipairs(sessions.find { uid = conn.uid }) do log.info(json.encode(one)) end
            end
            return R
            """,
            "r/rule_test.lua": """
            return {
              ["1 nobody"] = function(t) t:eq(t:connect { uid = "ada" }.verdict, "accept") end,
              ["2 two"] = function(t)
                t:sessions { { uid = "ada" }, { uid = "ada", client_id = "a", connected = false }, { uid = "bob" } }
                t:eq(t:connect { uid = "ada" }.verdict, "accept")
                t:sessions { { uid = "ada" }, { uid = "ada", device = "b" } }
                t:eq(t:connect { uid = "ada" }.why, "two are enough")
                t:settings {}
                t:eq(t:connect { uid = "ada" }.why, "two are enough")
                t:sessions {}
                t:eq(t:connect { uid = "ada" }.verdict, "accept")
              end,
              ["3 fields"] = function(t)
                t:sessions {
                  { uid = "ada", client_id = "c", id = 5, loop = 2, address = "[::1]:9", connected_at = 7, tags = { "t" }, alias = { "x" } },
                             { uid = "ada", protocol = "mqtt", device = "d", connected = false } }
                local logs = t:disconnect { uid = "ada" }.logs
                t:eq(json.decode(logs[1]), { uid = "ada", client_id = "c", device = "c", protocol = "mqtt", id = 5, loop = 2, address = "[::1]:9",
                  connected = true, connected_at = 7.0, tags = { "t" }, alias = { "x" } })
                t:eq(json.decode(logs[2]), { uid = "ada", client_id = "d", device = "d", protocol = "mqtt", loop = 0, connected = false,
                  tags = {}, alias = {} })
              end,
              ["4 key"] = function(t) t:sessions { { uid = "ada", user = "x" } } end,
              ["5 uid"] = function(t) t:sessions { { device = "x" } } end,
              ["6 away"] = function(t) t:sessions { { uid = "ada", connected = false } } end,
              ["7 list"] = function(t) t:sessions { uid = "ada" } end,
              ["8 address"] = function(t) t:sessions { { uid = "ada", address = "there" } } end,
            }
            """,
        ])
        let results = try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r"), print: { _ in }).run()
        #expect(results.map { $0.failure == nil } == [true, true, true, false, false, false, false, false], "\(results)")
        let texts = results.compactMap(\.failure?.message)
        let expected = ["does not take user", "without uid", "only sessions of MQTT", "takes a list", "no address"]
        for (text, part) in zip(texts, expected) { #expect(text.contains(part), "\(text)") }
        #expect(results.compactMap(\.failure?.location).allSatisfy { $0.contains("rule_test.lua:") })
    }
}
