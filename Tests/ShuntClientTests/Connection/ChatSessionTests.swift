import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntClient

@Suite("A chat session", .timeLimit(.minutes(2)))
struct ChatSessionTests {
    @Test("registers its uid, joins with its name, and sends; the answers are those of the worker")
    func joins() async throws {
        let worker = try await FakeServer.worker()
        let session = try await ChatSession.join(configuration(.workers([worker.address])))
        try await session.send("hello")
        let frames = worker.received
        #expect(frames.map(\.type) == [.register, .chat, .chat])
        #expect(frames[0].text.contains(#""uid":"ann""#))
        #expect(frames[1] == Frame(.chat, id: frames[1].id, json: #"{"name":"ann","notices":true}"#, name: "c", key: "CREATE"))
        #expect(frames[2] == .chat(id: frames[2].id, .session, chat: "c", text: "hello"))
        session.close()
        await worker.waitForConnections(0)
    }

    @Test("yields what happens, in order, to the end of the chat; then nothing more can be sent")
    func events() async throws {
        let worker = try await FakeServer.worker()
        let session = try await ChatSession.join(configuration(.workers([worker.address])))
        worker.send([
            notice("joined"), .chat(id: 1, .session, chat: "c", text: "hi"), notice("left"), notice("rejoined"), notice("expired"),
            .chat(id: 2, .destroy, chat: "c"), .chat(id: 3, .session, chat: "c", text: "too late"),
        ])
        var events: [ChatEvent] = []
        for try await event in session { events.append(event) }
        let message = ChatMessage(sender: bob, payload: Array("hi".utf8))
        #expect(events == [.entered(worker.address), .joined(bob), .message(message), .left(bob), .rejoined(bob), .expired(bob), .closed])
        let failure = await failureOf { () throws(SendFailure) in try await session.send("x") }
        #expect(failure?.outcome == .notSent)
        await worker.waitForConnections(0)
    }

    @Test("follows redirects from worker to worker, and sends where the chat is")
    func redirected() async throws {
        let home = try await FakeServer.worker()
        let second = try await FakeServer.worker(refusing: .chat, 307, home.address.description)
        let first = try await FakeServer.worker(refusing: .chat, 307, second.address.description)
        let session = try await ChatSession.join(configuration(.workers([first.address])))
        try await session.send("hello")
        #expect(home.received.last?.text == "hello")
        await first.waitForConnections(0)
        await second.waitForConnections(0)
        #expect(try await session.nextBatch() == [.moved(to: second.address), .moved(to: home.address), .entered(home.address)])
        session.close()
    }

    @Test("does not run in circles: it gives up what two workers send back and forth")
    func redirectedForEver() async throws {
        let firstAddress = try FakeServer.deadAddress()
        let second = try await FakeServer.worker(refusing: .chat, 307, firstAddress.description)
        let first = try await FakeServer.start(port: firstAddress.port) { frame in
            [
                frame.type == .chat
                    ? Frame(acknowledging: frame.id, status: 307, text: second.address.description)
                    : Frame(acknowledging: frame.id)
            ]
        }
        let settings = configuration(.workers([firstAddress]), patience: .milliseconds(300))
        let error = await #expect(throws: ShuntError.self) { _ = try await ChatSession.join(settings) }
        #expect(error?.code == .chatElsewhere || error?.code == .addressUnavailable)
        #expect(first.received.filter { $0.type == .chat }.count < 50)
        await first.waitForConnections(0)
        await second.waitForConnections(0)
    }

