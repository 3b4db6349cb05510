import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntClient

@Suite("A producer", .timeLimit(.minutes(2)))
struct ProducerTests {
    @Test("sends topic, key, format and payload, and returns when the worker has acknowledged")
    func sends() async throws {
        let worker = try await FakeServer.worker()
        let producer = try await Producer.connect(configuration(.workers([worker.address])))
        try await producer.send(topic: "orders/1", payload: Array(#"{"a":1}"#.utf8), format: .json, key: "k")
        let frame = try #require(worker.received.first)
        #expect(frame == Frame(.message, id: frame.id, json: #"{"a":1}"#, name: "orders/1", key: "k"))
        producer.close()
        await worker.stop()
    }

    @Test("finds the least loaded worker by a master, and passes over masters that are away")
    func throughMasters() async throws {
        let (first, second) = (try await FakeServer.worker(), try await FakeServer.worker())
        let master = try await FakeServer.master(Box([second.address, first.address]))
        let producer = try await Producer.connect(configuration(.masters([try FakeServer.deadAddress(), master.address])))
        #expect(producer.worker == second.address)
        try await producer.send(topic: "t", payload: [1])
        #expect(first.received.isEmpty)
        #expect(master.received.first?.text == "true")
        await master.waitForConnections(0)
        producer.close()
    }

    @Test(
        "reports the server's status and text for a refused message, with the code of the one list",
        arguments: [
            (Int16(500), "The worker subscriber is empty", ErrorCode.topicNoSubscriber),
            (400, "Bad Request", .refused), (403, "no order id", .ruleRejected), (413, "too large", .frameTooLarge),
        ])
    func refused(status: Int16, text: String, code: ShuntCore.ErrorCode) async throws {
        let worker = try await FakeServer.refusing(status, text)
        let producer = try await Producer.connect(configuration(.workers([worker.address])))
        let failure = await failureOf { () throws(SendFailure) in try await producer.send(topic: "t", payload: [1]) }
        #expect(failure?.outcome == .refused(Refusal(status: Int(status), text: text)))
        #expect(failure?.error.code == code)
        producer.close()
    }

    @Test(
        "does not send what the protocol can not carry",
        arguments: [
            (OutgoingMessage(topic: "", text: "x"), ErrorCode.topicInvalid), (OutgoingMessage(topic: "t", text: ""), .requestInvalid),
            (OutgoingMessage(topic: "t", payload: [1], format: .image), .requestInvalid),
            (OutgoingMessage(topic: "t", payload: Array(repeating: 1, count: 80)), .frameTooLarge),
        ])
    func unsendable(message: OutgoingMessage, code: ShuntCore.ErrorCode) async throws {
        let worker = try await FakeServer.worker()
        var settings = configuration(.workers([worker.address]))
        settings.connection.frameLimit = 100
        let producer = try await Producer.connect(settings)
        let failure = await failureOf { () throws(SendFailure) in try await producer.send(message) }
        #expect(failure?.outcome == .notSent)
        #expect(failure?.error.code == code)
        #expect(worker.received.isEmpty)
        producer.close()
    }

    @Test("a pipeline keeps the order, stays within the window, and counts every outcome")
    func pipeline() async throws {
        let (largest, waiting) = (Box(0), Box<[Frame]>([]))
        // Answers five at a time, last first: more than five are never on the way with a window of five.
        let worker = try await FakeServer.start { frame in
            waiting.change { $0.append(frame) }
            largest.change { $0 = max($0, waiting.value.count) }
            guard waiting.value.count == 5 else { return [] }
            let frames = waiting.value
            waiting.value = []
            return frames.reversed().map { frame in
                Frame(acknowledging: frame.id, status: frame.text.hasSuffix("7") ? 403 : 200)
            }
        }
        let producer = try await Producer.connect(configuration(.workers([worker.address]), window: 5))
        let failed = Box<[Int]>([])
        let pipeline = producer.pipeline { number, _ in failed.change { $0.append(number) } }
        for number in 0..<100 { await pipeline.send(OutgoingMessage(topic: "t", text: "\(number)")) }
        let totals = await pipeline.finish()
        #expect(totals.submitted == 100 && totals.acknowledged == 90 && totals.refused == 10)
        #expect(failed.value.sorted() == Array(stride(from: 7, to: 100, by: 10)))
        #expect(worker.received.map(\.text) == (0..<100).map(String.init))
        #expect(largest.value == 5)
        producer.close()
    }

    @Test("concurrent calls each get their own answer")
    func concurrent() async throws {
        let worker = try await FakeServer.start { frame in
            [Frame(acknowledging: frame.id, status: frame.text.hasSuffix("3") ? 403 : 200, text: frame.text)]
        }
        let producer = try await Producer.connect(configuration(.workers([worker.address]), window: 7))
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let failure = await failureOf { () throws(SendFailure) in
                        try await producer.send(OutgoingMessage(topic: "t", text: "\(number)"))
                    }
                    let refusal = Refusal(status: 403, text: "\(number)")
                    return failure?.outcome == (number % 10 == 3 ? .refused(refusal) : nil)
                }
            }
            for await isRight in group { #expect(isRight) }
        }
        producer.close()
    }

