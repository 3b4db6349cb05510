import ShuntCore
import Testing

@testable import ShuntRules

@Suite("What rules see of clients of MQTT")
struct MQTTClientTests {
    private static let mqtt = Peer.MQTT(
        clientID: "sensor-1", version: "5.0", keepAlive: 30,
        properties: [UserProperty("tag", "a"), UserProperty("tag", "b"), UserProperty("x", "1")],
        will: Peer.Will(
            topic: Array("gone".utf8), payload: [0, 1], qos: .exactlyOnce, isRetained: true, properties: willProperties.behindLength, delay: 90))
    private static var willProperties: TestProperties {
        var properties = TestProperties(["expiry": .int(1)])
        properties.add(.user, "why", "will")
        return properties
    }

    private static let shows = #"""
        local function shown(conn)
          local will = conn.will
          return table.concat({
            tostring(conn.client_id), tostring(conn.version), tostring(conn.keep_alive), #conn.props, tostring(conn.props.tag),
            will and will.topic .. #will.payload .. will.qos .. tostring(will.retain) .. will.delay .. will.props.why .. #will.props or "no will",
          }, " ")
        end
        function R.on_connect(conn) log.info(shown(conn)) end
        function R.on_disconnect(conn) log.info(shown(conn)) end
        function R.on_message(msg) log.info(shown(msg.sender)) end
        """#

    @Test("identifier, version, keep alive, user properties and will; nothing of them for the exchange protocol, and once it has gone")
    func conn() throws {
        let rig = try RuleRig(Self.shows)
        var peer = Clients.peer()
        peer.mqtt = Self.mqtt
        rig.clients.known[peer.id] = peer
        _ = rig.rules.onConnect(peer, now: 1)
        rig.send()
        rig.rules.onDisconnect(peer, why: "", now: 1)
        rig.clients.known[peer.id]?.mqtt?.will = nil
        rig.send()
        rig.clients.known[peer.id]?.mqtt = nil
        rig.send()
        rig.clients.known[peer.id] = nil
        rig.rules.onDisconnect(peer, why: "", now: 1)
        let seen = "sensor-1 5.0 30 3 a gone22true90will1"
        #expect(rig.log.texts == [seen, seen, seen, "sensor-1 5.0 30 3 a no will", "nil nil nil 0 nil no will", "nil nil nil 0 nil no will"])
    }

    @Test("a will that is too large to be read is an error of its own field")
    func largeWill() throws {
        let rig = try RuleRig("function R.on_connect(conn) log.info(conn.client_id) return conn.will and route.reject('x') end")
        var peer = Clients.peer()
        peer.mqtt = Self.mqtt
        peer.mqtt?.will?.payload = [UInt8](repeating: 0, count: 2 << 20)
        rig.clients.known[peer.id] = peer
        #expect(rig.rules.onConnect(peer, now: 1) == .reject(why: "rule rule failed"))
        #expect(rig.log.texts.first == "sensor-1")
        #expect(rig.log.texts.last?.contains("too large to be read") == true)
    }

    @Test("a subscription's QoS, which a rule makes lower and not higher")
    func subscription() throws {
        let rig = try RuleRig(
            """
            function R.on_subscribe(sub)
              if sub.topic == "same" then return sub:with { group = "h" } end
              return sub:with { qos = sub.topic == "lower" and sub.qos - 1 or sub.qos + 1 }
            end
            """)
        func subscribe(_ topic: String, _ qos: QoS) -> SubscribeOutcome {
            rig.rules.onSubscribe(SubscriptionRequest(topic: topic, group: "g", qos: qos), from: Clients.peer().id, now: 1)
        }
        #expect(subscribe("lower", .exactlyOnce) == .acceptAs(SubscriptionRequest(topic: "lower", group: "g", qos: .atLeastOnce)))
        #expect(subscribe("same", .exactlyOnce) == .acceptAs(SubscriptionRequest(topic: "same", group: "h", qos: .exactlyOnce)))
        #expect(subscribe("lower", .atMostOnce) == .reject(why: "rule rule failed"))
        #expect(subscribe("higher", .atMostOnce) == .reject(why: "rule rule failed"))
        #expect(rig.log.texts.contains { $0.contains("qos can be made lower than 0, not higher") })
    }
}

@Suite("MQTT in rule tests")
struct MQTTRuleTestTests {
    @Test("tests send what clients of MQTT send, and see what is made of it")
    func bench() throws {
        let folder = try PluginFolder([
            "r/rule.lua": #"""
            local R = {}
            function R.on_message(msg)
              if msg.retain then return msg:with { retain = false, expiry = 60 } end
              local p = msg.props
              p.seen = msg.sender.client_id
              return msg:with { qos = msg.qos - 1, props = p }
            end
            function R.on_connect(conn)
              if conn.will and conn.will.retain then return route.reject(conn.will.topic .. conn.will.props.a) end
              if conn.props.tenant ~= "one" or conn.protocol ~= "mqtt" or conn.keep_alive > 60 then return route.reject("who") end
            end
            function R.on_subscribe(sub) if sub.qos > 1 then return sub:with { qos = 1 } end end
            return R
            """#,
            "r/rule_test.lua": #"""
            return {
              ["1 messages"] = function(t)
                local props = { { name = "b", value = "1" }, { name = "a", value = "2" } }
                local out = t:message { qos = 2, props = props, sender = { client_id = "c" }, content_type = "x/y" }
                t:eq(out.qos, 1) t:eq(out.retain, false) t:eq(out.content_type, "x/y") t:eq(out.props.seen, "c")
                t:eq(out.props, { { name = "b", value = "1" }, { name = "a", value = "2" }, { name = "seen", value = "c" } })
                t:eq(t:message { retain = true, props = { z = "1", y = "2" } }.messages[1].props[1].name, "y")
                t:eq(t:message { retain = true }.expiry, 60)
                t:eq(t:message { sender = { client_id = "c" } }.qos, 0)
              end,
              ["2 clients"] = function(t)
                t:eq(t:connect { client_id = "c", props = { tenant = "one" } }.verdict, "accept")
                t:eq(t:connect { client_id = "c", will = { topic = "w", payload = "", retain = true, props = { a = "b" } } }.why, "wb")
                t:eq(t:connect { uid = "u" }.why, "who")
                t:eq(t:connect { client_id = "c", keep_alive = 61, props = { tenant = "one" } }.why, "who")
              end,
              ["3 subscriptions"] = function(t)
                t:eq(t:subscribe { topic = "a", qos = 2 }.qos, 1) t:eq(t:subscribe { topic = "a", qos = 0 }.qos, 0)
              end,
              ["4 wrong QoS"] = function(t) t:message { qos = 3 } end,
              ["5 wrong property"] = function(t) t:message { props = { { name = "a" } } } end,
              ["6 wrong will"] = function(t) t:connect { will = { text = "a" } } end,
            }
            """#,
        ])
        let results = try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).run()
        #expect(results.prefix(3).map(\.failure) == [nil, nil, nil])
        #expect(results[3].failure?.message.contains("a whole number from 0 to 2") == true)
        #expect(results[4].failure?.message.contains("a list of { name = ") == true)
        #expect(results[5].failure?.message.contains("will does not take text") == true)
    }
}