    @Test(
        "that the worker refuses says why",
        arguments: [
            (Int16(409), "the chat has 2 members", ErrorCode.chatFull), (403, "not you", .ruleRejected),
        ])
    func refused(status: Int16, text: String, code: ShuntCore.ErrorCode) async throws {
        let worker = try await FakeServer.worker(refusing: .chat, status, text)
        let error = await #expect(throws: ShuntError.self) {
            _ = try await ChatSession.join(configuration(.workers([worker.address])))
        }
        #expect(error?.code == code)
        #expect(error?.message == "refused with status \(status): \(text)")
        await worker.waitForConnections(0)
    }

    @Test("comes back to its worker when that has restarted, joins again, and sends what was not acknowledged, once, in order")
    func restart() async throws {
        // Acknowledges all but what contains `lost`.
        let worker = try await FakeServer.start { $0.text.contains("lost") ? [] : [Frame(acknowledging: $0.id)] }
        let session = try await ChatSession.join(configuration(.workers([worker.address])))
        try await session.send("acknowledged")
        let sends = Task {
            await withTaskGroup(of: SendFailure?.self) { group in
                group.addTask { await failureOf { () throws(SendFailure) in try await session.send("lost 1") } }
                await worker.waitUntil { $0.last?.text == "lost 1" }
                group.addTask { await failureOf { () throws(SendFailure) in try await session.send("lost 2") } }
                await worker.waitUntil { $0.last?.text == "lost 2" }
                await worker.stop()
                var failures: [SendFailure?] = []
                for await failure in group { failures.append(failure) }
                return failures
            }
        }
        var iterator = session.makeAsyncIterator()
        #expect(try await iterator.next() == .entered(worker.address))
        guard case .lost(worker.address, _)? = try await iterator.next() else {
            Issue.record("the loss was not told")
            return
        }
        let again = try await FakeServer.worker(port: worker.address.port)
        #expect(try await iterator.next() == .reconnected(again.address))
        #expect(await sends.value == [nil, nil])
        #expect(again.received.map(\.type) == [.register, .chat, .chat, .chat])
        #expect(again.received.suffix(2).map(\.text) == ["lost 1", "lost 2"])
        session.close()
    }

    @Test("goes by way of the master to another worker when its own does not come back")
    func otherWorker() async throws {
        let (first, second) = (try await FakeServer.worker(), try await FakeServer.worker())
        let list = Box([first.address])
        let master = try await FakeServer.master(list)
        let session = try await ChatSession.join(configuration(.masters([master.address])))
        #expect(first.received.count == 2)
        list.value = [second.address]
        await first.stop()
        try await session.send("still here")
        #expect(second.received.map(\.type) == [.register, .chat, .chat])
        session.close()
    }

    @Test("moves when the worker tells that the chat has")
    func moved() async throws {
        let (first, second) = (try await FakeServer.worker(), try await FakeServer.worker())
        let session = try await ChatSession.join(configuration(.workers([first.address])))
        let body = ChatNoticeBody(event: "moved", to: second.address.description)
        first.send([Frame(.chat, id: 1, format: .json, value: body.encoded(), name: "c", key: "NOTICE")])
        var iterator = session.makeAsyncIterator()
        #expect(try await iterator.next() == .entered(first.address))
        #expect(try await iterator.next() == .moved(to: second.address))
        #expect(try await iterator.next() == .reconnected(second.address))
        await first.waitForConnections(0)
        session.close()
    }

    @Test("ends with the reason when its worker stays away longer than its patience")
    func givesUp() async throws {
        let worker = try await FakeServer.worker()
        var settings = configuration(.workers([worker.address]))
        settings.returnPatience = .milliseconds(50)
        let session = try await ChatSession.join(settings)
        await worker.stop()
        let error = await #expect(throws: ShuntError.self) { for try await _ in session {} }
        #expect(error?.code == .addressUnavailable)
        let failure = await failureOf { () throws(SendFailure) in try await session.send("x") }
        #expect(failure?.outcome == .notSent)
    }

    @Test("destroys the chat, and is over then")
    func destroys() async throws {
        let worker = try await FakeServer.worker()
        let session = try await ChatSession.join(configuration(.workers([worker.address])))
        try await session.destroy()
        #expect(worker.received.last?.key == "DESTROY")
        #expect(try await session.nextBatch() == [.entered(worker.address)])
        #expect(try await session.nextBatch() == nil)
        await worker.waitForConnections(0)
    }

    @Test(
        "leaves for good, and is over then, whatever a worker says that does not know the request",
        arguments: [
            (Int16(200), ""), (400, "the chat frame's key is unknown"),
        ])
    func leaves(status: Int16, text: String) async throws {
        let worker = try await FakeServer.start { frame in
            [frame.key == "LEAVE" ? Frame(acknowledging: frame.id, status: status, text: text) : Frame(acknowledging: frame.id)]
        }
        let session = try await ChatSession.join(configuration(.workers([worker.address])))
        await session.leave()
        #expect(worker.received.last?.key == "LEAVE" && worker.received.last?.name == "c")
        #expect(try await session.nextBatch() == [.entered(worker.address)])
        #expect(try await session.nextBatch() == nil)
        await worker.waitForConnections(0)
    }

    @Test("that leaves while its worker is lost does not wait for it for long")
    func leavesWhileLost() async throws {
        let worker = try await FakeServer.worker()
        var settings = configuration(.workers([worker.address]))
        settings.connection.replyTimeout = .milliseconds(50)
        settings.returnPatience = .seconds(3600)
        let session = try await ChatSession.join(settings)
        await worker.stop()
        await session.leave()
        while try await session.nextBatch() != nil {}
    }

    @Test("whose place another connection takes is told so, and does not fight for it")
    func replaced() async throws {
        let worker = try await FakeServer.worker()
        let session = try await ChatSession.join(configuration(.workers([worker.address])))
        worker.send([Frame(.chat, id: 1, json: #"{"event":"replaced"}"#, name: "c", key: "NOTICE")])
        var events: [ChatEvent] = []
        let error = await #expect(throws: ShuntError.self) { for try await event in session { events.append(event) } }
        #expect(error?.code == .sessionReplaced)
        #expect(events == [.entered(worker.address), .replaced])
        await worker.waitForConnections(0)
        #expect(worker.received.filter { $0.key == "CREATE" }.count == 1)
    }

    @Test(
        "registers a device of its own for each chat, which every worker takes",
        arguments: [
            ("r1", "chat-r1"), (String(repeating: "x", count: 251), "chat-" + String(repeating: "x", count: 251)),
        ])
    func device(chat: String, device: String) { #expect(ChatIdentity.device(for: chat) == device) }

    @Test("registers a device whose name has room for any chat's id")
    func longDevice() {
        let names = ["a", "b"].map { ChatIdentity.device(for: String(repeating: "ü", count: 127) + $0) }
        #expect(names.allSatisfy { $0.utf8.count <= 256 && $0.hasPrefix("chat-üü") })
        #expect(names[0] != names[1])
    }

    @Test("stops reading when the application is slow, and loses nothing")
    func backpressure() async throws {
        let worker = try await FakeServer.worker()
        var settings = configuration(.workers([worker.address]))
        settings.bufferedEvents = 10
        let session = try await ChatSession.join(settings)
        let text = String(repeating: "x", count: 10_000)
        worker.send((0..<1000).map { .chat(id: $0, .session, chat: "c", text: text) })
        var (received, largest) = (0, 0)
        while received < 1000, let batch = try await session.nextBatch() {
            received += batch.filter { if case .message = $0 { true } else { false } }.count
            largest = max(largest, batch.count)
        }
        #expect(received == 1000)
        #expect(largest < 10 + 60)
        session.close()
    }

    @Test("that is closed while it looks for its worker gives up what waits, at once")
    func closedWhileLost() async throws {
        let worker = try await FakeServer.worker()
        let session = try await ChatSession.join(configuration(.workers([worker.address])))
        await worker.stop()
        var iterator = session.makeAsyncIterator()
        #expect(try await iterator.next() == .entered(worker.address))
        guard case .lost? = try await iterator.next() else { return #expect(Bool(false), "the loss was not told") }
        let waiting = Task { await failureOf { () throws(SendFailure) in try await session.send("x") } }
        session.close()
        #expect(await waiting.value?.outcome == .notSent)
        #expect(try await iterator.next() == nil)
    }

    @Test(
        "does not begin with an id or a name that no worker takes",
        arguments: [
            ("", "ann"), (String(repeating: "x", count: 257), "ann"), ("c", ""),
        ])
    func invalid(chat: String, uid: String) async throws {
        let settings = ChatConfiguration(
            route: .workers([try FakeServer.deadAddress()]), chat: chat, identity: ChatIdentity(uid: uid))
        let error = await #expect(throws: ShuntError.self) { _ = try await ChatSession.join(settings) }
        #expect(error?.code == .chatInvalid)
    }

    private let bob = ChatPeer(uid: "2", name: "bob")

    private func notice(_ event: String) -> Frame {
        let body = ChatNoticeBody(event: event, uid: bob.uid, name: bob.name)
        return Frame(.chat, id: 9, format: .json, value: body.encoded(), name: "c", key: "NOTICE")
    }

    private func configuration(_ route: ClientRoute, patience: Duration = .seconds(20)) -> ChatConfiguration {
        ChatConfiguration(
            route: route, chat: "c", identity: ChatIdentity(uid: "ann"), connection: options(patience: patience),
            returnPatience: .seconds(20))
    }
}
