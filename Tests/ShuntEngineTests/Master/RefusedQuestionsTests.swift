import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("A master asks for refused clients")
struct RefusedQuestionsTests {
    private func record(_ user: String, at: Double, worker: String = "") -> RefusedRecord {
        RefusedRecord(address: "10.0.0.7", user: user, reason: "password", listener: "mqtt", worker: worker, count: 2, firstAt: 1.5, lastAt: at)
    }

    @Test("Bodies say what they were made of; what is no such object is refused")
    func bodies() throws {
        for query in [RefusedQuery(limit: 5), RefusedQuery(limit: 500, addresses: AddressRange("10.0.0.0/8"), user: "ü \"x\"")] {
            let read = try RefusedRequestBody(query).encoded().withUnsafeBytes { try RefusedRequestBody(decoding: $0) }
            #expect(read.query == query)
        }
        let answer = RefusedAnswerBody([record("ann", at: 2.25), record("", at: 3)], total: 9)
        #expect(try answer.encoded().withUnsafeBytes { try RefusedAnswerBody(decoding: $0) } == answer)
        for text in ["", "[]", #"{"limit": 1, "addresses": "x"}"#, #"{"limit": "a"}"#] {
            #expect(throws: ShuntError.self, "\(text)") { try Array(text.utf8).withUnsafeBytes { try RefusedRequestBody(decoding: $0) } }
        }
        for text in ["{}", #"{"refused": [1], "total": 1}"#, #"{"refused": [{"address": "x"}], "total": 1}"#] {
            #expect(throws: ShuntError.self, "\(text)") { try Array(text.utf8).withUnsafeBytes { try RefusedAnswerBody(decoding: $0) } }
        }
    }

    @Test("Workers of Shunt's are asked, and their answers are one list; who refuses or says nothing is missing")
    func asks() throws {
        let script = MasterEngineTests.Script()
        script.beat("a", on: 1)
        script.beat("b", on: 2)
        script.beat("c", on: 3)
        script.beat("j", on: 4, isShunt: false)
        let id = try script.engine.ask(RefusedQuery(limit: 2, user: "ann"), now: script.now)
        var asked: Set<UInt32> = []
        for case .send(let to, let bytes) in script.engine.actions {
            try bytes.withUnsafeBytes { bytes in
                guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
                let frame = Frame(view, in: start)
                let query = try frame.value.withUnsafeBytes { try RefusedRequestBody(decoding: $0) }.query
                #expect(frame.id == id && frame.name == RefusedRequestBody.frameName && query == RefusedQuery(limit: 2, user: "ann"))
                asked.insert(UInt32(to.slot))
            }
        }
        #expect(asked == [1, 2, 3])
        script.engine.clear()
        func answer(_ body: RefusedAnswerBody, on number: UInt32) {
            var frame = Frame(acknowledging: id)
            (frame.format, frame.value) = (.json, body.encoded())
            #expect(script.ask(frame, on: number) == nil)
        }
        answer(RefusedAnswerBody([record("ann", at: 5), record("ann", at: 1)], total: 7), on: 1)
        answer(RefusedAnswerBody([record("ann", at: 9)], total: 1), on: 2)
        #expect(script.engine.takeRefused().isEmpty)
        script.wait(2)
        let ended = script.engine.takeRefused()
        let list = try #require(ended.first?.list)
        #expect(ended.count == 1 && ended.first?.id == id)
        #expect(list.refused == [record("ann", at: 9, worker: "b:1"), record("ann", at: 5, worker: "a:1")])
        #expect(list.total == 8 && list.limit == 2 && list.missing == ["c:1"])
    }

    @Test("So many operators may ask at a time")
    func capacity() throws {
        let script = MasterEngineTests.Script()
        script.beat("a", on: 1)
        for _ in 0..<WorkerQuestions<RefusedList>.capacity { _ = try script.engine.ask(RefusedQuery(), now: script.now) }
        #expect(throws: ShuntError.self) { try script.engine.ask(RefusedQuery(), now: script.now) }
        script.close(1)
        #expect(script.engine.takeRefused().allSatisfy { $0.list.missing == ["a:1"] })
    }

    @Test("A worker hears the question from a master of Shunt's")
    func link() {
        var link = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        _ = link.tick(now: 0)
        _ = link.connected(now: 0)
        guard case .send(let bytes)? = link.heartbeat(HeartbeatBody(serverPort: 1, createdTime: 0), now: 0).first else { return }
        let beat = bytes.withUnsafeBytes { Int64(bigEndian: $0.loadUnaligned(fromByteOffset: 1, as: Int64.self)) }
        _ = link.received(Frame(acknowledging: beat, text: "shunt"), now: 0)
        let query = RefusedQuery(limit: 3)
        #expect(link.received(Frame.refused(id: 77, RefusedRequestBody(query)), now: 0) == [.askedRefused(id: 77, query)])
        guard case .send? = link.received(Frame(.binding, id: 79, json: "[]", name: "refused"), now: 0).first else {
            Issue.record("what cannot be read is answered")
            return
        }
    }
}
