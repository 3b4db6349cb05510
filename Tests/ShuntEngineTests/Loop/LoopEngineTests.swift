import ExchangeCodec
import ShuntCore
import ShuntEngine
import Testing

@Suite("A worker's loop: topic messages (exchange protocol §10.2)")
struct LoopMessageTests {
    @Test("A message reaches one member of each group, byte for byte, and is acknowledged once")
    func relay() {
        let worker = SimulatedWorker()
        let (one, two, auditor) = (worker.connect(), worker.connect(), worker.connect())
        let producer = worker.connect()
        #expect(one.subscribe("orders", group: "billing") == 200)
        #expect(two.subscribe("orders", group: "billing") == 200)
        #expect(auditor.subscribe("orders", group: "audit") == 200)
        let frame = Frame(.message, id: -7, compression: .gzip, format: .json, value: [1, 2, 3], name: "orders", key: "k")
        producer.send(frame)
        #expect(producer.received() == [Frame(acknowledging: -7)])
        #expect(auditor.received() == [frame])
        #expect(one.received() + two.received() == [frame])
    }

    @Test("Two members of a group share thirty messages, fifteen each")
    func thirty() {
        let worker = SimulatedWorker()
        let (one, two, producer) = (worker.connect(), worker.connect(), worker.connect())
        _ = one.subscribe("t", group: "g")
        _ = two.subscribe("t", group: "g")
        for number in 0..<30 { producer.publish("t", "\(number)") }
        #expect(one.texts() == stride(from: 0, to: 30, by: 2).map(String.init))
        #expect(two.texts() == stride(from: 1, to: 30, by: 2).map(String.init))
    }

    @Test("A connection in two groups gets the message twice; a sender that subscribed gets its own")
    func ownMessages() {
        let worker = SimulatedWorker()
        let client = worker.connect()
        _ = client.subscribe("t", group: "a")
        _ = client.subscribe("t", group: "b")
        client.publish("t", "x", id: 5)
        #expect(client.received().map(\.type) == [.message, .message, .acknowledgement])
    }

    @Test("Nobody subscribed: 500 with message-channel's text")
    func nobody() {
        let worker = SimulatedWorker()
        let client = worker.connect()
        #expect(
            client.ask(Frame(.message, id: 1, text: "x", name: "t")) == Frame(acknowledging: 1, status: 500, text: "The worker subscriber is empty"))
        #expect(client.ask(Frame(.message, id: 2)) == Frame(acknowledging: 2, status: 500, text: "The worker subscriber is empty"))
    }

    @Test("A message without body is a bad request once anyone has subscribed, and one without topic too")
    func noBody() {
        let worker = SimulatedWorker()
        let client = worker.connect()
        _ = client.subscribe("t", group: "g")
        #expect(client.ask(Frame(.message, id: 1)) == Frame(acknowledging: 1, status: 400, text: "Bad Request"))
        #expect(client.ask(Frame(.message, id: 2, text: "x"))?.status == 400)
        #expect(client.ask(Frame(.message, id: 3, text: "x", name: String(repeating: "t", count: 1025)))?.status == 400)
        #expect(client.ask(Frame(.message, id: 4, text: "x", name: "t"))?.status == 200)
    }

    @Test("A subscriber on one loop gets what arrives on another")
    func acrossLoops() {
        let worker = SimulatedWorker(loops: 3)
        let consumers = (0..<3).map { worker.connect(loop: $0) }
        for consumer in consumers { #expect(consumer.subscribe("t", group: "g") == 200) }
        let producer = worker.connect(loop: 1)
        for number in 0..<30 { producer.publish("t", "\(number)") }
        let shares = consumers.map { $0.texts() }
        #expect(shares.map(\.count) == [10, 10, 10])
        #expect(Set(shares.joined()).count == 30)
        worker.disconnect(consumers[0].id)
        for number in 0..<10 { producer.publish("t", "\(number)") }
        #expect(consumers[1...].map { $0.texts().count } == [5, 5])
    }

    @Test("A stream that is cut anywhere, or comes in one piece, is the same stream")
    func fragments() {
        let whole = (0..<5).flatMap { Frame(.message, id: Int64($0), text: "text \($0)", name: "t").encoded() }
        for size in 1...40 {
            let worker = SimulatedWorker()
            let (consumer, producer) = (worker.connect(), worker.connect())
            _ = consumer.subscribe("t", group: "g")
            for start in stride(from: 0, to: whole.count, by: size) {
                worker.send(Array(whole[start..<min(start + size, whole.count)]), from: producer.id)
            }
            #expect(consumer.texts() == (0..<5).map { "text \($0)" })
            #expect(producer.received().map(\.id) == [0, 1, 2, 3, 4])
        }
    }

    @Test("A batch stops at the bound, and what is left is taken next")
    func batches() {
        let worker = SimulatedWorker()
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("t", group: "g")
        let count = LoopEngine.batchSize * 2
        worker.send((0..<count).flatMap { Frame(.message, id: Int64($0), text: "x", name: "t").encoded() }, from: producer.id)
        #expect(producer.received().map(\.id) == (0..<count).map(Int64.init))
        #expect(consumer.texts().count == count)
    }
}

