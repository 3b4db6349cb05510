import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntClient

@Suite("A device session", .timeLimit(.minutes(2)))
struct DeviceSessionTests {
    @Test("registers uid, device, tags and alias, and yields notifications with what they were sent for")
    func notifications() async throws {
        let worker = try await FakeServer.worker()
        let session = try await DeviceSession.register(configuration(.workers([worker.address])))
        let body = try #require(worker.received.first).decoding { bytes throws(ShuntError) in try RegisterBody(decoding: bytes) }
        #expect(body.uid == "ann" && body.device == "phone" && body.tags == ["driver"] && body.alias == ["a"])
        worker.send([
            .notify(id: 5, NotifyBody(message: "hi", matchTags: ["driver"])), Frame(.notify, id: 6), Frame(acknowledging: 7),
            Frame(.notify, id: 8, text: "no JSON"), .chat(id: 9, .session, chat: "c", text: "x"), .notify(id: 10, NotifyBody(message: "")),
        ])
        var notifications: [DeviceNotification] = []
        for try await notification in session {
            notifications.append(notification)
            if notifications.count == 4 { session.close() }
        }
        #expect(
            notifications == [
                DeviceNotification(message: "hi", filter: DeviceFilter(matchTags: ["driver"]), id: 5),
                DeviceNotification(message: nil, id: 6), DeviceNotification(message: "no JSON", id: 8),
                DeviceNotification(message: "", id: 10),
            ])
        await worker.waitForConnections(0)
    }

    @Test("registers at another worker when its own is lost, and tells so")
    func otherWorker() async throws {
        let (first, second) = (try await FakeServer.worker(), try await FakeServer.worker())
        let list = Box([first.address])
        let master = try await FakeServer.master(list)
        let events = Box<[DeviceEvent]>([])
        let session = try await DeviceSession.register(configuration(.masters([master.address]))) { event in
            events.change { $0.append(event) }
        }
        list.value = [second.address]
        await first.hangUp()
        await second.waitUntil { $0.map(\.type) == [.register] }
        second.send([.notify(id: 1, NotifyBody(message: "hi"))])
        #expect(try await session.nextBatch() == [DeviceNotification(message: "hi", id: 1)])
        #expect(events.value.first == .registered(first.address, isBack: false))
        #expect(events.value.last == .registered(second.address, isBack: true))
        #expect(events.value.count == 3)
        session.close()
    }

    @Test("that a rule refuses or sends elsewhere does as it is told")
    func told() async throws {
        let home = try await FakeServer.worker()
        let first = try await FakeServer.worker(refusing: .register, 307, home.address.description)
        let session = try await DeviceSession.register(configuration(.workers([first.address])))
        #expect(home.received.map(\.type) == [.register])
        session.close()
        let refusing = try await FakeServer.refusing(403, "not you")
        let error = await #expect(throws: ShuntError.self) {
            _ = try await DeviceSession.register(configuration(.workers([refusing.address])))
        }
        #expect(error?.code == .ruleRejected)
    }

    @Test("without any server says so after its patience")
    func unreachable() async throws {
        let address = try FakeServer.deadAddress()
        var settings = configuration(.masters([address]))
        settings.connection.patience = .milliseconds(30)
        let error = await #expect(throws: ShuntError.self) { _ = try await DeviceSession.register(settings) }
        #expect(error?.code == .addressUnavailable)
        #expect(error?.location == address.description)
    }

    private func configuration(_ route: ClientRoute) -> DeviceConfiguration {
        DeviceConfiguration(
            route: route, uid: "ann", device: "phone", tags: ["driver"], alias: ["a"], connection: options())
    }
}

