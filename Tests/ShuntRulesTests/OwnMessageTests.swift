import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Messages of rules' own, and messages that go out later")
struct OwnMessageTests {
    private func sent(_ rig: RuleRig) -> [Sent] { rig.rules.emitted.map(Sent.init) }

    @Test("what a hook about a message sends is not sent again by a hook that no rule has")
    func messagesOfOthers() throws {
        let rig = try RuleRig("function R.on_message(msg) return route.to('b') end")
        #expect(rig.send().messages.map(\.topic) == ["b"])
        #expect(sent(rig).isEmpty)
        rig.rules.onDisconnect(Clients.peer(), why: "", now: 1)
        #expect(sent(rig).isEmpty)
    }

    @Test("on_connect, on_disconnect, on_subscribe, on_register, on_session and on_tick send messages that are made of none")
    func emitted() throws {
        let rig = try RuleRig(
            #"""
            local function tell(ctx, what)
              ctx:emit(route.message { topic = "events/" .. what, payload = what, key = "k", qos = 2, retain = true, props = { a = "b" } })
            end
            R.tick = 1
            function R.on_connect(conn, ctx) tell(ctx, "connect") end
            function R.on_disconnect(conn, why, ctx) tell(ctx, "disconnect") end
            function R.on_subscribe(sub, ctx) tell(ctx, "subscribe") end
            function R.on_register(conn, ctx) tell(ctx, "register") return route.reject("no") end
            function R.on_session(event, session, ctx) tell(ctx, event .. "/" .. session.client_id) end
            function R.on_tick(ctx) tell(ctx, "tick") end
            """#)
        let peer = Clients.peer()
        func topics() -> [String] { sent(rig).map(\.topic) }
        #expect(rig.rules.onConnect(peer, now: 1) == .accept)
        let connected = sent(rig)
        #expect(connected.map(\.topic) == ["events/connect"])
        #expect(sent(rig).isEmpty, "they are given once")
        let message = try #require(connected.first)
        #expect((message.payload, message.key, message.qos, message.isRetained, message.format) == ("connect", "k", .exactlyOnce, true, .text))
        #expect(!message.properties.isEmpty)
        rig.rules.onDisconnect(peer, why: "", now: 1)
        #expect(topics() == ["events/disconnect"])
        #expect(rig.rules.onSubscribe(SubscriptionRequest(topic: "a", group: "g"), from: peer.id, now: 1) == .accept)
        #expect(topics() == ["events/subscribe"])
        #expect(rig.rules.onRegister(peer, now: 1) == .reject(why: "no"))
        #expect(topics() == ["events/register"])
        rig.rules.onSession(.takenOver, SessionView(clientID: "c", uid: "u", version: "5.0", expiry: 1), now: 1)
        #expect(topics() == ["events/taken_over/c"])
        var ticked: [String] = []
        rig.rules.onTick(now: 2000) { ticked += topics() }
        #expect(ticked == ["events/tick"])
        #expect(rig.rules.failure == nil)
    }

    @Test("What a failed call has sent does not go out, and neither does what it sends beyond the limit; others' does")
    func failing() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": """
            return { priority = 2, tick = 1, on_connect = function(conn, ctx)
              ctx:emit(route.message { topic = "t", payload = "a" }) error("no") end, on_error = "pass",
              on_tick = function(ctx) while true do ctx:emit(route.message { topic = "t", payload = "x" }) end end }
            """,
            "b/rule.lua": """
            return { priority = 1, tick = 1, on_connect = function(conn, ctx) ctx:emit(route.message { topic = "t", payload = "b" }) end,
              on_tick = function(ctx) ctx:emit(route.message { topic = "t", payload = "y" }) end }
            """,
        ])
        #expect(rig.rules.onConnect(Clients.peer(), now: 1) == .accept)
        #expect(sent(rig).map(\.payload) == ["b"])
        var ticked: [String] = []
        rig.rules.onTick(now: 2000) { ticked += sent(rig).map(\.payload) }
        #expect(ticked == ["y"])
        #expect(rig.figures("on_tick", rule: 0).errors == [.fanoutLimit: 1])
    }

    @Test(
        "What is wrong with a message of a rule's own is told",
        arguments: [
            ("route.message { topic = 'a' }", "payload must be a text"), ("route.message { payload = '' }", "route.message{}: payload is empty"),
            ("route.message { payload = 'x', ['topic\\0'] = 'a' }", "not a name with a zero byte in it"),
            ("route.message { payload = 'x', topic = 'a\\0b' }", "zero byte"), ("route.message { payload = 'x', topic = 'a/+' }", "+ , #"),
            ("route.message { payload = 'x', topic = ('a'):rep(2000) }", "route.message{}: topic has 2000 bytes"),
            ("route.message()", "table expected"),
            ("route.message { payload = 'x', qos = 3 }", "route.message{}: qos is 0, 1 or 2"),
            ("route.message { payload = 'x', props = { a = '\\0' } }", "route.message{}: a value in props is not UTF-8"),
            ("route.message { payload = 'x', filter = {} }", "only a broadcast has a filter"),
            ("route.message { payload = 'x' }", "the message has no topic"), ("route.to('a')", "there is no message here"),
            ("route.fanout { route.to('a') }", "there is no message here"), ("route.delay(1)", "there is no message here"),
            ("route.delay(0/0, route.message { payload = 'x', topic = 'a' })", "seconds is a number"),
            ("route.delay(-1, route.message { payload = 'x', topic = 'a' })", "seconds is a number"),
            ("route.delay(1e300, route.message { payload = 'x', topic = 'a' })", "seconds is a number"),
            ("route.delay('1', route.message { payload = 'x', topic = 'a' })", "seconds is a number"),
            ("route.delay(1, route.drop())", "route.delay takes"), ("route.delay(1, route.delay(1))", "route.delay takes"),
            ("route.delay(1, 'x')", "route.delay takes"), ("route.drop()", "ctx:emit takes"),
        ])
    func wrong(_ made: String, _ expected: String) throws {
        let rig = try RuleRig("function R.on_connect(conn, ctx) ctx:emit(\(made)) end")
        rig.rules.setDelayRoom(messages: 10, bytes: 1000)
        guard case .reject = rig.rules.onConnect(Clients.peer(), now: 1) else {
            Issue.record("it was taken")
            return
        }
        #expect(rig.rules.failure?.contains(expected) == true, "\(rig.rules.failure ?? "no failure")")
        #expect(sent(rig).isEmpty)
    }

    @Test("Hooks whose messages would come back to them send none")
    func circles() throws {
        for hook in ["on_deliver", "on_undelivered", "on_acked"] {
            let rig = try RuleRig("function R.\(hook)(msg, other, ctx) ctx:emit(route.message { topic = 'a', payload = 'x' }) end")
            rig.withMessage(.topic, "a", "x") { message in
                if hook == "on_undelivered" { rig.rules.onUndelivered(message, why: "", now: 1) }
                if hook == "on_acked" { rig.rules.onAcked(message, by: Clients.peer().id, now: 1) }
            }
            if hook == "on_deliver" { _ = rig.deliver("a") }
            #expect(rig.rules.failure?.contains("ctx:emit can't be used in \(hook)") == true)
        }
    }

    @Test("A msg:with{} that was kept is good in a hook without a message, msg itself is not; neither is ctx without a hook's leave")
    func kept() throws {
        let rig = try RuleRig(
            #"""
            local kept, message, context
            function R.on_message(msg, ctx) kept, message, context = msg:with { topic = "kept" }, msg, ctx end
            function R.on_connect(conn)
              if conn.uid == "msg" then context:emit(message) end
              context:emit(kept)
            end
            """#)
        rig.send("a", "payload")
        #expect(rig.rules.onConnect(Clients.peer(), now: 1) == .accept)
        #expect(sent(rig).map { "\($0.topic) \($0.payload)" } == ["kept payload"])
        guard case .reject = rig.rules.onConnect(Clients.peer(uid: "msg"), now: 1) else {
            Issue.record("it was taken")
            return
        }
        #expect(rig.rules.failure?.contains("there is no message here") == true)
    }

    @Test("A message is delayed as it is, changed, or as what it would be sent as")
    func delayed() throws {
        let rig = try RuleRig(
            #"""
            function R.on_message(msg, ctx)
              if msg.topic == "as/it/is" then return route.delay(1.5) end
              if msg.topic == "changed" then return route.delay(0, msg:with { topic = "later" }) end
              if msg.topic == "fanout" then return route.fanout { msg, route.delay(2, route.to("later")) } end
              ctx:emit(route.delay(3, route.push({ uid = "u" }, msg)))
            end
            """#)
        rig.rules.setDelayRoom(messages: 10, bytes: 1000)
        func delays(_ topic: String) -> [String] {
            withBytes(topic) { topic in
                withBytes("x") { payload in
                    let message = MessageView(kind: .topic, topic: topic, key: nil, payload: payload, format: .text, id: 1, sender: .none)
                    let selection = rig.rules.selection(for: .topic, topic: topic)
                    return rig.rules.onMessage(message, selection: selection, now: 1).messages.map {
                        "\($0.kind) \(String(decoding: $0.topic, as: UTF8.self)) \($0.changes.contains(.delayed) ? "\($0.delay)" : "at once")"
                    }
                }
            }
        }
        #expect(delays("as/it/is") == ["topic as/it/is 1500"])
        #expect(delays("changed") == ["topic later 0"])
        #expect(delays("fanout") == ["topic fanout at once", "topic later 2000"])
        #expect(delays("other") == ["broadcast other 3000"])
        #expect(rig.figures().verdicts == ["delay": 2, "fanout": 1, "pass": 1])
    }

    @Test("More than may be delayed is the rule's error limit.delay, in number and in bytes")
    func room() throws {
        let rig = try RuleRig("R.on_error = 'reject' function R.on_message(msg) return route.delay(1) end")
        rig.rules.setDelayRoom(messages: 2, bytes: 1000)
        #expect(rig.send().verdict == .send)
        #expect(rig.send().verdict == .send)
        #expect(rig.send().verdict == .reject(why: "rule rule failed"))
        #expect(rig.figures().errors == [.delayLimit: 1])
        rig.rules.setDelayRoom(messages: 2, bytes: 4)
        #expect(rig.send("a/b", "xx").verdict != .send)
        #expect(rig.send("a", "x").verdict == .send)
        #expect(rig.figures().errors == [.delayLimit: 2])
    }

    @Test("A call that fails gives back the room that its delayed messages took, and so does an emission that is refused")
    func roomOfFailures() throws {
        let rig = try RuleRig(
            """
            R.on_error = 'reject'
            function R.on_message(msg, ctx)
              if msg.topic == 'fails' then
                ctx:emit(route.delay(1, msg))
                error('no')
              end
              pcall(ctx.emit, ctx, route.fanout { route.delay(1, msg), route.delay(1, msg) })
              return route.delay(1)
            end
            """)
        rig.rules.setDelayRoom(messages: 1, bytes: 1000)
        for _ in 0..<3 { #expect(rig.send("fails").verdict == .reject(why: "rule rule failed")) }
        #expect(rig.figures().errors == [.ruleFailed: 3])
        #expect(rig.send("t").verdict == .send)
    }
}