    @Test("at most once: what had no answer when the connection went has no known outcome, and the next worker is used")
    func reconnects() async throws {
        let first = try await FakeServer.start { _ in nil }
        let second = try await FakeServer.worker()
        let master = try await FakeServer.master(Box([first.address, second.address]))
        let producer = try await Producer.connect(configuration(.masters([master.address])))
        let failure = await failureOf { () throws(SendFailure) in try await producer.send(topic: "t", payload: [1]) }
        #expect(failure?.outcome == .unknown)
        #expect(failure?.error.code == .connectionLost)
        await first.stop()
        try await producer.send(topic: "t", payload: [2])
        #expect(second.received.map(\.value) == [[2]])
        producer.close()
    }

    @Test("at least once, if asked: what had no answer goes out again, in order, before all else")
    func resends() async throws {
        let silent = try await FakeServer.silentWorker()
        let second = try await FakeServer.worker()
        let list = Box([silent.address])
        let master = try await FakeServer.master(list)
        var settings = configuration(.masters([master.address]), window: 10)
        settings.resends = true
        let producer = try await Producer.connect(settings)
        let pipeline = producer.pipeline()
        for number in 0..<10 { await pipeline.send(OutgoingMessage(topic: "t", text: "\(number)")) }
        await silent.waitUntil { $0.count == 10 }
        list.value = [second.address]
        await silent.stop()
        for number in 10..<20 { await pipeline.send(OutgoingMessage(topic: "t", text: "\(number)")) }
        #expect(await pipeline.finish().acknowledged == 20)
        #expect(second.received.map(\.text) == (0..<20).map(String.init))
        producer.close()
    }

    @Test("a worker that answers nothing is given up")
    func silentWorker() async throws {
        let worker = try await FakeServer.silentWorker()
        var settings = configuration(.workers([worker.address]))
        settings.acknowledgementTimeout = .milliseconds(50)
        let producer = try await Producer.connect(settings)
        let failure = await failureOf { () throws(SendFailure) in try await producer.send(topic: "t", payload: [1]) }
        #expect(failure?.outcome == .unknown)
        #expect(failure?.error.message == "the worker answers nothing")
        producer.close()
    }

    @Test("without any server says so, and which one was tried last")
    func unreachable() async throws {
        let address = try FakeServer.deadAddress()
        for route in [ClientRoute.workers([address]), .masters([address])] {
            let settings = ProducerConfiguration(route: route, connection: options(patience: .milliseconds(20)))
            let error = await #expect(throws: ShuntError.self) { _ = try await Producer.connect(settings) }
            #expect(error?.code == .addressUnavailable)
            #expect(error?.location == address.description)
        }
    }

