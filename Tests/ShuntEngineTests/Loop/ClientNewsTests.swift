import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("What a loop tells the master of clients, and what operators ask it")
struct ClientNewsTests {
    private func worker(loops: Int = 1, isTelling: Bool = true) -> SimulatedWorker {
        let worker = SimulatedWorker(loops: loops)
        if isTelling { for engine in worker.engines { engine.beginClientNews() } }
        return worker
    }

    private func mqtt(_ worker: SimulatedWorker, _ name: String, expiry: UInt32 = 0) -> SimulatedMQTTClient {
        .v5(worker, name, isClean: false) {
            $0.userName = "ada"
            $0.properties.sessionExpiry = expiry
        }
    }

    /// All that the loops tell now: names, `(away)` behind those that are, and how many are gone.
    private func told(_ worker: SimulatedWorker) -> (names: [String], gone: Int) {
        var (names, gone) = ([String](), 0)
        for engine in worker.engines {
            var portion: ClientPortion
            repeat {
                portion = engine.takeClients()
                names += portion.clients.map { ($0.client.isEmpty ? "-" : $0.client) + ($0.isAway ? " (away)" : "") }
                gone += portion.gone.count
            } while portion.hasMore
            #expect(portion.isListed)
        }
        return (names.sorted(), gone)
    }

    @Test("Clients that are there when a list begins, of both protocols and on all loops, then what changes")
    func listAndChanges() {
        let worker = worker(loops: 3, isTelling: false)
        let clients = (0..<6).map { mqtt(worker, "c\($0)", expiry: $0 == 0 ? 100 : 0) }
        let phone = worker.connect(loop: 2)
        #expect(phone.register("ada", device: "phone") == 200)
        let silent = worker.connect(loop: 1)
        clients[0].vanish()
        for engine in worker.engines { engine.beginClientNews() }
        #expect(told(worker).names == ["c0 (away)", "c1", "c2", "c3", "c4", "c5", "phone"])
        #expect(told(worker) == ([], 0))
        // One that has sent nothing is not in, and is not told when it goes.
        worker.disconnect(silent.id)
        worker.disconnect(phone.id)
        clients[1].vanish()
        _ = mqtt(worker, "c0", expiry: 100)
        #expect(told(worker) == (["c0"], 2))
    }

    @Test("A client that comes and goes many times is told once, as it is")
    func coalesced() {
        let worker = worker()
        #expect(told(worker) == ([], 0))
        for _ in 0..<100 { mqtt(worker, "c", expiry: 100).vanish() }
        let client = mqtt(worker, "c", expiry: 100)
        #expect(told(worker) == (["c"], 0))
        var properties = Properties.none
        properties.sessionExpiry = 0
        client.send(Disconnect(properties: properties).encoded(.v5))
        #expect(told(worker) == ([], 1))
    }

    @Test("What is told of a client: who it is, where it comes from, how many subscriptions it has")
    func record() throws {
        let worker = worker()
        let client = worker.connect()
        _ = client.register("ada", device: "phone")
        #expect(client.subscribe("a", group: "g") == 200)
        let one = try #require(worker.engines[0].takeClients().clients.first)
        #expect(one.session == client.id && one.client == "phone" && one.uid == "ada" && one.speaks == .exchange)
        #expect(one.subscriptions == 1 && !one.isAway && one.since == Int64(worker.now * 1000))
        #expect(client.subscribe("b", group: "g") == 200)
        #expect(worker.engines[0].takeClients().clients.first?.subscriptions == 2)
    }

    @Test("A list of very many comes in portions that fit a frame")
    func portions() {
        let worker = worker(isTelling: false)
        for number in 0..<1000 { _ = mqtt(worker, "client-with-a-name-of-some-length-\(number)") }
        let engine = worker.engines[0]
        engine.beginClientNews()
        var (portions, clients) = (0, 0)
        var portion: ClientPortion
        repeat {
            portion = engine.takeClients()
            portions += 1
            clients += portion.clients.count
            let body = ClientReportBody(worker: WorkerSource(port: 1), list: 1, listeners: ["mqtt"], clients: portion.clients)
            #expect(body.encoded().count <= 16 << 10)
        } while portion.hasMore
        #expect(clients == 1000 && portions >= 5)
    }

