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
    }

    enum Decision {
        case pass([Made] = []), send([Made]), drop, reject(String)
    }

    /// What to do with a message, by topic; a topic that is not here meets no rule.
    var script: [String: Decision] = [:]
    /// The rules of a topic, by their places.
    var rulesOfTopic: [String: [Int]] = [:]
    var connect = ConnectOutcome.accept
    var subscribe = SubscribeOutcome.accept
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
        // What the last call gave out is not valid any more, as with Lua.
        for bytes in bytes { bytes.initializeMemory(as: UInt8.self, repeating: 0xFF) }
        switch script[topic] ?? .pass() {
        case .pass(let extra): return MessageOutcome(.pass, messages: list(extra, message))
        case .send(let messages): return MessageOutcome(.send, messages: list(messages, message), rule: 0)
        case .drop: return MessageOutcome(.drop(why: "told so"), rule: 0)
        case .reject(let why): return MessageOutcome(.reject(why: why), rule: 0)
        }
    }

    private func list(_ messages: [Made], _ original: MessageView) -> UnsafeBufferPointer<RoutedMessage> {
        made = messages.map { message in
            var changes: RoutedMessage.Changes = []
            if message.topic != nil { changes.insert(.topic) }
            if message.text != nil { changes.insert(.payload) }
            return RoutedMessage(
                kind: .topic, changes: changes, topic: message.topic.map(hold) ?? original.topic, key: original.key,
                payload: message.text.map(hold) ?? original.payload, format: original.format,
                compression: message.text == nil ? original.compression : .none, rule: message.rule)
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
