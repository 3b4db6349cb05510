import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Hooks of deliveries")
struct DeliveryHookTests {
    @Test("on_deliver lets it through, changes the payload, or drops it, by recipient")
    func deliver() throws {
        let rig = try RuleRig(
            #"""
            function R.on_deliver(msg, conn, ctx)
              if conn.tags[1] == "masked" then return msg:with { payload = "for " .. conn.uid .. " from " .. msg.sender.uid, format = "json" } end
              if conn.tags[1] == "muted" then return route.drop("muted") end
              if conn.tags[1] == "topic" then return msg:with { topic = "x" } end
              if conn.tags[1] == "reject" then return route.reject("x") end
            end
            """#)
        func deliver(_ tag: String) -> RuleRig.Delivered {
            var peer = Clients.peer(uid: "to", tags: [tag])
            peer.id = ConnectionID(loop: 0, slot: 9, generation: 1)
            return rig.deliver(to: peer)
        }
        #expect(deliver("plain") == .deliver)
        guard case .replace(let sent) = deliver("masked") else { throw ShuntError(.internalError, "not replaced: \(rig.log.texts)") }
        #expect((sent.topic, sent.payload, sent.format) == ("a/b", "for to from u1", .json))
        #expect(sent.changes == [.payload, .format])
        #expect(deliver("muted") == .drop("muted"))
        #expect(deliver("topic") == .deliver)
        #expect(deliver("reject") == .deliver)
        #expect(rig.figures("on_deliver").verdicts == ["pass": 1, "replace": 1, "drop": 1])
        #expect(rig.figures("on_deliver").errors == [.ruleFailed: 2])
        #expect(rig.log.texts.contains { $0.contains("may change a message's payload, format and properties") })
    }

    @Test("each rule sees what the one before made for the recipient; on_error drops where it says so")
    func deliverChain() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": "return { priority = 2, on_deliver = function(m) return m:with { payload = m.payload .. '+a' } end }",
            "b/rule.lua": """
            return { priority = 1, on_error = 'drop', on_deliver = function(m)
              if m.topic == 'e' then error('x') end
              return m:with { payload = m.payload .. '+b' }
            end }
            """,
        ])
        guard case .replace(let sent) = rig.deliver("t", "p") else { throw ShuntError(.internalError, "not replaced") }
        #expect(sent.payload == "p+a+b")
        #expect(sent.rule == 1)
        #expect(rig.deliver("e", "p") == .drop("rule b failed"))
        // As where the first rule closes the connection.
        rig.clients.known = [:]
        let left = rig.withMessage(.topic, "t", "p") { message in
            guard case .replace(let routed) = rig.rules.onDeliver(message, filter: Bytes(start: nil, count: 0), to: Clients.peer().id, now: 1)
            else { return "" }
            return String(decoding: routed.payload, as: UTF8.self)
        }
        #expect(left == "p+a", "the second rule is not asked about who has gone")
    }

    @Test("on_deliver is called for the topics of its match alone, in whatever order they come, and by the next version's match")
    func deliverMatch() throws {
        func text(_ topic: String) -> String {
            "return { match = { topic = '\(topic)' }, on_deliver = function(m) return m:with { payload = 'n' } end }"
        }
        let rig = try RuleRig(files: ["a/rule.lua": text("a/#")])
        func isAsked(_ topic: String) -> Bool { rig.deliver(topic, "p") != .deliver }
        #expect(["a/b", "a/b", "c", "c", "a/b", "a/c", "a/b"].map(isAsked) == [true, true, false, false, true, true, true])
        let long = "a/" + String(repeating: "l", count: 300)
        #expect([long, "c", long].map(isAsked) == [true, false, true])
        let other = try PluginFolder(["a/rule.lua": text("c")])
        #expect(isAsked("a/b"))
        #expect(rig.rules.replace(with: try RuleSet.load(directory: other.path), now: 1000) == nil)
        #expect(["a/b", "c", "a/b"].map(isAsked) == [false, true, false])
    }

    @Test("what on_message sent stays as it is while it is delivered")
    func deliverKeepsResults() throws {
        let rig = try RuleRig(
            #"""
            function R.on_message(msg, ctx)
              ctx:emit(msg:with { topic = "emitted", payload = ("e"):rep(1000) })
              return route.fanout { msg:with { payload = ("x"):rep(1000) }, route.push({ uid = "someone" }) }
            end
            function R.on_deliver(msg, conn) local s = {} for i = 1, 200 do s[i] = ("y"):rep(100 + i) end return msg:with { payload = s[200] } end
            function R.on_undelivered(msg) local s = {} for i = 1, 200 do s[i] = ("z"):rep(100 + i) end end
            """#)
        rig.withMessage(.topic, "t", "p") { message in
            let outcome = rig.rules.onMessage(message, selection: rig.rules.selection(for: .topic, topic: message.topic), now: 1)
            let before = outcome.messages.map(Sent.init)
            for _ in 0..<50 {
                for sent in outcome.messages {
                    let view = MessageView(
                        kind: sent.kind, topic: sent.topic, key: sent.key, payload: sent.payload, format: sent.format, id: 1,
                        sender: message.sender)
                    _ = rig.rules.onDeliver(view, filter: Bytes(start: nil, count: 0), to: Clients.peer().id, now: 1)
                    rig.rules.onUndelivered(view, why: "queue full", now: 1)
                }
            }
            #expect(outcome.messages.map(Sent.init) == before)
            #expect(before.map(\.payload.count) == [1000, 1000, 1])
        }
        #expect(rig.figures("on_deliver").calls == 150)
        #expect(rig.log.texts == [])
    }

    @Test("on_undelivered gets the message and why; what it returns is nothing")
    func undelivered() throws {
        let rig = try RuleRig("function R.on_undelivered(msg, why, ctx) log.info(msg.topic .. ' ' .. why .. ' ' .. ctx.rule) return route.drop() end")
        rig.withMessage(.topic, "a/b", "x") { rig.rules.onUndelivered($0, why: "no subscriber", now: 1) }
        #expect(rig.log.texts == ["a/b no subscriber rule"])
        #expect(rig.figures("on_undelivered").verdicts == ["pass": 1])
    }
}
