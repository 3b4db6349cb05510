import ExchangeCodec
import ShuntCore
import ShuntEngine
import Testing

/// Rules in Swift: what a test says, by topic.
final class ScriptedRules: RuleHooks {
    struct Made {
        var topic: String?
        var text: String?
        var rule: UInt8 = 0
        var kind = MessageKind.topic
        var filter = ""
    }

    enum Decision {
        case pass([Made] = []), send([Made]), drop, reject(String), redirect(String)
        /// For all messages of the topic: the same from rule `rule`, or passed by these.
        indirect case always(Decision, rule: UInt8), passing([Int])
    }

    /// What to do with a message, by topic; a topic that is not here meets no rule.
    var script: [String: Decision] = [:]
    /// The rules of a topic, by their places.
    var rulesOfTopic: [String: [Int]] = [:]
    var connect = ConnectOutcome.accept
    var subscribe = SubscribeOutcome.accept
    var wanted: RuleHookSet = []
    var broadcast = Decision.pass()
    var chat = Decision.pass()
    var chatOpen = ConnectOutcome.accept
    var chatJoin = ConnectOutcome.accept
    /// What a recipient's delivery becomes, by its connection: another text, or nothing.
    var deliveries: [ConnectionID: String] = [:]
    private(set) var undelivered: [String] = []
    private(set) var closedChats: [String] = []
    private(set) var seen: [String] = []
    private(set) var disconnected: [String] = []
    private var bytes: [UnsafeMutableRawBufferPointer] = []
    private var made: [RoutedMessage] = []

    deinit { for bytes in bytes { bytes.deallocate() } }

    func selection(for kind: MessageKind, topic: Bytes) -> RuleSelection {
        let name = String(decoding: topic, as: UTF8.self)
        guard script[name] != nil else { return .none }
        var selection = RuleSelection.none
        for rule in rulesOfTopic[name] ?? [0] { selection.insert(rule) }
        return selection
    }

    func onMessage(_ message: MessageView, selection: RuleSelection, now: Double) -> MessageOutcome {
        let topic = String(decoding: message.topic, as: UTF8.self)
        seen.append("\(topic) hops=\(message.hops)")
        return outcome(script[topic] ?? .pass(), message)
    }

    func onBroadcast(_ push: MessageView, filter: Bytes, now: Double) -> MessageOutcome {
        seen.append("\(String(decoding: push.payload, as: UTF8.self)) \(String(decoding: filter, as: UTF8.self))")
        return outcome(broadcast, push)
    }

    func onChat(_ message: MessageView, in chat: ChatView, now: Double) -> MessageOutcome {
        seen.append("\(chat.id) \(chat.members.map { "\($0.uid):\($0.isOnline)" }.sorted())")
        return outcome(self.chat, message)
    }

