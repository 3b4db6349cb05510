import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("What is bounded: at the bound, and one beyond it")
struct BoundsTests {
    private let limits = RoutingLimits(subscriptions: 3, topic: 8, group: 4)

    @Test("limits.subscriptions is for each connection; one that is given up makes room")
    func subscriptions() {
        let worker = SimulatedWorker(loops: 2, limits: limits)
        let (client, other) = (worker.connect(), worker.connect(loop: 1))
        for number in 0..<3 { #expect(client.subscribe("t\(number)", group: "g") == 200) }
        let refused = client.ask(Frame(.subscribe, id: 9, format: .json, value: SubscribeBody(group: "g", topic: "t3").encoded()))
        #expect(refused?.status == 429)
        #expect(refused?.text.contains("limits.subscriptions") == true)
        #expect(other.subscribe("t3", group: "g") == 200)
        let gone = client.ask(Frame(.unsubscribe, id: 9, format: .json, value: SubscribeBody(group: "g", topic: "t0").encoded()))
        #expect(gone?.status == 200)
        #expect(client.subscribe("t3", group: "g") == 200)
        #expect(client.subscribe("t4", group: "g") == 429)
        #expect(worker.engines.map(\.output.figures.subscriptions) == [3, 1])
    }

    @Test(
        "limits.topic and limits.group count bytes, of subscriptions and of messages",
        arguments: [
            ("12345678", "gggg", 200, 200), ("123456789", "g", 400, 400), ("1234567é", "g", 400, 400), ("123456é", "g", 200, 200),
            ("t", "ggggg", 400, 500), ("t", "ggé", 200, 200), ("t", "gggé", 400, 500), ("a/b/c/#", "g", 200, 400),
        ] as [(String, String, Int16, Int16)])
    func names(_ topic: String, _ group: String, _ subscribed: Int16, _ published: Int16) {
        let worker = SimulatedWorker(limits: limits)
        let client = worker.connect()
        // Where nobody has subscribed anything, nobody looks at a topic.
        #expect(worker.connect().subscribe("else", group: "g") == 200)
        #expect(client.subscribe(topic, group: group) == subscribed)
        #expect(client.ask(Frame(.message, id: 2, text: "x", name: topic))?.status == published)
        // The connection is none the worse for it.
        #expect(client.ask(Frame(.ping, id: 3))?.status == 200)
    }

    @Test("A filter has at most 128 levels; a plain topic as many as limits.topic has room for")
    func levels() {
        let worker = SimulatedWorker(limits: RoutingLimits(topic: 1000))
        let client = worker.connect()
        let deep = String(repeating: "a/", count: TopicFilter.maximumLevels - 1)
        #expect(client.subscribe(deep + "+", group: "g") == 200)
        #expect(client.subscribe(deep + "a/+", group: "g") == 400)
        #expect(client.subscribe(deep + "a/a", group: "g") == 200)
    }

    @Test("As many broadcasts are under way as a loop keeps; the next is refused with 503, until one has ended")
    func broadcasts() {
        // The other loop's answers are kept back.
        let engine = LoopEngine(loop: 0, of: 2)
        let client = ConnectionID(loop: 0, slot: 0, generation: 0)
        engine.opened(client, address: PeerAddress(), now: 1)
        var ids: [BroadcastID] = []
        func notify() -> [Int16] {
            _ = Frame(.notify, id: 7).encoded().withUnsafeBytes { engine.received($0, on: client, now: 1) }
            // The driver delivers, and tells what became of it.
            for case .endTally(let id) in engine.output.actions {
                ids.append(id)
                engine.tallied(id, BroadcastTally())
            }
            return answers()
        }
        func answers() -> [Int16] {
            let stretches = engine.output.actions.compactMap { if case .answer(_, let stretch) = $0 { stretch } else { nil } }
            let statuses = stretches.compactMap { stretch -> Int16? in
                if case .frame(let view) = FrameDecoder.decode(engine.output.made.bytes(of: stretch)) { view.status } else { nil as Int16? }
            }
            _ = engine.output.takeLetters()
            engine.clear()
            return statuses
        }
        for _ in 0..<LoopEngine.broadcastCapacity { #expect(notify() == []) }
        #expect(notify() == [503])
        engine.tallied(ids[0], BroadcastTally())
        #expect(answers() == [500], "no device matched")
        #expect(notify() == [])
        #expect(notify() == [503])
    }

    @Test("As many questions wait for a master as the link keeps, before it has joined and after; the next is answered at once")
    func questions() {
        let question = MasterLink.ChatQuestion(loop: 0, request: 1, chat: "c")
        let host = ChatHostBody(host: "w", port: 1)
        var link = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        _ = link.tick(now: 0)
        for _ in 0..<MasterLink.questionCapacity { #expect(link.ask(question, host: host, now: 0).isEmpty) }
        #expect(link.ask(question, host: host, now: 0) == [.answered(question, .unavailable)])
        _ = link.connected(now: 0)
        let beat = link.heartbeat(HeartbeatBody(serverPort: 1, createdTime: 0), now: 0)
        guard case .send(let bytes)? = beat.first else {
            Issue.record("no heartbeat")
            return
        }
        let id = bytes.withUnsafeBytes { Int64(bigEndian: $0.loadUnaligned(fromByteOffset: 1, as: Int64.self)) }
        let joined = link.received(Frame(acknowledging: id, text: "shunt"), now: 0)
        let asked = joined.count { if case .send = $0 { true } else { false } }
        #expect(asked == MasterLink.questionCapacity)
        #expect(link.ask(question, host: host, now: 0) == [.answered(question, .unavailable)])
    }

    @Test("As many answers wait for the master's confirmation as a loop keeps; the next is given at once")
    func confirmations() {
        var pending = PendingAnswers()
        let client = ConnectionID(loop: 0, slot: 0, generation: 0)
        for number in 0..<PendingAnswers.capacity { #expect(pending.add(.exchange(id: Int64(number)), to: client, now: 0) != nil) }
        #expect(pending.add(.exchange(id: 0), to: client, now: 0) == nil)
        #expect(pending.take(1)?.receipt == .exchange(id: 0))
        #expect(pending.add(.exchange(id: 0), to: client, now: 0) != nil)
    }
}
