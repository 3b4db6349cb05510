import ExchangeCodec
import ShuntCore
import ShuntEngine
import Testing

@Suite("Rules over broadcasts, chats and deliveries", .serialized)
struct RuleTrafficTests {
    private let rules = ScriptedRules()

    private func notify(_ client: SimulatedClient, _ body: NotifyBody) -> Frame? {
        client.ask(Frame(.notify, id: 3, format: .json, value: body.encoded()))
    }

    private func pushes(_ client: SimulatedClient) -> [String] {
        client.received().filter { $0.type == .notify }.compactMap { frame in
            frame.value.withUnsafeBytes { try? NotifyBody(decoding: $0).message }
        }
    }

    @Test("A broadcast's filter and text can be changed, its sender is told what became of it")
    func changedBroadcast() {
        rules.wanted = [.broadcast]
        rules.broadcast = .send([.init(text: "quietly", kind: .broadcast, filter: #"{"filter_tags":["asleep"]}"#)])
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let (one, two, sender) = (worker.connect(), worker.connect(loop: 1), worker.connect())
        _ = one.register("one")
        _ = two.register("two", tags: ["asleep"])
        #expect(notify(sender, NotifyBody(message: "loudly"))?.text == "1 matched, 1 sent, 0 not sent")
        #expect(pushes(one) == ["quietly"])
        #expect(pushes(two) == [])
    }

    @Test("A broadcast can be dropped, with its sender told that nobody got it, or rejected")
    func stoppedBroadcast() {
        rules.wanted = [.broadcast]
        rules.broadcast = .drop
        let worker = SimulatedWorker(hooks: rules)
        let (device, sender) = (worker.connect(), worker.connect())
        _ = device.register("u")
        #expect(notify(sender, NotifyBody(message: "x"))?.text == "0 matched, 0 sent, 0 not sent (told so)")
        rules.broadcast = .reject("not now")
        #expect(notify(sender, NotifyBody(message: "x")) == Frame(acknowledging: 3, status: 403, text: "not now"))
        #expect(pushes(device) == [])
    }

    @Test("route.push makes a broadcast of a topic message, on every loop")
    func push() {
        rules.script["alarm"] = .send([.init(text: "fire", kind: .broadcast, filter: #"{"uid":"u1"}"#)])
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let devices = (0..<2).map { worker.connect(loop: $0) }
        for (number, device) in devices.enumerated() { _ = device.register("u\(number)") }
        let producer = worker.connect()
        #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "alarm"))?.status == 200)
        #expect(devices.map { pushes($0) } == [[], ["fire"]])
    }

    @Test("route.chat says something in a chat, wherever it is at home")
    func say() {
        let worker = SimulatedWorker(loops: 3, hooks: rules)
        let ada = worker.connect(loop: 1)
        for room in 0..<5 {
            rules.script["alarm"] = .send([.init(topic: "room-\(room)", text: "fire", kind: .chat)])
            ada.chat("room-\(room)", .create)
            _ = ada.received()
            worker.connect().publish("alarm", "x")
            #expect(ada.chatter() == ["SESSION fire"])
        }
    }

    @Test("A chat message can be changed or rejected; the rules see who is in the chat")
    func chat() {
        rules.wanted = [.chat]
        rules.chat = .send([.init(text: "****", kind: .chat)])
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let (ada, bob) = (worker.connect(), worker.connect(loop: 1))
        _ = (ada.register("ada"), bob.register("bob"))
        ada.chat("room", .create)
        bob.chat("room", .create)
        ada.chat("room", .session, "damn")
        #expect(bob.chatter() == ["200", "SESSION ****"])
        #expect(rules.seen.last == "room [\"ada:true\", \"bob:true\"]")
        rules.chat = .reject("mind your words")
        _ = ada.received()
        ada.chat("room", .session, "damn")
        rules.chat = .redirect("b:1")
        ada.chat("room", .session, "damn")
        #expect(ada.chatter() == ["403 mind your words", "307 b:1"])
        #expect(bob.chatter() == [])
    }

    @Test("What a rule makes of a member's message reaches the others in order, and never the member")
    func chatFanout() {
        rules.wanted = [.chat]
        rules.chat = .send(["-1", "-2", "-3"].map { .init(text: $0, kind: .chat) })
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let (ada, bob) = (worker.connect(), worker.connect(loop: 1))
        ada.chat("room", .create)
        bob.chat("room", .create)
        _ = (ada.received(), bob.received())
        ada.chat("room", .session, "x")
        #expect(bob.chatter() == ["SESSION -1", "SESSION -2", "SESSION -3"])
        #expect(ada.chatter() == ["200"])
    }

    @Test("Rules do not see what is sent to a chat by one who is not in it")
    func stranger() {
        rules.wanted = [.chat, .chatJoin]
        rules.chat = .drop
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let (ada, eve) = (worker.connect(), worker.connect(loop: 1))
        ada.chat("room", .create)
        eve.chat("room", .session, "x")
        eve.chat("none", .session, "x")
        #expect(eve.chatter().map { $0.prefix(3) } == ["403", "404"])
        #expect(rules.seen == [])
        // A member that asks again does not join again.
        rules.chatJoin = .reject(why: "full")
        ada.chat("room", .create)
        #expect(ada.chatter() == ["200", "200"])
    }

    @Test("Opening and joining can be refused or redirected, and a chat's end is told")
    func admission() {
        rules.wanted = [.chatOpen, .chatJoin, .chatClose]
        rules.chatOpen = .reject(why: "not today")
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let (ada, bob) = (worker.connect(), worker.connect(loop: 1))
        ada.chat("room", .create)
        #expect(ada.chatter() == ["403 not today"])
        rules.chatOpen = .accept
        rules.chatJoin = .redirect(to: "b:1")
        ada.chat("room", .create)
        bob.chat("room", .create)
        #expect(ada.chatter() == ["200"])
        #expect(bob.chatter() == ["307 b:1"])
        ada.chat("room", .destroy)
        #expect(rules.closedChats == [#"room destroyed [""]"#])
    }

    @Test("on_deliver changes or drops one recipient's message, on whichever loop that is")
    func deliver() {
        rules.wanted = [.deliver]
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let consumers = (0..<3).map { worker.connect(loop: $0 % 2) }
        for (number, consumer) in consumers.enumerated() { _ = consumer.subscribe("t", group: "g\(number)") }
        rules.deliveries = [consumers[0].id: "for you", consumers[1].id: ""]
        let producer = worker.connect()
        producer.publish("t", "for all")
        #expect(consumers.map { $0.texts() } == [["for you"], [], ["for all"]])
    }

    @Test("What a client sent waits once rules have taken long, and is taken without them when they are gone")
    func yields() {
        rules.script["t"] = .drop
        let engine = LoopEngine(loop: 0, hooks: rules)
        let client = ConnectionID(loop: 0, slot: 0, generation: 0)
        engine.opened(client, address: PeerAddress(ipv4: 0x7F00_0001, port: 40_000), now: 1)
        let one = Frame(.message, id: 1, text: "x", name: "t").encoded()
        func take() -> Int {
            engine.beginRead()
            return (one + one + one).withUnsafeBytes { engine.received($0, on: client, now: 1) }
        }
        #expect(take() == 3 * one.count && !engine.takesLong)
        rules.takesLong = true
        #expect(take() == one.count && engine.takesLong, "each read gets on by one at least")
        #expect(take() == one.count)
        engine.setHooks(nil)
        #expect(take() == 3 * one.count && !engine.takesLong)
    }

    @Test("A message that on_deliver looks at is not copied for each recipient: they are asked about when it is written")
    func deliverWithoutCopies() {
        rules.wanted = [.deliver]
        let engine = LoopEngine(loop: 0, hooks: rules)
        let clients = (0..<50).map { ConnectionID(loop: 0, slot: $0, generation: 0) }
        for (number, client) in clients.enumerated() {
            engine.opened(client, address: PeerAddress(ipv4: 0x7F00_0001, port: 40_000), now: 1)
            let body = SubscribeBody(group: "g\(number)", topic: "t", key: nil).encoded()
            _ = Frame(.subscribe, id: 1, format: .json, value: body).encoded().withUnsafeBytes { engine.received($0, on: client, now: 1) }
            engine.clear()
        }
        rules.deliveries = [clients[7]: String(repeating: "y", count: 100_000), clients[8]: ""]
        let frame = Frame(.message, id: 2, text: String(repeating: "x", count: 100_000), name: "t").encoded()
        frame.withUnsafeBytes { bytes in
            _ = engine.received(bytes, on: clients[0], now: 1)
            #expect(engine.output.actions.count { if case .offer(_, let stretch) = $0 { stretch.source == .input } else { false } } == 50)
            #expect(
                clients.map { engine.offer(bytes, .exchange, to: $0, isAnother: false, now: 1) }
                    == (0..<50).map { $0 == 7 ? .replaced : $0 == 8 ? .dropped : .unchanged })
        }
        #expect(engine.output.made.size == 0)
        #expect(engine.replacementBytes.count < 200_000)
        #expect(engine.output.figures.dropped == 1)
    }

    @Test("A chat's message is made once for all members")
    func chatWithoutCopies() {
        let engine = LoopEngine(loop: 0, chat: ChatSettings(members: 20, hasMasters: false))
        let members = (0..<10).map { ConnectionID(loop: 0, slot: $0, generation: 0) }
        func send(_ frame: Frame, from client: ConnectionID) {
            frame.encoded().withUnsafeBytes { _ = engine.received($0, on: client, now: 1) }
        }
        for member in members {
            engine.opened(member, address: PeerAddress(ipv4: 0x7F00_0001, port: 40_000), now: 1)
            send(Frame(.chat, id: 8, text: "room", name: "room", key: ChatKey.create.rawValue), from: member)
        }
        engine.clear()
        send(Frame(.chat, id: 8, text: String(repeating: "x", count: 100_000), name: "room", key: ChatKey.session.rawValue), from: members[0])
        #expect(engine.output.actions.count { if case .deliver = $0 { true } else { false } } == 9)
        #expect((100_000..<200_000).contains(engine.output.made.size))
    }

    @Test("on_deliver changes or drops one device's broadcast, and the sender is told", arguments: [1, 2])
    func deliverBroadcast(loops: Int) {
        rules.wanted = [.deliver]
        let worker = SimulatedWorker(loops: loops, hooks: rules)
        let devices = (0..<4).map { worker.connect(loop: $0 % loops) }
        for (number, device) in devices.enumerated() { _ = device.register("u\(number)", tags: ["t"]) }
        rules.deliveries = [devices[0].id: "for you", devices[1].id: ""]
        worker.slow = [devices[2].id]
        let sender = worker.connect()
        let answer = notify(sender, NotifyBody(message: "for all", matchTags: ["t"]))
        #expect(answer?.text == "4 matched, 2 sent, 2 not sent (1 too slow, 1 dropped by a rule)")
        #expect(devices.map { pushes($0) } == [["for you"], [], [], ["for all"]])
        #expect(worker.engines.map(\.output.figures.dropped).reduce(0, +) == 1)
    }

    @Test("on_deliver changes or drops one member's chat message, but not what the chat itself says", arguments: [1, 2])
    func deliverChat(loops: Int) {
        rules.wanted = [.deliver]
        let worker = SimulatedWorker(loops: loops, hooks: rules)
        for engine in worker.engines { engine.setChat(ChatSettings(members: 3, hasMasters: false)) }
        let members = (0..<3).map { worker.connect(loop: $0 % loops) }
        for member in members { member.chat("room", .create) }
        for member in members { _ = member.received() }
        rules.deliveries = [members[1].id: "for you", members[2].id: ""]
        members[0].chat("room", .session, "for all")
        #expect(members.map { $0.chatter() } == [["200"], ["SESSION for you"], []])
        members[0].chat("room", .destroy)
        #expect(members.map { $0.chatter() } == [["200"], ["DESTROY room"], ["DESTROY room"]])
    }

    @Test("on_undelivered hears of a message that nobody had subscribed, of one that a rule made too")
    func undelivered() {
        rules.wanted = [.undelivered]
        let worker = SimulatedWorker(hooks: rules)
        worker.connect().publish("t", "x")
        #expect(rules.undelivered == ["topic t x: no subscriber"])
    }

    @Test("on_undelivered hears of a broadcast that no device matched", arguments: [1, 2])
    func undeliveredBroadcast(loops: Int) {
        rules.wanted = [.undelivered]
        let worker = SimulatedWorker(loops: loops, hooks: rules)
        #expect(notify(worker.connect(), NotifyBody(message: "x", uid: "u"))?.status == 500)
        #expect(rules.undelivered == ["broadcast  x: no device"])
    }

    @Test("on_undelivered hears of a chat message that was held for a member who did not come back")
    func undeliveredChat() {
        rules.wanted = [.undelivered, .chatClose]
        let worker = SimulatedWorker(hooks: rules)
        let (ada, bob) = (worker.connect(), worker.connect())
        _ = bob.register("bob")
        ada.chat("room", .create)
        bob.chat("room", .create)
        worker.disconnect(bob.id)
        ada.chat("room", .session, "missed")
        worker.now += 61
        worker.tick()
        #expect(rules.undelivered == ["chat room missed: expired"])
        ada.chat("room", .destroy)
        #expect(rules.closedChats == [#"room destroyed [""]"#])
    }

    @Test("on_undelivered hears of what a slow client, or one that has gone, did not get")
    func undeliveredByDriver() {
        rules.wanted = [.undelivered]
        let worker = SimulatedWorker(hooks: rules)
        let frame = Frame(.message, id: 9, text: "x", name: "t").encoded()
        for why in [UndeliveredReason.queueFull, .gone] {
            frame.withUnsafeBytes { _ = worker.engines[0].undelivered($0, .exchange, why: why, now: 1) }
        }
        #expect(rules.undelivered == ["topic t x: queue full", "topic t x: gone"])
        rules.wanted = []
        #expect(!worker.engines[0].wantsUndelivered)
    }
}
