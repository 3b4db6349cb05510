import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("A master asks for retained messages")
struct RetainedQuestionsTests {
    /// Asks, and takes what goes to each worker.
    private func ask(_ script: MasterEngineTests.Script, _ request: RetainedRequest) throws -> (id: Int64, [UInt32: RetainedRequestBody]) {
        let id = try script.engine.ask(request, now: script.now)
        var sent: [UInt32: RetainedRequestBody] = [:]
        for case .send(let to, let bytes) in script.engine.actions {
            try bytes.withUnsafeBytes { bytes in
                guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
                let frame = Frame(view, in: start)
                #expect(frame.id == id && frame.type == .binding && frame.name == RetainedRequestBody.frameName)
                sent[UInt32(to.slot)] = try frame.value.withUnsafeBytes { try RetainedRequestBody(key: frame.key, decoding: $0) }
            }
        }
        script.engine.clear()
        return (id, sent)
    }

    private func answer(_ script: MasterEngineTests.Script, _ id: Int64, _ body: RetainedAnswerBody, on number: UInt32) {
        var frame = Frame(acknowledging: id)
        (frame.format, frame.value) = (.json, body.encoded())
        #expect(script.ask(frame, on: number) == nil)
    }

    private func record(_ topic: String, _ worker: String = "") -> RetainedRecord {
        RetainedRecord(topic: topic, worker: worker, bytes: 1, qos: 1, storedAt: 5)
    }

    private func outcomes(_ script: MasterEngineTests.Script) -> [RetainedOutcome] { script.engine.takeRetained().map(\.outcome) }

    private func listed(_ outcomes: [RetainedOutcome]) -> RetainedList? {
        if case .list(let list)? = outcomes.first { list } else { nil }
    }

