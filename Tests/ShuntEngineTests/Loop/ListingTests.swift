import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Loops list their clients and sessions for rules")
struct ListingTests {
    private let rules = OwnRules(.sessions)
    private let directory = SessionDirectory()

    private func worker(loops: Int = 3, isOn: Bool = true) -> SimulatedWorker {
        let worker = SimulatedWorker(loops: loops)
        for engine in worker.engines { engine.sessionDirectory = directory }
        if isOn { set(rules, worker) }
        return worker
    }

    private func set(_ rules: OwnRules?, _ worker: SimulatedWorker) {
        for loop in worker.loops {
            loop.engine.setHooks(rules)
            worker.turnEnded(loop)
        }
    }

    /// Each as `device`, with `(away)` behind those that wait for their client.
    private func found(_ uid: String) -> [String] {
        directory.find(uid, limit: 1000).found.map { $0.device + ($0.isConnected ? "" : " (away)") }.sorted()
    }

    private func mqtt(
        _ worker: SimulatedWorker, _ name: String, user: String = "ada", expiry: UInt32 = 0, isClean: Bool = false
    ) -> SimulatedMQTTClient {
        .v5(worker, name, isClean: isClean) {
            $0.userName = user
            $0.properties.sessionExpiry = expiry
        }
    }

    @Test("Clients of both protocols, on all loops, while they are there")
    func clients() {
        let worker = worker()
        let phone = worker.connect(loop: 2)
        #expect(phone.register("ada", device: "phone", tags: ["t"], alias: ["a"]) == 200)
        let names = (0..<6).map { "c\($0)" }
        let clients = names.map { mqtt(worker, $0) }
        #expect(Set(clients.map(\.id.loop)).count > 1)
        #expect(found("ada") == names + ["phone"])
        let listed = directory.find("ada", limit: 100).found.first { $0.device == "phone" }
        #expect(listed?.tags == ["t"] && listed?.alias == ["a"] && listed?.loop == 2 && listed?.clientID == nil)
        #expect(listed?.connection == phone.id && listed?.connectedAt == worker.now)
        #expect(directory.find("ada", limit: 100).found.first { $0.device == "c0" }?.clientID == "c0")
        worker.disconnect(phone.id)
        clients[0].vanish()
        clients[1].send(Disconnect().encoded(.v5))
        #expect(found("ada") == Array(names[2...]))
        #expect(worker.engines.map(\.listing.listed.count).reduce(0, +) == 4)
    }

    @Test("A client that is another one is found under its new name alone; one without a uid is not listed")
    func renamed() {
        let worker = worker()
        let client = worker.connect()
        client.publish("t", "x")
        #expect(worker.engines[0].listing.listed.isEmpty)
        #expect(client.register("ada") == 200)
        #expect(client.register("bob") == 200)
        #expect(found("ada") == [])
        #expect(found("bob") == ["phone"])
        #expect(client.register("bob", device: "tablet") == 200)
        #expect(found("bob") == ["tablet"])
    }

    @Test("A session is found while its client is away, until it ends; a client that takes over is there once")
    func sessions() {
        let worker = worker()
        let first = mqtt(worker, "c", expiry: 10)
        #expect(found("ada") == ["c"])
        _ = mqtt(worker, "c", expiry: 10)
        #expect(worker.closed[first.id] == .sessionReplaced)
        #expect(found("ada") == ["c"])
        let third = mqtt(worker, "c", user: "bob", expiry: 10)
        #expect(found("ada") == [] && found("bob") == ["c"])
        third.vanish()
        #expect(found("bob") == ["c (away)"])
        let fourth = mqtt(worker, "c", user: "bob", expiry: 10)
        #expect(found("bob") == ["c"])
        fourth.vanish()
        worker.now += 11
        worker.tick()
        #expect(found("bob") == [])
        let fifth = mqtt(worker, "c", user: "bob", expiry: 10)
        var goodbye = Disconnect()
        goodbye.properties.sessionExpiry = 0
        fifth.send(goodbye.encoded(.v5))
        #expect(found("bob") == [])
        mqtt(worker, "c", user: "bob", expiry: 10).vanish()
        _ = mqtt(worker, "c", user: "bob", isClean: true)
        #expect(found("bob") == ["c"])
    }

