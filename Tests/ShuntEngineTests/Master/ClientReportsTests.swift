import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Reports of clients, from loops to the registry")
struct ClientReportsTests {
    private let worker = WorkerSource(host: "a", port: 1)

    private func client(_ slot: UInt32) -> ClientReportBody.Client {
        .init(
            session: ConnectionID(loop: 0, slot: slot, generation: 1), client: "c\(slot)", uid: "u", speaks: .mqtt5, listener: 0, since: 1000,
            subscriptions: 2)
    }

    private func portion(_ clients: Int = 0, gone: Int = 0, hasMore: Bool = false, isListed: Bool = true) -> ClientPortion {
        var portion = ClientPortion()
        portion.clients = (0..<UInt32(clients)).map(client)
        portion.gone = (0..<UInt32(gone)).map { ConnectionID(loop: 0, slot: $0, generation: 0) }
        (portion.hasMore, portion.isListed) = (hasMore, isListed)
        return portion
    }

    // MARK: The worker

    @Test("One portion is under way at a time; the list has ended when all loops have told all")
    func oneAtATime() {
        var reports = ClientReports(worker: worker, listeners: ["mqtt"])
        #expect(reports.changed(0) == nil)
        #expect(reports.begin(list: 7, loops: 2) == .ask(loop: 0))
        #expect(reports.changed(0) == nil)
        let first = portion(2, hasMore: true, isListed: false)
        #expect(
            reports.took(first, from: 0, list: 7)
                == .send(ClientReportBody(worker: worker, list: 7, listeners: ["mqtt"], clients: first.clients)))
        #expect(reports.changed(1) == nil)
        #expect(reports.taken() == .ask(loop: 1))
        // A loop without clients sends nothing.
        #expect(reports.took(portion(), from: 1, list: 7) == .ask(loop: 0))
        #expect(
            reports.took(portion(1), from: 0, list: 7)
                == .send(ClientReportBody(worker: worker, list: 7, isLast: true, listeners: ["mqtt"], clients: [client(0)])))
        #expect(reports.taken() == nil)
        #expect(reports.changed(1) == .ask(loop: 1))
        #expect(
            reports.took(portion(gone: 1), from: 1, list: 7)
                == .send(ClientReportBody(worker: worker, list: 7, gone: portion(gone: 1).gone)))
    }

    @Test("A worker without clients says so, and what a loop tells for an earlier list counts for nothing")
    func emptyAndEarlier() {
        var reports = ClientReports(worker: worker, listeners: [])
        #expect(reports.begin(list: 1, loops: 1) == .ask(loop: 0))
        #expect(reports.begin(list: 2, loops: 1) == .ask(loop: 0))
        #expect(reports.took(portion(1), from: 0, list: 1) == nil)
        #expect(reports.took(portion(), from: 0, list: 2) == .send(ClientReportBody(worker: worker, list: 2, isLast: true)))
        reports.end()
        #expect(reports.taken() == nil && reports.changed(0) == nil && !reports.isOn)
    }

    @Test("A caller that waits hears of it when the master has taken what every loop had to tell then")
    func settles() {
        var reports = ClientReports(worker: worker, listeners: [])
        #expect(reports.settle(1) == nil && reports.takeSettled() == [1], "no master wants to know")
        _ = reports.begin(list: 7, loops: 2)
        _ = reports.took(portion(), from: 0, list: 7)
        // Loop 1 was asked before, so what it says may lack what has happened since: it is asked again.
        #expect(reports.settle(2) == nil)
        #expect(reports.took(portion(1), from: 1, list: 7) != nil)
        #expect(reports.taken() == .ask(loop: 0) && reports.takeSettled() == [])
        #expect(reports.took(portion(gone: 1), from: 0, list: 7) != nil)
        #expect(reports.taken() == .ask(loop: 1) && reports.takeSettled() == [])
        // One that has more is not done.
        #expect(reports.took(portion(1, hasMore: true), from: 1, list: 7) != nil)
        #expect(reports.taken() == .ask(loop: 1) && reports.takeSettled() == [])
        #expect(reports.settle(3) == nil)
        #expect(reports.took(portion(), from: 1, list: 7) == .ask(loop: 0))
        #expect(reports.takeSettled() == [2])
        #expect(reports.took(portion(), from: 0, list: 7) == .ask(loop: 1) && reports.takeSettled() == [])
        reports.end()
        #expect(reports.takeSettled() == [3], "the master has gone")
    }

    // MARK: The master

    private func list(_ script: MasterEngineTests.Script, on number: UInt32 = 1) throws -> Int64 {
        let asked = try #require(script.told[number]?.last { $0.name == ClientsRequestBody.frameName })
        return try asked.value.withUnsafeBytes { try ClientsRequestBody(decoding: $0).list }
    }

    /// Tells something, and gives what is for the registry and the answer.
    private func tell(
        _ script: MasterEngineTests.Script, _ body: ClientReportBody, on number: UInt32 = 1
    ) throws -> (changes: [ClientChange], answer: Int16?) {
        let connection = ConnectionID(loop: 0, slot: number, generation: 0)
        _ = Frame.clients(id: 9, body).encoded().withUnsafeBytes { script.engine.received($0, on: connection, now: script.now) }
        let changes = script.engine.changes.compactMap { if case .client(let change) = $0 { change } else { nil } }
        // A frame of nothing that is answered gathers what was said.
        let answers = script.engine.actions.compactMap { action -> Int16? in
            guard case .send(connection, let bytes) = action else { return nil }
            return bytes.withUnsafeBytes { bytes in
                guard case .frame(let view) = FrameDecoder.decode(bytes), view.type == .acknowledgement else { return nil }
                return view.status
            }
        }
        return (changes, answers.first)
    }

    private func body(_ list: Int64, clients: Int = 1, isLast: Bool = false, isIncomplete: Bool = false) -> ClientReportBody {
        ClientReportBody(
            worker: worker, list: list, isLast: isLast, isIncomplete: isIncomplete, listeners: ["mqtt"],
            clients: (0..<UInt32(clients)).map(client), gone: [ConnectionID(loop: 0, slot: 9, generation: 9)])
    }

    @Test("A worker of Shunt's is asked for its clients when it joins; what it tells goes to the registry")
    func told() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        #expect(script.told[3] == nil)
        let list = try list(script)
        let (changes, answer) = try tell(script, body(list, isLast: true))
        let record = ClientRecord(
            worker: "a:1", session: "0-0-1", client: "c0", uid: "u", protocolName: "mqtt 5.0", listener: "mqtt", address: "[::]:0", since: 1,
            subscriptions: 2)
        #expect(
            changes == [.client(record, list: list), .gone(worker: "a:1", session: "0-9-9"), .listed(worker: "a:1", list: list)])
        #expect(answer == 200)
        script.beat("a", on: 1)
        #expect(try self.list(script) == list)
    }

    @Test("What belongs to an earlier list is answered, and goes nowhere")
    func earlier() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let first = try list(script)
        script.close(1)
        script.beat("a", on: 1)
        let second = try list(script)
        #expect(second > first)
        let (changes, answer) = try tell(script, body(first))
        #expect(changes.isEmpty && answer == 200)
    }

    @Test("A worker that has forgotten changes is asked for a new list")
    func incomplete() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let first = try list(script)
        _ = try tell(script, body(first, clients: 0, isIncomplete: true))
        _ = script.ask(Frame(.ping, id: 1), on: 1)
        #expect(try list(script) > first)
    }

    @Test("While the registry has no room a worker waits for its answer")
    func waits() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        script.engine.setRoomForClients(false)
        let (changes, answer) = try tell(script, body(try list(script)))
        #expect(changes.count == 2 && answer == nil)
        script.engine.clear()
        // A worker that was asked for a new list meanwhile waits for the answer to its last report alone.
        #expect(try tell(script, body(try list(script))).answer == nil)
        script.engine.clear()
        script.engine.setRoomForClients(true)
        #expect(script.engine.actions == [.send(ConnectionID(loop: 0, slot: 1, generation: 0), Frame(acknowledging: 9).encoded())])
        script.engine.clear()
        script.engine.setRoomForClients(true)
        #expect(script.engine.actions.isEmpty)
    }

    @Test("The clients of a worker that is lost are gone, also where an earlier master was told of them")
    func lost() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        script.engine.restore(
            [
                WorkerRecord(name: "old:1", host: "old", port: 1, state: .live, startedAt: 1, heartbeatAt: 1),
                WorkerRecord(name: "older:1", host: "older", port: 1, state: .lost, startedAt: 1, heartbeatAt: 1),
            ], now: script.now)
        #expect(script.engine.changes.contains(.client(.workerLost(worker: "older:1"))))
        script.engine.clear()
        script.wait(30)
        let lost = script.engine.changes.compactMap { if case .client(.workerLost(let worker)) = $0 { worker } else { nil } }
        #expect(lost.sorted() == ["a:1", "b:1", "old:1"])
    }

    @Test("A master that lists no clients asks for none")
    func off() {
        let script = MasterEngineTests.Script()
        script.engine.listsClients = false
        script.beat("a", on: 1)
        #expect(script.told[1] == nil || script.told[1]?.contains { $0.name == ClientsRequestBody.frameName } == false)
    }
}