    func onChatOpen(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome { chatOpen }
    func onChatJoin(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome { chatJoin }
    func onChatClose(_ chat: ChatView, why: String, now: Double) { closedChats.append("\(chat.id) \(why) \(chat.members.map(\.uid))") }

    func onDeliver(_ message: MessageView, filter: Bytes, to peer: ConnectionID, now: Double) -> DeliverOutcome {
        guard let text = deliveries[peer] else { return .deliver }
        guard !text.isEmpty else { return .drop(why: "told so") }
        return .replace(list([Made(text: text)], message)[0])
    }

    func onUndelivered(_ message: MessageView, why: String, now: Double) {
        undelivered.append("\(message.kind) \(String(decoding: message.topic, as: UTF8.self)) \(String(decoding: message.payload, as: UTF8.self)): \(why)")
    }

    private func outcome(_ decision: Decision, _ message: MessageView) -> MessageOutcome {
        // What the last call gave out is not valid any more, as with Lua.
        for bytes in bytes { bytes.initializeMemory(as: UInt8.self, repeating: 0xFF) }
        switch decision {
        case .pass(let extra): return MessageOutcome(.pass, messages: list(extra, message))
        case .send(let messages): return MessageOutcome(.send, messages: list(messages, message), rule: 0)
        case .always(let decision, let rule):
            var outcome = outcome(decision, message)
            (outcome.isStanding, outcome.rule) = (true, rule)
            return outcome
        case .passing(let rules):
            var outcome = MessageOutcome.pass
            for rule in rules { outcome.passing.insert(rule) }
            return outcome
        case .drop: return MessageOutcome(.drop(why: "told so"), rule: 0)
        case .reject(let why): return MessageOutcome(.reject(why: why), rule: 0)
        case .redirect(let worker): return MessageOutcome(.redirect(to: worker), rule: 0)
        }
    }

    private func list(_ messages: [Made], _ original: MessageView) -> UnsafeBufferPointer<RoutedMessage> {
        made = messages.map { message in
            var changes: RoutedMessage.Changes = []
            if message.topic != nil { changes.insert(.topic) }
            if message.text != nil { changes.insert(.payload) }
            if message.kind != original.kind { changes.insert(.kind) }
            return RoutedMessage(
                kind: message.kind, changes: changes, topic: message.topic.map(hold) ?? original.topic, key: original.key,
                payload: message.text.map(hold) ?? original.payload, format: original.format,
                compression: message.text == nil ? original.compression : .none, filter: hold(message.filter), rule: message.rule)
        }
        return made.withUnsafeBufferPointer { $0 }
    }

    private func hold(_ text: String) -> Bytes {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        copy.copyBytes(from: text.utf8)
        bytes.append(copy)
        return Bytes(copy)
    }

    func onConnect(_ peer: Peer, now: Double) -> ConnectOutcome { connect }
    func onSubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) -> SubscribeOutcome { subscribe }
    func onDisconnect(_ peer: Peer, why: String, now: Double) { disconnected.append(peer.uid) }
}

@Suite("Messages on their way through rules")
struct RulePassageTests {
    private let rules = ScriptedRules()