@Suite("A worker's loop: other frames")
struct LoopControlTests {
    @Test(
        "A malformed frame is answered where that is possible, and the connection closes",
        arguments: [
            ([0x70] + Array(Frame(.ping, id: 1).encoded().dropFirst()), ErrorCode.frameMalformed, nil as Int16?),
            (Array(Frame(.ping, id: 1).encoded().prefix(13)) + [0x7F, 0, 0, 0], .frameTooLarge, 413),
            (Array(Frame(.ping, id: 1).encoded().prefix(13)) + [0xFF, 0xFF, 0xFF, 0xFF], .frameTooLarge, 413),
            (Array(Frame(.ping, id: 1).encoded().prefix(9)) + [11] + Array(Frame(.ping, id: 1).encoded().dropFirst(10)), .frameMalformed, 400),
        ] as [([UInt8], ErrorCode, Int16?)])
    func malformed(bytes: [UInt8], code: ErrorCode, status: Int16?) {
        let worker = SimulatedWorker()
        let client = worker.connect()
        worker.send(bytes, from: client.id)
        #expect(worker.closed[client.id] == code)
        #expect(client.received().first?.status == status)
    }

    @Test(
        "A client that speaks another protocol is told in it, whatever its first bytes make of a frame's length",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ErrorCode.protocolHTTP), ("GET /", .protocolHTTP),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .protocolHTTP), ("\u{10}\u{0C}\0\u{4}MQTT\u{4}\u{2}\0\u{3C}\0\0", .protocolMQTT),
            ("\u{10}\u{0E}\0\u{6}MQIsdp", .protocolMQTT), ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}", .protocolTLS),
        ])
    func foreign(bytes: String, code: ErrorCode) {
        for size in [1, bytes.utf8.count] {
            let worker = SimulatedWorker()
            let client = worker.connect()
            let bytes = Array(bytes.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) where worker.closed[client.id] == nil {
                worker.send(Array(bytes[start..<min(start + size, bytes.count)]), from: client.id)
            }
            #expect(worker.closed[client.id] == code)
        }
    }

    @Test(
        "What message-channel answers to other frames, or what the list of quirks advises",
        arguments: [
            (Frame(.ping, id: 3), 200 as Int16?, ""), (Frame(.allocation, id: 3), 500, "not found server"),
            (Frame(.allocation, id: 3, text: "true"), 500, "not found server"), (Frame(.balance, id: 3, text: "5"), nil, ""),
            (Frame(.binding, id: 3), nil, ""), (Frame(.registered, id: 3), nil, ""), (Frame(acknowledging: 3), nil, ""),
            (Frame(acknowledging: 3, status: 500, text: "x"), nil, ""),
            (Frame(.subscribe, id: 3), 400, nil), (Frame(.subscribe, id: 3, json: "[]"), 400, nil),
            (Frame(.subscribe, id: 3, json: #"{"topic":"t"}"#), 400, nil),
            (Frame(.subscribe, id: 3, json: "{group:'g',topic:'t'}"), 200, ""),
            (Frame(.unsubscribe, id: 3, json: #"{"group":"g","topic":"t"}"#), 500, "unsubscribe failed"),
        ] as [(Frame, Int16?, String?)])
    func answers(frame: Frame, status: Int16?, text: String?) {
        let worker = SimulatedWorker()
        let client = worker.connect()
        client.send(frame)
        let answer = client.received().first
        #expect(answer?.status == status)
        if let text, !text.isEmpty { #expect(answer?.text == text) }
        #expect(worker.closed.isEmpty)
    }

    @Test("A second equal subscription is refused, `*` and no key being equal; after unsubscribing it is taken again")
    func subscriptions() {
        let worker = SimulatedWorker()
        let client = worker.connect()
        #expect(client.subscribe("t", group: "g") == 200)
        #expect(client.subscribe("t", group: "g", key: "*") == 500)
        #expect(client.subscribe("t", group: "g", key: "k") == 200)
        let unsubscribe = Frame(.unsubscribe, id: 4, format: .json, value: SubscribeBody(group: "g", topic: "t", key: "*").encoded())
        #expect(client.ask(unsubscribe)?.status == 200)
        #expect(client.ask(unsubscribe)?.text == "unsubscribe failed")
        #expect(client.subscribe("t", group: "g") == 200)
        #expect(worker.engines[0].output.figures.subscriptions == 2)
        worker.disconnect(client.id)
        #expect(worker.engines[0].output.figures.subscriptions == 0)
    }

    @Test("Subscriptions, topics and groups are bounded")
    func bounds() {
        let worker = SimulatedWorker(limits: RoutingLimits(subscriptions: 2, topic: 8, group: 4))
        let client = worker.connect()
        #expect(client.subscribe("123456789", group: "g") == 400)
        #expect(client.subscribe("12345678", group: "12345") == 400)
        #expect(client.subscribe("12345678", group: "1234") == 200)
        #expect(client.subscribe("t", group: "g") == 200)
        #expect(client.subscribe("u", group: "g") == 429)
    }

    @Test("A compressed control frame is refused")
    func compressedControl() {
        let client = SimulatedWorker().connect()
        let body = SubscribeBody(group: "g", topic: "t").encoded()
        #expect(client.ask(Frame(.subscribe, id: 1, compression: .gzip, format: .json, value: body))?.status == 400)
    }
}