    @Test("with a master that knows no worker says that")
    func noWorkers() async throws {
        let master = try await FakeServer.master(Box([]))
        let settings = ProducerConfiguration(route: .masters([master.address]), connection: options(patience: .milliseconds(20)))
        let error = await #expect(throws: ShuntError.self) { _ = try await Producer.connect(settings) }
        #expect(error?.code == .workerNone)
        await master.stop()
    }

    @Test("gives up what waits when no server comes back within its patience, and goes on when one does")
    func patience() async throws {
        let worker = try await FakeServer.worker()
        let producer = try await Producer.connect(
            ProducerConfiguration(route: .workers([worker.address]), connection: options(patience: .milliseconds(30))))
        await worker.stop()
        // The first may have been on its way when the connection went.
        _ = await failureOf { () throws(SendFailure) in try await producer.send(topic: "t", payload: [1]) }
        let failure = await failureOf { () throws(SendFailure) in try await producer.send(topic: "t", payload: [1]) }
        #expect(failure?.outcome == .notSent)
        let again = try await FakeServer.worker(port: worker.address.port)
        while producer.worker == nil {
            _ = await failureOf { () throws(SendFailure) in try await producer.send(topic: "t", payload: [3]) }
        }
        try await producer.send(topic: "t", payload: [4])
        #expect(again.received.last?.value == [4])
        producer.close()
    }

    @Test("waits longer for a worker that was lost than for the first, if it is told to")
    func returnPatience() async throws {
        let worker = try await FakeServer.worker()
        var settings = ProducerConfiguration(
            route: .workers([worker.address]), connection: options(patience: .milliseconds(1)), returnPatience: .seconds(20))
        let producer = try await Producer.connect(settings)
        await worker.stop()
        while producer.worker != nil { await Task.yield() }
        let sending = Task { await failureOf { () throws(SendFailure) in try await producer.send(topic: "t", payload: [1]) } }
        let again = try await FakeServer.worker(port: worker.address.port)
        #expect(await sending.value == nil)
        #expect(again.received.map(\.value) == [[1]])
        producer.close()
        await again.stop()
        settings.returnPatience = nil
        await #expect(throws: ShuntError.self) { _ = try await Producer.connect(settings) }
    }

    @Test(
        "of a server that speaks something else says that this is no exchange port",
        arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "220 smtp\r\nand more of it\r\n"])
    func noExchangePort(text: String) async throws {
        let box = Box<FakeServer?>(nil)
        let server = try await FakeServer.start { _ in
            box.value?.sendBytes(Array(text.utf8))
            return []
        }
        box.value = server
        let settings = ProducerConfiguration(route: .masters([server.address]), connection: options(patience: .milliseconds(1)))
        let error = await #expect(throws: ShuntError.self) { _ = try await Producer.connect(settings) }
        #expect(error?.code == .addressUnavailable)
        #expect(error?.message == "what answers there does not speak the exchange protocol")
        await server.stop()
    }

    @Test("that is closed fails what waits, and takes nothing more")
    func closes() async throws {
        let worker = try await FakeServer.silentWorker()
        let producer = try await Producer.connect(configuration(.workers([worker.address]), window: 1))
        let pipeline = producer.pipeline()
        await pipeline.send(OutgoingMessage(topic: "t", text: "1"))
        let waiting = Task { await pipeline.send(OutgoingMessage(topic: "t", text: "2")) }
        await worker.waitUntil { $0.count == 1 }
        producer.close()
        await waiting.value
        let totals = await pipeline.finish()
        #expect(totals.unknown == 1 && totals.notSent == 1)
        let failure = await failureOf { () throws(SendFailure) in try await producer.send(topic: "t", payload: [1]) }
        #expect(failure?.outcome == .notSent)
        await worker.waitForConnections(0)
    }

    private func configuration(_ route: ClientRoute, window: Int = 1000) -> ProducerConfiguration {
        ProducerConfiguration(route: route, connection: options(), window: window)
    }
}

func failureOf(_ body: () async throws(SendFailure) -> Void) async -> SendFailure? {
    do throws(SendFailure) {
        try await body()
        return nil
    } catch {
        return error
    }
}
