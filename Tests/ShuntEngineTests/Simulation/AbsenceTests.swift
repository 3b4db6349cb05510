import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Workers that are away, and come back")
struct AbsenceTests {
    /// Two workers and their master, after their first heartbeats.
    private func cluster() -> SimulatedCluster {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1"])
        cluster.run(seconds: 1)
        return cluster
    }

    private func create(_ chat: String, _ client: SimulatedClient, _ cluster: SimulatedCluster) -> String? {
        client.chat(chat, .create)
        cluster.settle()
        return client.chatter().last
    }

    @Test("One that was frozen for longer than it lives tells all that it holds again, on the link that it had")
    func returnsOnTheSameLink() {
        let cluster = cluster()
        let ann = cluster.workers[0].connect()
        #expect(ann.register("ann") == 200)
        #expect(create("c", ann, cluster) == "200")
        cluster.run(seconds: 3)
        #expect(cluster.online == ["ann@a:1"])
        cluster.freeze(worker: "a:1")
        cluster.run(seconds: 25)
        #expect(cluster.online == [])
        #expect(cluster.chats == [])
        cluster.thaw(worker: "a:1")
        cluster.run(seconds: 4)
        #expect(cluster.online == ["ann@a:1"])
        #expect(cluster.chats == ["c@a:1"])
        #expect(cluster.joined == ["a:1 m:1", "b:1 m:1"], "the link was never given up")
    }

    @Test("A 307 names a worker that fell silent for two of its heartbeats, then the chat is whose client asks")
    func silentOwner() {
        let cluster = cluster()
        #expect(create("c", cluster.workers[0].connect(), cluster) == "200")
        cluster.run(seconds: 3)
        cluster.freeze(worker: "a:1")
        cluster.run(seconds: 5)
        let carl = cluster.workers[1].connect()
        #expect(create("c", carl, cluster) == "307 a:1")
        cluster.run(seconds: 2)
        #expect(create("c", carl, cluster) == "200")
        #expect(cluster.chats == ["c@b:1"])
        #expect(cluster.allocation(from: "m:1")?.text.contains("a:1") == true, "it is still listed (§12.2)")
    }

    @Test("When the silent worker returns the chat has one owner, and the other sends its members there", arguments: [8.0, 30])
    func oneOwner(_ seconds: Double) {
        let cluster = cluster()
        let ann = cluster.workers[0].connect()
        #expect(create("c", ann, cluster) == "200")
        cluster.run(seconds: 3)
        cluster.freeze(worker: "a:1")
        cluster.run(seconds: seconds)
        let carl = cluster.workers[1].connect()
        #expect(create("c", carl, cluster) == "200")
        cluster.run(seconds: 1)
        cluster.thaw(worker: "a:1")
        cluster.run(seconds: 5)
        #expect(cluster.chats == ["c@a:1"], "it was created first")
        #expect(create("c", carl, cluster) == "307 a:1")
        #expect(create("c", ann, cluster) == "200")
        #expect(cluster.workers.map { $0.engines[0].chats.count } == [1, 0])
    }

    @Test("A worker that ends signs off: it is listed no more, its devices are offline and its chats free, at once")
    func signsOff() {
        let cluster = cluster()
        let ann = cluster.workers[0].connect()
        #expect(ann.register("ann") == 200)
        #expect(create("c", ann, cluster) == "200")
        cluster.run(seconds: 1)
        cluster.stop(worker: "a:1")
        #expect(cluster.ended == ["a:1"])
        #expect(cluster.allocation(from: "m:1")?.text == "b:1")
        #expect(cluster.online == [])
        #expect(create("c", cluster.workers[1].connect(), cluster) == "200")
        cluster.run(seconds: 30)
        #expect(cluster.events.filter { $0.hasSuffix("a:1") } == ["worker.joined a:1", "worker.left a:1"])
    }

    @Test("A worker without a master, or whose master does not answer, ends all the same")
    func endsAlone() {
        var link = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        let body = HeartbeatBody(serverPort: 1, createdTime: 5)
        let alone = link.stop(body, now: 0)
        #expect(alone == [.ended])
        link = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        _ = link.tick(now: 0)
        _ = link.connected(now: 0)
        _ = link.received(Frame(acknowledging: 1, text: "shunt"), now: 0)
        let joined = [link.stop(body, now: 0), link.tick(now: 0.9), link.tick(now: 1), link.closed(why: "", now: 1, random: 0)]
        #expect(joined[0].count == 1)
        #expect(Array(joined[1...]) == [[], [.ended], []])
    }

    @Test("A worker that ends before its first heartbeat is answered signs off too")
    func endsUnanswered() {
        var link = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        _ = link.tick(now: 0)
        #expect(link.connected(now: 0) == [.report])
        let left = link.stop(HeartbeatBody(serverPort: 1, createdTime: 5), now: 0.1)
        #expect(left.count == 1)
        #expect(left != [.ended])
        #expect(link.tick(now: 1.1) == [.ended])
    }

    @Test("A worker whose clock is ahead is lost like any other, and the skew is told once")
    func clockAhead() {
        let cluster = cluster()
        cluster.workers[0].clockOffset = 300
        cluster.run(seconds: 9)
        cluster.freeze(worker: "a:1")
        cluster.run(seconds: 21)
        #expect(cluster.allocation(from: "m:1")?.text == "b:1")
        #expect(
            cluster.events.filter { $0.hasSuffix("a:1") } == ["worker.joined a:1", "worker.skewed a:1", "worker.lost a:1"])
    }

    @Test("A worker whose clock is set back goes on with its heartbeats, and is listed as before", arguments: [-15.0, -300])
    func clockSetBack(_ seconds: Double) {
        let cluster = cluster()
        cluster.workers[0].clockOffset = seconds
        cluster.run(seconds: 60)
        #expect(cluster.events.filter { $0.hasSuffix("a:1") } == ["worker.joined a:1", "worker.skewed a:1"])
        #expect(cluster.allocation(from: "m:1")?.text == "a:1,b:1")
    }

    @Test("A worker whose clock is set back while it has no master soon tries again")
    func clockSetBackAlone() {
        let cluster = cluster()
        cluster.kill(master: "m:1")
        cluster.run(seconds: 10)
        cluster.workers[0].clockOffset = -300
        cluster.start(master: "m:1")
        cluster.run(seconds: 6)
        #expect(cluster.joined.filter { $0 == "a:1 m:1" }.count == 2)
    }

    @Test("A master that stood still, or whose clock is set, misses a worker after the usual time", arguments: [300.0, -300])
    func masterPauses(_ step: Double) throws {
        var directory = WorkerDirectory(liveFor: 20)
        var now = 5000.0
        let body = HeartbeatBody(serverName: "a", serverPort: 1, createdTime: Int64(now * 1000))
        _ = try directory.heartbeat(body, source: "", now: now)
        var changes = directory.tick(now: now)
        now += step
        var heard = 0.0
        while changes.isEmpty, heard < 60 {
            changes = directory.tick(now: now)
            now += 0.5
            heard += 0.5
        }
        #expect(changes.contains(.workerState(name: "a:1", .lost, at: now - 0.5)))
        #expect(19...21 ~= heard)
    }

    @Test("A device that comes and goes between two reports is known, and offline")
    func passingDevice() {
        let cluster = cluster()
        let ann = cluster.workers[0].connect()
        #expect(ann.register("ann") == 200)
        cluster.workers[0].disconnect(ann.id)
        cluster.settle()
        let told = cluster.changes.filter { if case .device = $0 { true } else { false } }
        #expect(told.count == 2, "it registered, and left")
        #expect(cluster.online == [])
    }
}