@Suite("A device whose place is taken", .timeLimit(.minutes(2)))
struct ReplacedDeviceTests {
    @Test("is told so, and does not fight for it")
    func replaced() async throws {
        let worker = try await FakeServer.worker()
        let session = try await DeviceSession.register(
            DeviceConfiguration(route: .workers([worker.address]), uid: "ann", device: "phone", connection: options()))
        worker.send([Frame(.registered, id: 1, json: #"{"event":"replaced"}"#, name: "device")])
        let error = await #expect(throws: ShuntError.self) { for try await _ in session {} }
        #expect(error?.code == .sessionReplaced)
        await worker.waitForConnections(0)
        #expect(worker.received.count == 1)
    }
}

@Suite("A notifier", .timeLimit(.minutes(2)))
struct NotifierTests {
    @Test("sends to every worker that the master lists, and reports each worker's answer in the master's order")
    func all() async throws {
        let delivering = try await FakeServer.start { [Frame(acknowledging: $0.id, text: "3 matched, 2 sent, 1 not sent (too slow)")] }
        let native = try await FakeServer.worker()
        let none = try await FakeServer.refusing(500, "The register device live list is empty")
        let dead = try FakeServer.deadAddress()
        let workers = [delivering.address, dead, none.address, native.address]
        let master = try await FakeServer.master(Box(workers))
        let notifier = Notifier(route: .masters([dead, master.address]), connection: options(), concurrency: 2)
        let report = try await notifier.send("hi", to: DeviceFilter(uid: "ann", matchTags: ["driver"], filterAlias: ["x"]))
        #expect(report.workers.map(\.address) == workers)
        let outcomes = report.workers.map(\.outcome)
        #expect(outcomes[0] == .delivered(NotifyCounts(matched: 3, sent: 2), text: "3 matched, 2 sent, 1 not sent (too slow)"))
        if case .unreachable(let error) = outcomes[1] { #expect(error.code == .addressUnavailable) } else { Issue.record("reached") }
        #expect(outcomes[2] == .noMatch)
        #expect(outcomes[3] == .delivered(nil, text: ""))
        #expect(
            native.received.map(\.text) == [
                #"{"allEmpty":false,"filter_alias":["x"],"match_tags":["driver"],"message":"hi","uid":"ann"}"#
            ])
        for server in [delivering, native, none, master] { await server.waitForConnections(0) }
    }

    @Test("for one uid asks the master who holds its devices, and reaches those workers alone")
    func holders() async throws {
        let holder = try await FakeServer.start { [Frame(acknowledging: $0.id, text: "1 matched, 1 sent")] }
        let other = try await FakeServer.worker()
        let master = try await FakeServer.start { Self.shunt($0, holding: [holder.address], all: [other.address, holder.address]) }
        let report = try await Notifier(route: .masters([master.address]), connection: options())
            .send("hi", to: DeviceFilter(uid: "ann"))
        #expect(report.workers.map(\.address) == [holder.address])
        #expect(other.received.isEmpty)
        #expect(master.received.map(\.name) == ["device"])
        #expect(master.received.map(\.text) == [#"{"uid":"ann"}"#])
    }

    @Test("for one uid asks all workers where the master names none, as for a device that has just registered")
    func notYetKnown() async throws {
        let worker = try await FakeServer.start { [Frame(acknowledging: $0.id, text: "1 matched, 1 sent")] }
        let master = try await FakeServer.start { Self.shunt($0, holding: [], all: [worker.address]) }
        let report = try await Notifier(route: .masters([master.address]), connection: options())
            .send("hi", to: DeviceFilter(uid: "ann"))
        #expect(report.workers.map(\.address) == [worker.address])
        #expect(report.isDelivered)
    }

    @Test("for one uid asks the others too where a device has moved on since the master was told")
    func movedOn() async throws {
        let before = try await FakeServer.refusing(500, "The register device live list is empty")
        let now = try await FakeServer.start { [Frame(acknowledging: $0.id, text: "1 matched, 1 sent")] }
        let master = try await FakeServer.start { Self.shunt($0, holding: [before.address], all: [before.address, now.address]) }
        let report = try await Notifier(route: .masters([master.address]), connection: options())
            .send("hi", to: DeviceFilter(uid: "ann"))
        #expect(report.workers.map(\.address) == [before.address, now.address])
        #expect(report.workers[0].outcome == .noMatch && report.isDelivered)
        #expect(before.received.count == 1)
    }

    @Test("for one uid asks all workers of a master that does not know the question, whatever it answers")
    func unknownQuestion() async throws {
        let (first, second) = (try await FakeServer.worker(), try await FakeServer.worker())
        // Takes any text but `true` for a question for one worker.
        let master = try await FakeServer.start { frame in
            let list = frame.text == "true" ? [first.address, second.address] : [first.address]
            return [Frame(acknowledging: frame.id, text: AllocationReply.encode(list.map(\.description)))]
        }
        let report = try await Notifier(route: .masters([master.address]), connection: options())
            .send("hi", to: DeviceFilter(uid: "ann"))
        #expect(report.workers.map(\.address) == [first.address, second.address])
        #expect(first.received.count == 1 && second.received.count == 1)
    }

    /// One of Shunt's own masters.
    private static func shunt(_ frame: Frame, holding: [HostPort], all: [HostPort]) -> [Frame] {
        let isQuestion = frame.name == DeviceAllocationBody.frameName
        let list = isQuestion ? holding : all
        let text = list.isEmpty ? "no worker has a device of this uid" : AllocationReply.encode(list.map(\.description))
        var answer = Frame(acknowledging: frame.id, status: list.isEmpty ? 404 : 200, text: text)
        if isQuestion { answer.name = DeviceAllocationBody.frameName }
        return [answer]
    }

    @Test("tells a worker that does not answer from one that has no match")
    func silent() async throws {
        let worker = try await FakeServer.silentWorker()
        var settings = options()
        settings.replyTimeout = .milliseconds(50)
        let report = try await Notifier(route: .workers([worker.address]), connection: settings).send("hi")
        guard case .unreachable(let error)? = report.workers.first?.outcome else {
            Issue.record("it answered")
            return
        }
        #expect(error.code == .connectionLost)
    }

    @Test("fails without a master, without a worker, and with a filter that no worker takes")
    func fails() async throws {
        let empty = try await FakeServer.master(Box([]))
        for (route, filter, code) in [
            (ClientRoute.masters([try FakeServer.deadAddress()]), DeviceFilter.all, ErrorCode.addressUnavailable),
            (.masters([empty.address]), .all, .workerNone), (.workers([]), .all, .usage),
            (.workers([empty.address]), DeviceFilter(uid: ""), .filterInvalid),
        ] {
            let notifier = Notifier(route: route, connection: options(patience: .milliseconds(30)))
            let error = await #expect(throws: ShuntError.self) { _ = try await notifier.send("hi", to: filter) }
            #expect(error?.code == code)
        }
    }
}
