import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

/// Workers send a heartbeat each 3 s: what follows must be so within two of them, and what a tick takes.
private let twoHeartbeats = 6.5

@Suite("Two masters, of which one serves")
struct StandbyClusterTests {
    static func cluster(workers: [String] = ["a:1", "b:1", "c:1"]) -> SimulatedCluster {
        let cluster = SimulatedCluster(masters: ["m:1", "n:1"], workers: workers, peers: true)
        cluster.run(seconds: 8)
        return cluster
    }

    private func create(_ chat: String, at worker: SimulatedWorker, _ cluster: SimulatedCluster) -> String {
        let client = worker.connect()
        client.chat(chat, .create)
        cluster.settle()
        for _ in 0..<40 {
            if let answer = client.chatter().last { return answer }
            cluster.run(seconds: 0.1)
        }
        return "nothing"
    }

    @Test("The first of the list serves all workers; both answer clients that ask for workers")
    func begin() {
        let cluster = Self.cluster()
        #expect(cluster.serving == ["m:1"])
        #expect(cluster.homes == ["a:1": "m:1", "b:1": "m:1", "c:1": "m:1"])
        for master in ["m:1", "n:1"] {
            #expect(Set(cluster.allocation(from: master)?.text.split(separator: ",") ?? []) == ["a:1", "b:1", "c:1"])
        }
        #expect(cluster.ask("n:1", .allocation(id: 1, DeviceAllocationBody(uid: "ann")))?.status == 503)
        #expect(create("c", at: cluster.workers[0], cluster) == "200")
        #expect(create("c", at: cluster.workers[1], cluster) == "307 a:1")
    }

    @Test("When the serving one dies the other knows all chats within two heartbeats, and clients find workers all the time")
    func death() {
        let cluster = Self.cluster()
        #expect(create("old", at: cluster.workers[0], cluster) == "200")
        cluster.kill(master: "m:1")
        #expect(cluster.allocation(from: "n:1")?.status == 200)
        cluster.run(seconds: twoHeartbeats)
        #expect(cluster.serving == ["n:1"])
        #expect(cluster.homes.values.allSatisfy { $0 == "n:1" } && cluster.homes.count == 3)
        #expect(create("old", at: cluster.workers[1], cluster) == "307 a:1")
        #expect(create("new", at: cluster.workers[2], cluster) == "200")
        cluster.start(master: "m:1")
        cluster.run(seconds: 30)
        #expect(cluster.serving == ["n:1"], "who serves goes on serving")
        #expect(cluster.homes.values.allSatisfy { $0 == "n:1" } && cluster.homes.count == 3)
    }

    @Test("A master that is back after a moment leaves all workers at one of the two", arguments: [0.1, 0.2, 0.5, 1.0, 2.0, 4.0])
    func restart(after seconds: Double) {
        let cluster = Self.cluster()
        #expect(create("old", at: cluster.workers[0], cluster) == "200")
        cluster.kill(master: "m:1")
        cluster.run(seconds: seconds)
        cluster.start(master: "m:1")
        cluster.run(seconds: twoHeartbeats + seconds)
        #expect(cluster.serving.count == 1)
        #expect(cluster.homes.count == 3 && Set(cluster.homes.values) == Set(cluster.serving))
        #expect(create("old", at: cluster.workers[1], cluster) == "307 a:1")
        #expect(create("new", at: cluster.workers[2], cluster) == "200")
        #expect(create("new", at: cluster.workers[0], cluster) == "307 c:1")
    }

    @Test("Masters that do not hear one another change nothing while workers hear the first")
    func mastersApart() {
        let cluster = Self.cluster()
        cluster.cut("m:1", "n:1")
        cluster.run(seconds: 60)
        #expect(cluster.serving == ["m:1"])
        #expect(create("c", at: cluster.workers[0], cluster) == "200")
    }

    @Test("A split: the side with most workers goes on, the other lets nobody into chats; when it heals the older chat stays")
    func split() {
        let cluster = Self.cluster()
        #expect(create("c", at: cluster.workers[0], cluster) == "200")
        for (one, other) in [("m:1", "n:1"), ("m:1", "b:1"), ("m:1", "c:1"), ("n:1", "a:1")] { cluster.cut(one, other) }
        cluster.run(seconds: 12)
        #expect(cluster.serving == ["n:1"])
        #expect(create("c", at: cluster.workers[0], cluster).hasPrefix("503"), "a chat that the other side may open is not joined")
        #expect(create("c", at: cluster.workers[1], cluster) == "200")
        #expect(create("c", at: cluster.workers[2], cluster) == "307 b:1")
        cluster.heal()
        cluster.run(seconds: twoHeartbeats)
        #expect(cluster.serving == ["n:1"])
        #expect(create("c", at: cluster.workers[1], cluster) == "307 a:1", "the older one stays")
        #expect(create("c", at: cluster.workers[0], cluster) == "200")
    }