    @Test("Workers of Shunt's are asked, and their answers are one list; message-channel's get nothing")
    func lists() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let (id, sent) = try ask(script, .list(filter: "t/#", limit: 2))
        #expect(Set(sent.keys) == [1, 2])
        answer(script, id, .list([record("t/1"), record("t/3")], total: 2, hasMore: false), on: 1)
        // Nobody else's answer counts, nor an answer to another question.
        answer(script, id, .list([record("t/0")], total: 1, hasMore: false), on: 3)
        answer(script, id + 1, .list([record("t/0")], total: 1, hasMore: false), on: 2)
        #expect(outcomes(script) == [])
        answer(script, id, .list([record("t/2")], total: 7, hasMore: true), on: 2)
        let list = try #require(listed(outcomes(script)))
        #expect(list.retained == [record("t/1", "a:1"), record("t/2", "b:1")])
        #expect(list.total == 9 && list.limit == 2 && list.missing == [] && list.nextAfter == "b:1 t/2")
    }

    @Test("A list goes on behind the place where it ended: of one topic, workers are in order")
    func goesOn() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let (_, sent) = try ask(script, .list(filter: "#", after: RetainedPlace("a:1 t"), limit: 5))
        func query(_ number: UInt32) -> RetainedQuery? { if case .list(let query)? = sent[number] { query } else { nil } }
        #expect(query(1)?.after == "t" && query(1)?.includesAfter == false && query(1)?.limit == 5)
        #expect(query(2)?.after == "t" && query(2)?.includesAfter == true)
    }

    @Test("Who refuses, goes away or says nothing for two seconds is named as missing")
    func missing() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let (id, _) = try ask(script, .clear(filter: "#"))
        answer(script, id, .cleared(3), on: 1)
        script.wait(1)
        #expect(outcomes(script) == [])
        script.wait(1)
        #expect(outcomes(script) == [.cleared(ClearedRetained(cleared: 3, missing: ["b:1"]))])
        let (second, _) = try ask(script, .clear(filter: "#"))
        _ = script.ask(Frame(acknowledging: second, ShuntError(.memoryLimit, "no")), on: 1)
        script.close(2)
        #expect(outcomes(script) == [.cleared(ClearedRetained(cleared: 0, missing: ["a:1", "b:1"]))])
        // The worker without a connection is not asked, and is missing.
        let (third, sent) = try ask(script, .clear(filter: "#"))
        #expect(Set(sent.keys) == [1])
        answer(script, third, .list([record("x")], total: 1, hasMore: false), on: 1)
        #expect(outcomes(script) == [.cleared(ClearedRetained(cleared: 0, missing: ["a:1", "b:1"]))], "an answer to something else")
    }

    @Test("Wrong filters and too many questions are refused; without workers the list is empty")
    func refusals() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        #expect(throws: ShuntError.self) { try script.engine.ask(.clear(filter: "a/#/b"), now: script.now) }
        for _ in 0..<RetainedQuestions.capacity { _ = try ask(script, .list(filter: "#")) }
        #expect(throws: ShuntError.self) { try script.engine.ask(.list(filter: "#"), now: script.now) }
        script.wait(2)
        #expect(outcomes(script).count == RetainedQuestions.capacity)
        let alone = MasterEngineTests.Script()
        _ = try ask(alone, .list(filter: "#"))
        let list = try #require(listed(outcomes(alone)))
        #expect(list.retained == [] && list.missing == [] && list.nextAfter == nil)
    }

    @Test("A worker's loops list and clear what is at home on them; what replaces a message meanwhile stays")
    func loops() {
        let worker = SimulatedWorker(loops: 2)
        let producer = SimulatedMQTTClient(worker, "producer")
        for number in 0..<20 { producer.publish("a/\(number)", "12345", qos: .atLeastOnce, isRetained: true) }
        producer.publish("b", "x", isRetained: true)
        let topics = (0..<20).map { "a/\($0)" }.sorted()
        guard case .list(let messages, 20, false) = worker.answer(.list(RetainedQuery(filter: "a/+"))) else {
            Issue.record("no list of 20")
            return
        }
        #expect(messages.map(\.topic) == topics)
        #expect(messages.allSatisfy { $0.bytes == 5 && $0.qos == 1 && $0.worker.isEmpty })
        var clearings = worker.engines.map { $0.beginClearing("a/#", now: worker.now) }
        producer.publish("a/7", "new", isRetained: true)
        for index in clearings.indices { while !clearings[index].isOver { worker.engines[index].goOn(&clearings[index]) } }
        #expect(clearings.reduce(0) { $0 + $1.cleared } == 19)
        let consumer = SimulatedMQTTClient(worker, "consumer")
        _ = consumer.subscribe("#")
        #expect(Set(consumer.messages()) == ["a/7: new (retained)", "b: x (retained)"])
    }

    @Test("A worker hears a master of Shunt's, refuses what it can't read, and sends no frame that the master does not take")
    func link() {
        var link = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        _ = link.tick(now: 0)
        _ = link.connected(now: 0)
        let question = Frame.retained(id: 77, .clear(filter: "#"))
        #expect(link.received(question, now: 0) == [], "the master has not said that it is Shunt's")
        guard case .send(let bytes)? = link.heartbeat(HeartbeatBody(serverPort: 1, createdTime: 0), now: 0).first else { return }
        let beat = bytes.withUnsafeBytes { Int64(bigEndian: $0.loadUnaligned(fromByteOffset: 1, as: Int64.self)) }
        _ = link.received(Frame(acknowledging: beat, text: "shunt"), now: 0)
        #expect(link.received(question, now: 0) == [.asked(id: 77, .clear(filter: "#"))])
        #expect(link.received(Frame(.binding, id: 78), now: 0) == [])
        #expect(link.received(Frame(.binding, id: 79, json: "{}", name: "retained", key: "LIST"), now: 0).count == 1)
        #expect(link.answer(77, RetainedAnswerBody.cleared(1).encoded(), limit: 1024).count == 1)
        let long = RetainedAnswerBody.list([record(String(repeating: "x", count: 2000))], total: 1, hasMore: false)
        #expect(link.answer(77, long.encoded(), limit: 1024) == link.refuse(77, ShuntError(.frameTooLarge, "the answer is longer than limits.frame")))
    }
}