    @Test("on_disconnect finds those who stay; on_session one that is new, and none that is over")
    func hooks() {
        var seen: [String] = []
        let worker = worker()
        rules.wanted = [.sessions, .session]
        set(rules, worker)
        rules.onTold = { seen.append("\($0): \(self.found("ada").joined(separator: ", "))") }
        let one = mqtt(worker, "c", expiry: 10)
        one.vanish()
        worker.now += 11
        worker.tick()
        #expect(seen.contains("created c: c"))
        #expect(seen.contains("expired c: "))
        rules.onTold = nil
    }

    @Test("What was there before is listed in turns when a rule begins to ask, and taken out when none does")
    func switched() {
        let worker = worker(isOn: false)
        let count = LoopEngine.listedInTurn + 200
        var clients: [SimulatedClient] = []
        for number in 0..<count {
            let client = worker.connect()
            clients.append(client)
            #expect(client.register("u\(number % 10)", device: "d\(number)") == 200)
        }
        let away = mqtt(worker, "away", user: "u0", expiry: 100)
        away.vanish()
        #expect(found("u0") == [])
        let engine = worker.engines[0]
        engine.setHooks(rules)
        #expect(engine.turnEnded())
        #expect(engine.listing.listed.count > 0 && engine.listing.listed.count < count)
        // Who goes and comes meanwhile is not seen twice, and not left.
        worker.disconnect(clients[0].id)
        #expect(worker.connect().register("u0", device: "new") == 200)
        set(rules, worker)
        #expect(!engine.turnEnded())
        let expected = ["away (away)", "new"] + stride(from: 10, to: count, by: 10).map { "d\($0)" }
        #expect(found("u0") == expected.sorted())
        rules.wanted = []
        set(rules, worker)
        for number in 0..<10 { #expect(found("u\(number)") == []) }
        #expect(worker.engines.allSatisfy { $0.listing.listed.isEmpty })
        #expect(worker.connect().register("u0") == 200)
        #expect(found("u0") == [])
        // On and off before either has ended.
        rules.wanted = .sessions
        engine.setHooks(rules)
        #expect(engine.turnEnded())
        rules.wanted = []
        engine.setHooks(rules)
        rules.wanted = .sessions
        engine.setHooks(rules)
        set(rules, worker)
        #expect(found("u0") == (expected + ["phone"]).sorted())
    }

    @Test("Whatever clients do, the directory has what the loops have", arguments: [1, 2, 3] as [UInt64])
    func churn(seed: UInt64) {
        var seed = seed
        func random(_ most: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % most
        }
        let worker = worker(loops: 2)
        var clients: [SimulatedMQTTClient] = []
        var devices: [SimulatedClient] = []
        for _ in 0..<600 {
            let uid = "u\(random(3))"
            switch random(8) {
            case 0, 1, 2:
                clients.append(mqtt(worker, "c\(random(6))", user: uid, expiry: UInt32(random(2) * 5), isClean: random(2) == 0))
            case 3 where !clients.isEmpty: clients.remove(at: random(clients.count)).vanish()
            case 4:
                let device = worker.connect(loop: random(2))
                devices.append(device)
                _ = device.register(uid, device: "d\(random(6))")
            case 5 where !devices.isEmpty: worker.disconnect(devices.remove(at: random(devices.count)).id)
            case 6 where !devices.isEmpty: _ = devices[random(devices.count)].register(uid, device: "d\(random(6))")
            default:
                worker.now += Double(random(3))
                worker.tick()
            }
            for uid in ["u0", "u1", "u2"] { #expect(found(uid) == known(uid, worker)) }
        }
    }

    /// The same from the loops' own tables.
    private func known(_ uid: String, _ worker: SimulatedWorker) -> [String] {
        worker.engines.flatMap { engine in
            let connected = engine.clients.filter { $0.state != .free && $0.isAdmitted && $0.identity?.uid == uid }.compactMap(\.identity?.device)
            let away = engine.sessions.all.filter { !$0.isConnected && $0.identity.uid == uid }.map { $0.clientID + " (away)" }
            return connected + away
        }.sorted()
    }
}
