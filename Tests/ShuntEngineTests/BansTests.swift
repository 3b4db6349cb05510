import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Clients that operators keep out")
struct BansTests {
    private func ban(_ subjects: BanSubject..., until: Double? = nil, at worker: SimulatedWorker) {
        tell([.all(subjects.map { Ban($0, until: until) })], worker)
    }

    private func tell(_ told: [BansBody], _ worker: SimulatedWorker) {
        for engine in worker.engines { engine.changeBans(told, now: worker.now) }
        worker.tick()
    }

    private func connect(_ worker: SimulatedWorker, _ version: MQTTVersion, _ name: String, user: String? = nil) -> ReasonCode? {
        var greeting = Connect(version: version, clientID: name)
        greeting.userName = user
        let client = SimulatedMQTTClient(worker, nil)
        client.send(greeting.encoded())
        guard let packet = client.received().first else { return nil }
        return packet.withUnsafeBytes { try? ConnectAcknowledgement(decoding: Bytes(rebasing: $0[2...]), version).reason }
    }

    @Test("A new ban closes the clients that it is for, and keeps them out until it is over", arguments: [1, 3])
    func closes(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let banned = SimulatedMQTTClient.v5(worker, "bad"), other = SimulatedMQTTClient.v5(worker, "good")
        ban(.client("bad"), until: worker.now + 60, at: worker)
        #expect(banned.closed == .accessBanned && other.closed == nil)
        #expect(connect(worker, .v5, "bad") == .banned)
        #expect(connect(worker, .v5, "good2") == .success)
        worker.now += 61
        #expect(connect(worker, .v5, "bad") == .success)
    }

    @Test("What is told at once is taken in its order")
    func order() {
        let worker = SimulatedWorker()
        let names = ["a", "b", "c", "d"].map { SimulatedMQTTClient.v5(worker, $0) }
        let all = ["a", "b", "c", "d"].map { Ban(.client(ExactText($0))) }
        tell([.add([all[0]]), .all([all[1]]), .add([all[2], all[3]]), .remove([all[2].subject])], worker)
        #expect(names.map(\.closed) == [nil, .accessBanned, nil, .accessBanned])
        #expect(["a", "b", "c", "d"].map { connect(worker, .v5, $0) } == [.success, .banned, .success, .banned])
        tell([.remove([all[1].subject, all[3].subject])], worker)
        #expect(connect(worker, .v5, "b") == .success)
    }

    @Test("A client is refused by the user name that it gives, before anybody looks at its password")
    func byUser() {
        let worker = SimulatedWorker()
        for engine in worker.engines { engine.setAccess([ListenerAccess(asks: true, permissions: nil)], now: worker.now) }
        ban(.uid("mallory"), at: worker)
        #expect(connect(worker, .v5, "c1", user: "mallory") == .banned)
        #expect(worker.asked.isEmpty)
        #expect(connect(worker, .v5, "c2", user: "ann") == nil)
        #expect(worker.asked.count == 1)
    }

    @Test("A client of the exchange protocol may not register a banned uid; the name of its device is no client identifier")
    func register() {
        let worker = SimulatedWorker()
        ban(.uid("mallory"), .client("phone"), at: worker)
        let client = worker.connect()
        #expect(client.register("mallory", device: "phone") == 403)
        #expect(client.register("ann", device: "phone") == 200)
        ban(.uid("ann"), at: worker)
        #expect(worker.closed[client.id] == .accessBanned)
    }

    @Test("A ban is told to all workers, and all bans to a worker that joins, also what was lifted meanwhile")
    func told() throws {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1"])
        let ban = Ban(.uid("ann"), until: cluster.now + 1_000, why: "x")
        cluster.run(seconds: 1)
        #expect(cluster.bans.map(\.body) == [.all([]), .all([])])
        try cluster.at("m:1") { try $0.ban(ban, now: cluster.now) }
        #expect(cluster.bans.suffix(2).map(\.body) == [.add([ban]), .add([ban])])
        #expect(Set(cluster.bans.suffix(2).map(\.worker)) == ["a:1", "b:1"])
        try cluster.at("m:1") { try $0.unban(.uid("ann"), now: cluster.now) }
        #expect(cluster.bans.last?.body == .remove([.uid("ann")]))
        #expect(throws: ShuntError.self) { try cluster.at("m:1") { try $0.unban(.uid("ann"), now: cluster.now) } }
        cluster.kill(master: "m:1")
        cluster.start(master: "m:1")
        try cluster.at("m:1") { try $0.ban(ban, now: cluster.now) }
        cluster.run(seconds: 3)
        #expect(cluster.bans.suffix(2).map(\.body) == [.all([ban]), .all([ban])])
    }

    @Test("A ban that is over leaves the registry, one for ever stays")
    func expires() throws {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: [])
        let (short, long) = (Ban(.uid("ann"), until: cluster.now + 5), Ban(.uid("bob")))
        try cluster.at("m:1") { engine in
            engine.restore([], bans: [long], now: cluster.now)
            try engine.ban(short, now: cluster.now)
        }
        cluster.run(seconds: 10)
        let changes = cluster.changes.filter { if case .ban = $0 { true } else if case .unban = $0 { true } else { false } }
        #expect(changes == [.ban(short), .unban(.uid("ann"))])
    }
}
