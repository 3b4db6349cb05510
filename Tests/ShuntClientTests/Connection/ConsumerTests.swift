import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntClient

@Suite("A consumer", .timeLimit(.minutes(2)))
struct ConsumerTests {
    @Test("subscribes with topic, group and key, and yields messages in order with all their parts")
    func receives() async throws {
        let worker = try await FakeServer.worker()
        let consumer = try await Consumer.subscribe(configuration(.workers([worker.address])))
        let request = try #require(worker.received.first)
        #expect(request.type == .subscribe)
        #expect(request.text == #"{"group":"g","key":"k","topic":"orders/+"}"#)
        worker.send([
            Frame(.message, id: 5, json: "{}", name: "orders/1", key: "k"), Frame(acknowledging: 77),
            Frame(.message, id: 6, compression: .gzip, value: [1, 2], name: "orders/2"),
        ])
        var iterator = consumer.makeAsyncIterator()
        let json = ReceivedMessage(topic: "orders/1", key: "k", payload: Array("{}".utf8), format: .json, id: 5)
        #expect(try await iterator.next() == json)
        #expect(try await iterator.next() == ReceivedMessage(topic: "orders/2", payload: [1, 2], compression: .gzip, id: 6))
        consumer.close()
        #expect(try await iterator.next() == nil)
        await worker.waitForConnections(0)
    }

    @Test("connects to every worker that the master lists, and to new ones as they come")
    func allWorkers() async throws {
        let (first, second, third) = (try await FakeServer.worker(), try await FakeServer.worker(), try await FakeServer.worker())
        let list = Box([first.address, second.address])
        let master = try await FakeServer.master(list)
        let consumer = try await Consumer.subscribe(configuration(.masters([master.address])))
        await first.waitForConnections(1)
        await second.waitForConnections(1)
        list.value = [second.address, third.address]
        await third.waitUntil { $0.contains { $0.type == .subscribe } }
        // Not listed any more, but it answers.
        #expect(first.connectionCount == 1)
        first.send([Frame(.message, id: 1, text: "a", name: "t")])
        third.send([Frame(.message, id: 1, text: "b", name: "t")])
        var payloads: Set<String> = []
        for try await message in consumer {
            payloads.insert(String(decoding: message.payload, as: UTF8.self))
            if payloads.count == 2 { break }
        }
        #expect(payloads == ["a", "b"])
        consumer.close()
    }

    @Test("comes back to a worker that was lost, subscribes again, and tells so")
    func comesBack() async throws {
        let worker = try await FakeServer.worker()
        let events = Box<[ConsumerEvent]>([])
        let consumer = try await Consumer.subscribe(configuration(.workers([worker.address]))) { event in
            events.change { $0.append(event) }
        }
        await worker.hangUp()
        await worker.waitUntil { $0.filter { $0.type == .subscribe }.count >= 2 }
        worker.send([Frame(.message, id: 1, text: "a", name: "t")])
        #expect(try await consumer.nextBatch()?.count == 1)
        let known = events.value
        #expect(known.first == .subscribed(worker.address, isBack: false))
        #expect(known.contains { if case .lost(worker.address, _) = $0 { true } else { false } })
        consumer.close()
    }

    @Test("keeps its workers while the master is away, and says when it is back")
    func masterAway() async throws {
        let (first, second) = (try await FakeServer.worker(), try await FakeServer.worker())
        let master = try await FakeServer.master(Box([first.address]))
        let events = Box<[ConsumerEvent]>([])
        let consumer = try await Consumer.subscribe(configuration(.masters([master.address]))) { event in
            events.change { $0.append(event) }
        }
        await master.stop()
        let again = try await FakeServer.master(Box([first.address, second.address]))
        #expect(again.address != master.address)
        first.send([Frame(.message, id: 1, text: "a", name: "t")])
        #expect(try await consumer.nextBatch()?.count == 1)
        let back = try await FakeServer.start(port: master.address.port) { frame in
            [Frame(acknowledging: frame.id, text: "\(first.address),\(second.address)")]
        }
        await second.waitUntil { $0.contains { $0.type == .subscribe } }
        #expect(first.connectionCount == 1)
        consumer.close()
        await back.stop()
    }

