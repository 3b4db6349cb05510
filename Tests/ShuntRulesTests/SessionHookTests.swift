import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Hooks of devices, groups, wills, sessions and acknowledgements")
struct SessionHookTests {
    @Test("The hooks are wanted only where a rule has them")
    func wanted() throws {
        let rig = try RuleRig("R.on_register = function() end R.on_select = R.on_register R.on_will = R.on_register")
        #expect(rig.rules.wanted == [.register, .select, .will])
        let others = try RuleRig("R.on_session = function() end R.on_acked = R.on_session")
        #expect(others.rules.wanted == [.session, .acked])
    }

    // MARK: on_register

    @Test("on_register sees the device, changes tags and alias, and may refuse it")
    func register() throws {
        let rig = try RuleRig(
            #"""
            function R.on_register(conn)
              if conn.uid == "bad" then return route.reject("not you") end
              if conn.uid == "uid" then return conn:with { uid = "other" } end
              if conn.uid == "elsewhere" then return route.redirect("a:1") end
              if conn.uid == "labels" then return conn:with { tags = { conn.device, conn.tags[1] } } end
            end
            """#)
        func register(_ uid: String) -> RegisterOutcome { rig.rules.onRegister(Clients.peer(uid: uid, tags: ["t"]), now: 1) }
        #expect(register("good") == .accept)
        #expect(register("bad") == .reject(why: "not you"))
        #expect(register("labels") == .acceptAs(tags: ["d1", "t"], alias: nil))
        // It passes by default where it fails.
        #expect(register("uid") == .accept)
        let said = "can't change the uid of a client: conn:with{} takes tags and alias there"
        #expect(rig.rules.failure?.contains("rule/rule.lua:2: on_register \(said)") == true, "\(rig.rules.failure ?? "")")
        #expect(register("elsewhere") == .accept)
        #expect(rig.rules.failure?.contains("nothing, conn:with{tags, alias} or route.reject()") == true)
    }

    // MARK: conn:with

    @Test("on_connect gives attributes, a time to go and limits, which later rules see; of two times the earlier one counts")
    func terms() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": """
            return { priority = 2, on_connect = function(conn)
              return conn:with { attributes = { plan = "gold", zone = "eu" }, expires_at = 5000, limits = { messages_per_second = 10 } } end }
            """,
            "b/rule.lua": """
            return { priority = 1, on_connect = function(conn)
              local name = conn.attributes.plan .. "-" .. conn.attributes.zone
              return conn:with { uid = name, expires_at = 6000, limits = { bytes_per_second = 0 } } end }
            """,
        ])
        let terms = ClientTerms(
            attributes: [UserProperty("plan", "gold"), UserProperty("zone", "eu")], expiresAt: 5000, messagesPerSecond: 10, bytesPerSecond: 0)
        #expect(rig.rules.onConnect(Clients.peer(), now: 1) == .acceptAs(uid: "gold-eu", tags: nil, alias: nil, terms: terms))
        var peer = Clients.peer()
        peer.attributes = terms.attributes ?? []
        let seen = try RuleRig("function R.on_register(conn) return conn:with { tags = { conn.attributes.zone, conn.groups[1] } } end")
        #expect(seen.rules.onRegister(peer, now: 1) == .acceptAs(tags: ["eu", "g"], alias: nil))
    }

    @Test(
        "What is wrong in conn:with{} is told",
        arguments: [
            ("attributes = 'x'", "attributes is a table"), ("attributes = { [1] = 'x' }", "has a number for a name"),
            ("attributes = { a = 1 }", "an attribute must be a text"), ("attributes = { [('n'):rep(65)] = 'x' }", "longer than 64"),
            ("attributes = { a = ('n'):rep(513) }", "longer than 512"), ("['attributes\\0'] = {}", "a name with a zero byte in it"),
            ("attributes = (function() local t = {} for i = 1, 33 do t['a' .. i] = 'x' end return t end)()", "more than 32"),
            ("uid = 'ada\\0'", "uid has a zero byte in it"),
            ("expires_at = 'soon'", "expires_at is a time"), ("expires_at = 0/0", "expires_at is a time"),
            ("expires_at = -5", "expires_at is a time"),
            ("limits = 5", "limits is a table"), ("limits = { ['messages_per_second\\0'] = 1 }", "a name with a zero byte in it"),
            ("limits = { messages_per_second = 1.5 }", "whole number"), ("limits = { bytes_per_second = -1 }", "whole number"),
            ("limits = { bytes_per_second = 1 << 62 }", "whole number"), ("nothing = 1", "takes uid, tags, alias, attributes"),
        ])
    func wrong(_ field: String, _ expected: String) throws {
        let rig = try RuleRig("function R.on_connect(conn) return conn:with { \(field) } end")
        #expect(rig.rules.onConnect(Clients.peer(), now: 1) == .reject(why: "rule rule failed"))
        #expect(rig.rules.failure?.contains(expected) == true, "\(rig.rules.failure ?? "no failure")")
    }

    // MARK: on_select

    private let members = [
        GroupMember(id: Clients.peer().id, delivered: 7), GroupMember(id: .client(4), delivered: 0, isCongested: true),
        GroupMember(id: .client(5), delivered: 3, isAbsent: true),
    ]

    private func select(_ rig: RuleRig, _ topic: String = "a", group: String = "g") -> Int? {
        rig.withMessage(.topic, topic, "text") { rig.rules.onSelect(group, members, $0, now: 1) }
    }

    @Test("on_select sees group, members and message, and chooses one, or leaves that to others")
    func selecting() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": #"""
            return { priority = 2, match = { topic = { "a", "b" } }, on_select = function(group, members, msg, ctx)
              local seen = {}
              for i, m in ipairs(members) do seen[i] = { m.id == m.conn and 1 or 0, m.uid or "-", m.delivered, m.congested, m.absent } end
              log.info(group .. " " .. msg.topic .. " " .. #msg.payload .. " " .. json.encode(seen))
              if msg.topic == "a" then return members[3] end
            end }
            """#,
            "b/rule.lua": "return { priority = 1, match = { topic = 'b' }, on_select = function(group, members) return members[2] end }",
        ])
        #expect(select(rig) == 2)
        #expect(rig.log.texts == [#"g a 4 [[0,"u1",7,false,false],[0,"-",0,true,false],[0,"-",3,false,true]]"#])
        #expect(select(rig, "b") == 1)
        #expect(select(rig, "c") == nil)
        #expect(rig.figures("on_select", rule: 0).verdicts == ["select": 1, "pass": 1])
    }

    @Test("What is no member of this call's list is the rule's error, and the strategy chooses")
    func notMembers() throws {
        let rig = try RuleRig(
            #"""
            local kept
            function R.on_select(group, members, msg)
              if msg.topic == "keep" then kept = members[1] return kept end
              if msg.topic == "kept" then return kept end
              if msg.topic == "number" then return 1 end
              if msg.topic == "list" then return members end
              if msg.topic == "conn" then return members[1].conn end
              return members[1].nothing
            end
            """#)
        #expect(select(rig, "keep") == 0)
        for topic in ["kept", "number", "list", "conn", "field"] { #expect(select(rig, topic) == nil) }
        #expect(rig.figures("on_select").errors == [.ruleFailed: 5])
    }

    @Test("Topics whose group a rule chooses in stay topics of rules, whatever route.always says")
    func always() throws {
        let rig = try RuleRig("function R.on_message() return route.always() end function R.on_select() end")
        #expect(rig.send("a").passing == .none)
        #expect(try RuleRig("function R.on_select() end").rules.selection(for: .topic, topic: withBytes("a") { $0 }) != .none)
    }

    // MARK: on_will

    @Test("on_will gives any verdict about a will")
    func will() throws {
        let rig = try RuleRig(
            #"""
            function R.on_will(msg, conn, ctx)
              if msg.payload == "drop" then return route.drop("no") end
              if msg.payload == "done" then return route.done() end
              if msg.payload == "route" then return route.to("wills/" .. conn.uid) end
              if msg.payload == "with" then return msg:with { payload = conn.protocol } end
              ctx:emit(route.message { topic = "audit", payload = msg.topic })
            end
            """#)
        func will(_ payload: String) -> (Outcome, isFinal: Bool) {
            rig.withMessage(.topic, "w", payload) { message in
                let outcome = rig.rules.onWill(message, of: Clients.peer(), now: 1)
                return (Outcome(outcome), outcome.isFinal)
            }
        }
        #expect(will("drop").0.verdict == .drop(why: "no"))
        #expect(will("done").0.verdict == .pass)
        #expect(will("done").isFinal)
        #expect(will("route").0.messages.map(\.topic) == ["wills/u1"])
        #expect(will("with").0.messages.map(\.payload) == ["exchange"])
        let passed = will("other")
        #expect(passed.0.verdict == .pass && !passed.isFinal)
        #expect(passed.0.messages.map { "\($0.topic) \($0.payload)" } == ["audit w"])
    }

    // MARK: on_session, on_acked

    @Test("on_session and on_acked are told what there is")
    func told() throws {
        let rig = try RuleRig(
            #"""
            function R.on_session(event, session) log.info(event, session) end
            function R.on_acked(msg, conn) log.info(msg.topic .. " " .. msg.qos .. " " .. conn.uid) end
            """#)
        var session = SessionView(clientID: "c\0d", uid: "u", version: "5.0", expiry: 60)
        (session.isConnected, session.subscriptions, session.waiting, session.inflight) = (true, 1, 2, 3)
        rig.rules.onSession(.resumed, session, now: 1)
        #expect(rig.log.all.last?.text == "resumed")
        #expect(
            rig.log.all.last?.fields
                == #"{"client_id":"c\u0000d","connected":true,"expiry":60,"inflight":3,"subscriptions":1,"uid":"u","version":"5.0","waiting":2}"#)
        rig.withMessage(.topic, "a/b", "x") { rig.rules.onAcked($0, by: Clients.peer().id, now: 1) }
        #expect(rig.log.texts.last == "a/b 0 u1")
        // Who has gone is not told of.
        rig.withMessage(.topic, "a/b", "x") { rig.rules.onAcked($0, by: .client(9), now: 1) }
        #expect(rig.log.texts.count == 2)
    }

    @Test("A failure on a message is told with the message, one of a hook without a message is not")
    func failures() throws {
        let rig = try RuleRig("function R.on_message() error('no') end R.on_connect = R.on_message R.on_error = 'pass'")
        rig.send("a/b", "payload")
        _ = rig.rules.onConnect(Clients.peer(), now: 1)
        #expect(rig.clients.failed == ["rule rule.failed a/b payload"])
    }
}