    /// A worker whose one consumer takes everything, and what it got for a message to `topic`.
    private func publish(_ topic: String, limits: RoutingLimits = .init()) -> (answer: Frame?, got: [String]) {
        let worker = SimulatedWorker(limits: limits, hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        let answer = producer.ask(Frame(.message, id: 9, text: "text", name: topic, key: "k"))
        return (answer, consumer.received().map { "\($0.name ?? "-") \($0.text) \($0.key ?? "-") \($0.id)" })
    }

    @Test("A topic that no rule matches is not shown to rules")
    func unmatched() {
        #expect(publish("t").got == ["t text k 9"])
        #expect(rules.seen.isEmpty)
    }

    @Test("pass delivers it as it is, and what was emitted besides")
    func pass() {
        rules.script["t"] = .pass([.init(topic: "audit")])
        #expect(Set(publish("t").got) == ["t text k 9", "audit text k 9"])
    }

    @Test("A replaced payload keeps topic, key and id")
    func replace() {
        rules.script["t"] = .send([.init(text: "other")])
        #expect(publish("t").got == ["t other k 9"])
    }

    @Test("fanout delivers all, in order, the unchanged one as it came")
    func fanout() {
        rules.script["t"] = .send([.init(), .init(topic: "u"), .init(topic: "v", text: "w")])
        #expect(publish("t").got == ["t text k 9", "u text k 9", "v w k 9"])
    }

    @Test("drop delivers nothing and tells the sender nothing")
    func drop() {
        rules.script["t"] = .drop
        let result = publish("t")
        #expect(result.answer?.status == 200)
        #expect(result.got == [])
    }

    @Test("reject delivers nothing and tells the sender why")
    func reject() {
        rules.script["t"] = .reject("no order id")
        let result = publish("t")
        #expect(result.answer == Frame(acknowledging: 9, status: 403, text: "no order id"))
        #expect(result.got == [])
    }

    @Test("A message sent to another topic meets that topic's rules, except the one that sent it")
    func secondTopic() {
        rules.script["t"] = .send([.init(topic: "u", rule: 0)])
        rules.script["u"] = .send([.init(text: "seen by u", rule: 1)])
        rules.rulesOfTopic = ["t": [0], "u": [0, 1]]
        #expect(publish("t").got == ["u seen by u k 9"])
        #expect(rules.seen == ["t hops=0", "u hops=1"])
    }

    @Test("A rule does not see what it sent on itself")
    func ownProduct() {
        rules.script["t"] = .send([.init(topic: "u", rule: 0)])
        rules.script["u"] = .send([.init(topic: "v", rule: 0)])
        #expect(publish("t").got == ["u text k 9"])
        #expect(rules.seen == ["t hops=0"])
    }

    @Test("Rules that send a message round and round are ended by limits.hops")
    func hops() {
        for number in 0..<10 {
            rules.script["t\(number)"] = .send([.init(topic: "t\(number + 1)", rule: UInt8(number))])
            rules.rulesOfTopic["t\(number)"] = [number]
        }
        #expect(publish("t0", limits: RoutingLimits(hops: 3)).got == [])
        #expect(rules.seen.count == 4)
    }

    /// What a consumer of everything got for four messages to `t`, and the last one's answer.
    private func publishFour(_ worker: SimulatedWorker) -> (answer: Frame?, got: [String]) {
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        var answer: Frame?
        for id in 1...4 { answer = producer.ask(Frame(.message, id: Int64(id), text: "text \(id)", name: "t", key: id == 4 ? nil : "k")) }
        return (answer, consumer.received().map { "\($0.name ?? "-") \($0.text) \($0.key ?? "-") \($0.id)" })
    }

    @Test("What a rule always sends on goes there without the rule, with its own payload, key and id")
    func standingSend() {
        rules.script["t"] = .always(.send([.init(topic: "a/longer/topic")]), rule: 0)
        let result = publishFour(SimulatedWorker(hooks: rules))
        #expect(result.got == (1...4).map { "a/longer/topic text \($0) \($0 == 4 ? "-" : "k") \($0)" })
        #expect(result.answer?.status == 200)
        #expect(rules.seen == ["t hops=0"])
    }

    @Test("A fanout that stands delivers the message itself and to other topics, whose rules see it")
    func standingFanout() {
        rules.script["t"] = .always(.send([.init(), .init(topic: "u")]), rule: 0)
        rules.script["u"] = .send([.init(text: "seen by u", rule: 1)])
        rules.rulesOfTopic = ["t": [0], "u": [0, 1]]
        #expect(publishFour(SimulatedWorker(hooks: rules)).got.suffix(2) == ["t text 4 - 4", "u seen by u - 4"])
        #expect(rules.seen == ["t hops=0"] + Array(repeating: "u hops=1", count: 4))
    }

    @Test("Drop and reject stand too", arguments: [(true, 200), (false, 403)] as [(Bool, Int16)])
    func standingEnd(isDrop: Bool, status: Int16) {
        rules.script["t"] = .always(isDrop ? .drop : .reject("never"), rule: 0)
        let worker = SimulatedWorker(hooks: rules)
        let result = publishFour(worker)
        #expect(result.answer?.status == status)
        #expect(result.got == [])
        #expect(rules.seen.count == 1)
        #expect(worker.engines[0].figures.dropped == (isDrop ? 4 : 0))
    }

    @Test("A rule that passes all is not asked again, and what then comes first may stand")
    func passing() {
        rules.rulesOfTopic["t"] = [0, 1]
        rules.script["t"] = .passing([0])
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        func send() { _ = producer.ask(Frame(.message, id: 1, text: "x", name: "t")) }
        send()
        rules.script["t"] = .always(.send([.init(topic: "u", rule: 1)]), rule: 1)
        send()
        send()
        #expect(consumer.received().map(\.name) == ["t", "u", "u"])
        #expect(rules.seen.count == 2)
    }

    @Test("What comes after a rule that is asked each time does not stand")
    func notFirst() {
        rules.rulesOfTopic["t"] = [0, 1]
        rules.script["t"] = .always(.send([.init(topic: "u", rule: 1)]), rule: 1)
        #expect(publishFour(SimulatedWorker(hooks: rules)).got.count == 4)
        #expect(rules.seen.count == 4)
    }

    @Test("A subscription with wildcards changes no verdict; other rules do")
    func standingLasts() {
        rules.script["t"] = .always(.send([.init(topic: "u")]), rule: 0)
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        func send() { _ = producer.ask(Frame(.message, id: 1, text: "x", name: "t")) }
        _ = consumer.subscribe("#", group: "g")
        send()
        #expect(consumer.received().map(\.name) == ["u"])
        _ = consumer.subscribe("+", group: "h")
        send()
        #expect(consumer.received().map(\.name) == ["u", "u"])
        #expect(rules.seen.count == 1)
        rules.script["t"] = .pass()
        worker.engines[0].setHooks(rules)
        send()
        #expect(consumer.received().map(\.name) == ["t", "t"])
    }

    @Test("Rules that multiply what others have multiplied end at limits.fanout, all hops together")
    func multiplied() {
        for hop in 0..<3 {
            rules.script["t\(hop)"] = .send((0..<10).map { _ in .init(topic: "t\(hop + 1)", rule: UInt8(hop)) })
            rules.rulesOfTopic["t\(hop)"] = [hop]
        }
        let worker = SimulatedWorker(limits: RoutingLimits(fanout: 100), hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("t3", group: "g")
        for _ in 0..<2 {
            #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "t0"))?.status == 200)
            // Ten for t1; of the ninety that are left each ten at t1 come to as many at t2, which leaves less for t3.
            #expect((50...90).contains(consumer.received().count))
        }
    }

    @Test("A message that a rule sends where nobody listens is not lost silently")
    func nowhere() {
        rules.script["t"] = .send([.init(topic: "u")])
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("t", group: "g")
        #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "t"))?.status == 500)
    }

    @Test("on_connect sees the first frame's sender, and can refuse or redirect it")
    func connect() {
        rules.connect = .reject(why: "not you")
        var worker = SimulatedWorker(hooks: rules)
        var client = worker.connect()
        #expect(client.ask(Frame(.ping, id: 1)) == Frame(acknowledging: 1, status: 403, text: "not you"))
        #expect(worker.closed[client.id] == .ruleRejected)
        #expect(rules.disconnected.isEmpty, "it was never let in")

        rules.connect = .redirect(to: "10.0.0.1:4091")
        worker = SimulatedWorker(hooks: rules)
        client = worker.connect()
        #expect(client.ask(Frame(.ping, id: 1)) == Frame(acknowledging: 1, status: 307, text: "10.0.0.1:4091"))

        rules.connect = .acceptAs(uid: "ada", tags: nil, alias: nil)
        worker = SimulatedWorker(hooks: rules)
        client = worker.connect()
        #expect(client.ask(Frame(.ping, id: 1))?.status == 200)
        #expect(worker.engines[0].peer(client.id)?.uid == "ada")
        worker.disconnect(client.id)
        #expect(rules.disconnected == ["ada"])
    }

    @Test("on_subscribe can refuse a subscription or change it")
    func subscribe() {
        rules.subscribe = .reject(why: "not that")
        let worker = SimulatedWorker(hooks: rules)
        let client = worker.connect()
        #expect(client.subscribe("secret", group: "g") == 403)
        rules.subscribe = .acceptAs(SubscriptionRequest(topic: "public", group: "g"))
        #expect(client.subscribe("secret", group: "g") == 200)
        #expect(client.ask(Frame(.message, id: 2, text: "x", name: "secret"))?.status == 500)
        client.publish("public", "x")
        #expect(client.texts() == ["x"])
    }
}

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
        #expect(worker.engines.map(\.figures.dropped).reduce(0, +) == 1)
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
        for why in [UndeliveredReason.queueFull, .gone] { frame.withUnsafeBytes { worker.engines[0].undelivered($0, why: why, now: 1) } }
        #expect(rules.undelivered == ["topic t x: queue full", "topic t x: gone"])
        rules.wanted = []
        #expect(!worker.engines[0].wantsUndelivered)
    }
}
