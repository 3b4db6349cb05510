import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("The registry's clients, over links that break and masters that go")
struct ClientListTests {
    private func cluster(masters: [String] = ["m:1"]) -> SimulatedCluster {
        let cluster = SimulatedCluster(masters: masters, workers: ["a:1", "b:1"], loops: 2)
        cluster.run(seconds: 1)
        return cluster
    }

    private func mqtt(_ worker: SimulatedWorker, _ name: String) -> SimulatedMQTTClient {
        .v5(worker, name, isClean: false) { $0.properties.sessionExpiry = 1000 }
    }

    @Test("Clients are known a moment after they come, are away, and come to another worker")
    func comeAndGo() {
        let cluster = cluster()
        let clients = cluster.workers.map { mqtt($0, "c") }
        let phone = cluster.workers[0].connect(loop: 1)
        #expect(phone.register("ann", device: "phone") == 200)
        cluster.run(seconds: 0.5)
        #expect(cluster.clients == ["c@a:1", "c@b:1", "phone@a:1"])
        clients[0].vanish()
        cluster.workers[0].disconnect(phone.id)
        cluster.run(seconds: 0.5)
        #expect(cluster.clients == ["c@a:1 (away)", "c@b:1"])
    }

    @Test("A new master is told all clients, and those that went meanwhile are not there")
    func newMaster() {
        let cluster = cluster()
        let clients = ["c", "d", "e"].map { mqtt(cluster.workers[0], $0) }
        cluster.run(seconds: 0.5)
        cluster.kill(master: "m:1")
        clients[0].send(Disconnect(properties: Self.ending).encoded(.v5))
        clients[1].vanish()
        cluster.run(seconds: 2)
        #expect(cluster.clients == ["c@a:1", "d@a:1", "e@a:1"], "nobody has told the registry")
        cluster.start(master: "m:1")
        cluster.run(seconds: 10)
        #expect(cluster.clients == ["d@a:1 (away)", "e@a:1"])
    }

    private static let ending: Properties = {
        var properties = Properties.none
        properties.sessionExpiry = 0
        return properties
    }()

    @Test("A worker that is lost takes its clients along, and tells them again when it is back")
    func lost() {
        let cluster = cluster()
        _ = mqtt(cluster.workers[0], "c")
        _ = mqtt(cluster.workers[1], "d")
        cluster.run(seconds: 0.5)
        cluster.freeze(worker: "a:1")
        cluster.run(seconds: 25)
        #expect(cluster.clients == ["d@b:1"])
        cluster.thaw(worker: "a:1")
        cluster.run(seconds: 4)
        #expect(cluster.clients == ["c@a:1", "d@b:1"])
        cluster.stop(worker: "b:1")
        cluster.run(seconds: 1)
        #expect(cluster.clients == ["c@a:1"])
    }

    @Test("A storm of reconnects is told once for each client")
    func storm() {
        let cluster = cluster()
        cluster.run(seconds: 1)
        let before = cluster.changes.count
        for _ in 0..<10 { for number in 0..<50 { mqtt(cluster.workers[0], "c\(number)").vanish() } }
        cluster.run(seconds: 1)
        let told = cluster.changes[before...].count { if case .client = $0 { true } else { false } }
        #expect(cluster.clients.count == 50 && told <= 100)
    }
}