    @Test(
        "a subscription that is refused for good ends it with the server's words",
        arguments: [
            (Int16(403), ErrorCode.ruleRejected), (400, .refused),
        ])
    func refused(status: Int16, code: ShuntCore.ErrorCode) async throws {
        let worker = try await FakeServer.refusing(status, "not for you")
        let error = await #expect(throws: ShuntError.self) {
            _ = try await Consumer.subscribe(configuration(.workers([worker.address])))
        }
        #expect(error?.code == code)
        #expect(error?.message == "refused with status \(status): not for you")
    }

    @Test("without any server says so after its patience")
    func unreachable() async throws {
        let address = try FakeServer.deadAddress()
        for route in [ClientRoute.workers([address]), .masters([address])] {
            var settings = configuration(route)
            settings.connection.patience = .milliseconds(50)
            let error = await #expect(throws: ShuntError.self) { _ = try await Consumer.subscribe(settings) }
            #expect(error?.code == .addressUnavailable)
        }
    }

    @Test("stops reading when the application is slow: the worker can not write on, and nothing is lost")
    func backpressure() async throws {
        let worker = try await FakeServer.worker()
        var settings = configuration(.workers([worker.address]))
        settings.bufferedMessages = 10
        let consumer = try await Consumer.subscribe(settings)
        let payload = Array(repeating: UInt8(ascii: "x"), count: 10_000)
        let count = 3000
        worker.send((0..<count).map { Frame(.message, id: Int64($0), value: payload, name: "t") })
        // 30 MB: all of it fits into no socket buffer, so what arrives unasked stays below.
        var (received, largest) = (0, 0)
        while received < count, let batch = try await consumer.nextBatch() {
            #expect(batch.map(\.id) == (received..<received + batch.count).map(Int64.init))
            received += batch.count
            largest = max(largest, batch.count)
        }
        #expect(received == count)
        #expect(largest < 10 + 60)
        consumer.close()
    }

    @Test("cancelling the task that iterates ends the sequence")
    func cancelled() async throws {
        let worker = try await FakeServer.worker()
        let consumer = try await Consumer.subscribe(configuration(.workers([worker.address])))
        let iterating = Task {
            var count = 0
            for try await _ in consumer { count += 1 }
            return count
        }
        iterating.cancel()
        #expect(try await iterating.value == 0)
        consumer.close()
    }

    @Test("asks an idle worker with PING, and leaves one that does not answer")
    func idle() async throws {
        let hasSubscriber = Box(false)
        let worker = try await FakeServer.start { frame in
            if frame.type == .subscribe { hasSubscriber.value = true }
            return frame.type == .ping && hasSubscriber.value ? [] : [Frame(acknowledging: frame.id)]
        }
        var settings = configuration(.workers([worker.address]))
        settings.connection.pingAfter = .milliseconds(20)
        settings.connection.pingTimeout = .milliseconds(50)
        let events = Box<[ConsumerEvent]>([])
        let consumer = try await Consumer.subscribe(settings) { event in events.change { $0.append(event) } }
        await worker.waitUntil { $0.filter { $0.type == .subscribe }.count >= 2 }
        #expect(worker.received.map(\.type).drop { $0 != .subscribe }.prefix(2) == [.subscribe, .ping])
        #expect(events.value.contains { if case .lost(_, let error) = $0 { error.message.contains("PING") } else { false } })
        consumer.close()
    }

    @Test("a worker that sends no frames is left, and the reason told")
    func malformed() async throws {
        let events = Box<[ConsumerEvent]>([])
        let worker = try await FakeServer.worker()
        let consumer = try await Consumer.subscribe(configuration(.workers([worker.address]))) { event in
            events.change { $0.append(event) }
        }
        worker.sendBytes(Array(repeating: 0x20, count: 17))
        await worker.waitUntil { $0.filter { $0.type == .subscribe }.count >= 2 }
        #expect(events.value.contains { if case .lost(_, let error) = $0 { error.code == .frameTooLarge } else { false } })
        consumer.close()
    }

    private func configuration(_ route: ClientRoute) -> ConsumerConfiguration {
        ConsumerConfiguration(
            route: route, topic: "orders/+", group: "g", key: "k", connection: options(), refresh: .milliseconds(20))
    }
}