    @Test("A master that loses most workers makes room, though the masters hear one another")
    func workersAway() {
        let cluster = Self.cluster()
        for worker in ["b:1", "c:1"] { cluster.cut("m:1", worker) }
        cluster.run(seconds: 18)
        #expect(cluster.serving == ["n:1"])
        #expect(cluster.homes == ["a:1": "n:1", "b:1": "n:1", "c:1": "n:1"])
    }

    @Test("Half of the workers keep the master that they have; they do not make another one")
    func half() {
        let cluster = Self.cluster(workers: ["a:1", "b:1", "c:1", "d:1"])
        for (one, other) in [("m:1", "n:1"), ("m:1", "c:1"), ("m:1", "d:1"), ("n:1", "a:1"), ("n:1", "b:1")] { cluster.cut(one, other) }
        cluster.run(seconds: 18)
        #expect(cluster.serving == ["m:1"])
        #expect(create("new", at: cluster.workers[2], cluster).hasPrefix("503"))
        #expect(create("new", at: cluster.workers[0], cluster) == "200")
    }

    @Test("An operator has the other one serve, and has a lonely one serve")
    func operators() throws {
        let cluster = Self.cluster()
        try cluster.at("m:1") { try $0.makeWay(now: cluster.now) }
        cluster.run(seconds: twoHeartbeats)
        #expect(cluster.serving == ["n:1"])
        #expect(throws: ShuntError.self) { try cluster.at("m:1") { try $0.makeWay(now: cluster.now) } }
        #expect(throws: ShuntError.self) { try cluster.at("m:1") { try $0.forceServing(now: cluster.now) } }
        cluster.kill(master: "n:1")
        cluster.kill(master: "m:1")
        cluster.freeze(worker: "b:1")
        cluster.freeze(worker: "c:1")
        cluster.start(master: "m:1")
        cluster.run(seconds: 30)
        #expect(cluster.serving == [], "one of three workers is no quorum")
        try cluster.at("m:1") { try $0.forceServing(now: cluster.now) }
        cluster.run(seconds: 3)
        #expect(cluster.serving == ["m:1"] && cluster.homes["a:1"] == "m:1")
        #expect(create("new", at: cluster.workers[0], cluster) == "200")
    }

    @Test("A cluster goes on after most of its workers died, as the masters hear one another")
    func deadWorkers() {
        let cluster = Self.cluster()
        cluster.freeze(worker: "b:1")
        cluster.freeze(worker: "c:1")
        cluster.run(seconds: 18)
        #expect(cluster.serving.count == 1)
        #expect(cluster.homes["a:1"] == cluster.serving.first)
        #expect(create("new", at: cluster.workers[0], cluster) == "200")
    }

    @Test("Workers that end one after another, and dead ones after their time, leave the electorate")
    func fewer() {
        let cluster = Self.cluster(workers: ["a:1", "b:1", "c:1", "d:1", "e:1"])
        cluster.stop(worker: "e:1")
        cluster.freeze(worker: "e:1")
        cluster.freeze(worker: "d:1")
        cluster.run(seconds: 30)
        #expect(cluster.serving == ["m:1"])
        cluster.kill(master: "m:1")
        cluster.freeze(worker: "c:1")
        cluster.run(seconds: twoHeartbeats + 3)
        #expect(cluster.serving == ["n:1"], "two of the three that were left")
    }

    /// Whatever happens, both serve for two heartbeats at most; when all is well again one does, and each chat is at one worker.
    @Test("Splits, deaths and returns in any order", arguments: 1...25)
    func anything(seed: Int) {
        var random = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15
        func next(_ count: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % count
        }
        let cluster = Self.cluster(workers: ["a:1", "b:1", "c:1", "d:1", "e:1"])
        let names = ["m:1", "n:1"]
        var both = 0.0
        var longest = 0.0
        for _ in 0..<30 {
            switch next(6) {
            case 0: cluster.cut("m:1", "n:1")
            case 1, 2: cluster.cut(names[next(2)], cluster.workers[next(5)].name)
            case 3: cluster.heal()
            case 4:
                let name = names[next(2)]
                cluster.kill(master: name)
                cluster.run(seconds: Double(next(20)) / 10)
                cluster.start(master: name)
            default: cluster.workers[next(5)].connect().chat("chat \(next(4))", .create)
            }
            cluster.settle()
            for _ in 0..<next(60) {
                cluster.run(seconds: 0.1)
                both = cluster.serving.count > 1 ? both + 0.1 : 0
                longest = max(longest, both)
            }
        }
        cluster.heal()
        for _ in 0..<400 {
            cluster.run(seconds: 0.1)
            both = cluster.serving.count > 1 ? both + 0.1 : 0
            longest = max(longest, both)
        }
        #expect(longest <= twoHeartbeats, "both serve for \(longest) s")
        #expect(cluster.serving.count == 1)
        #expect(cluster.homes.count == 5 && Set(cluster.homes.values) == Set(cluster.serving))
        for chat in (0..<4).map({ "chat \($0)" }) {
            let owners = cluster.workers.filter { $0.engines[0].chats.contains { $0.chat == chat } }
            #expect(owners.count <= 1, "\(chat) is at \(owners.map(\.name))")
        }
    }
}