    @Test("More changes than a loop keeps are forgotten, and the list begins anew")
    func overflow() {
        let worker = worker()
        let engine = worker.engines[0]
        _ = told(worker)
        for number in 0...(ClientNews.capacity + 100) {
            engine.noteClient(ConnectionID(loop: 0, session: UInt32(number), generation: 7))
        }
        engine.announceClientNews()
        let portion = engine.takeClients()
        #expect(portion.isIncomplete && portion.clients.isEmpty && portion.gone.isEmpty)
        engine.noteClient(ConnectionID(loop: 0, session: 1, generation: 7))
        #expect(engine.takeClients() == ClientPortion())
        engine.beginClientNews()
        #expect(told(worker) == ([], 0))
    }

    @Test("A loop that tells nobody notes nothing")
    func off() {
        let worker = worker(isTelling: false)
        _ = mqtt(worker, "c")
        #expect(worker.engines[0].takeClients() == ClientPortion())
        #expect(worker.engines[0].clientNews.changed.isEmpty)
    }

    @Test("An operator is told of a client's subscriptions, its session and what waits")
    func detail() throws {
        let worker = worker(isTelling: false)
        let client = mqtt(worker, "c", expiry: 100)
        let subscribe = Subscribe(1, [.init("a/+", .atLeastOnce), .init("$share/g/b")])
        client.send(subscribe.encoded(.v5))
        let detail = try #require(worker.engines[0].describe(ClientQuestion(client: "c")).clients.first)
        #expect(detail.client == "c" && detail.uid == "ada" && detail.protocolName == "mqtt 5.0" && detail.state == .connected)
        #expect(detail.lasting && detail.sessionExpiry == 100 && detail.subscriptionCount == 2)
        #expect(detail.subscriptions.map(\.filter) == ["b", "a/+"])
        #expect(detail.subscriptions.map(\.group) == ["g", nil])
        let cut = worker.engines[0].describe(ClientQuestion(client: "c", subscriptions: 1))
        #expect(cut.clients.first?.subscriptions.count == 1 && cut.clients.first?.subscriptionCount == 2)
        client.vanish()
        let away = try #require(worker.engines[0].describe(ClientQuestion(session: detail.session)).clients.first)
        #expect(away.state == .away && away.endsAt == worker.now + 100 && away.address.isEmpty)
        #expect(worker.engines[0].describe(ClientQuestion(client: "x")) == ClientDetailsRecord(clients: [], total: 0))
    }

    @Test("A kicked client is told why, its name is free at once, and its session stays unless that is to end")
    func kick() {
        let worker = worker(isTelling: false)
        let engine = worker.engines[0]
        let client = mqtt(worker, "c", expiry: 100)
        #expect(engine.kick(ClientQuestion(client: "c"), now: worker.now) == KickedRecord(closed: 1))
        #expect(engine.figures.mqttClients == 0 && engine.sessions.count == 1)
        worker.turnEnded(worker.loops[0])
        #expect(client.closed == .clientKicked)
        #expect(engine.kick(ClientQuestion(client: "c"), now: worker.now) == KickedRecord())
        _ = mqtt(worker, "c", expiry: 100)
        #expect(engine.kick(ClientQuestion(client: "c", endsSession: true), now: worker.now) == KickedRecord(closed: 1, ended: 1))
        #expect(engine.sessions.count == 0)
    }

    @Test("A client of the exchange protocol is kicked by its device's name, or by its session")
    func kickExchange() {
        let worker = worker(isTelling: false)
        let clients = [worker.connect(), worker.connect()]
        _ = clients[0].register("ada", device: "phone")
        _ = clients[1].subscribe("a", group: "g")
        #expect(worker.engines[0].kick(ClientQuestion(client: "phone"), now: worker.now) == KickedRecord(closed: 1))
        #expect(worker.engines[0].kick(ClientQuestion(session: clients[1].id.description), now: worker.now) == KickedRecord(closed: 1))
        worker.turnEnded(worker.loops[0])
        #expect(clients.map { worker.closed[$0.id] } == [.clientKicked, .clientKicked])
    }
}

extension LoopEngine {
    fileprivate var figures: RoutingFigures { output.figures }
}
