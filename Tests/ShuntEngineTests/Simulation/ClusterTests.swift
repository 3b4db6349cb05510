import ExchangeCodec
import ShuntCore
import Testing

@Suite("A cluster on a virtual clock")
struct ClusterTests {
    @Test("Workers register within a second, and are listed least loaded first (§12.2)")
    func allocation() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["b:1", "a:1"])
        #expect(cluster.allocation(from: "m:1")?.status == 500)
        #expect(cluster.allocation(from: "m:1")?.text == "not found server")
        cluster.run(seconds: 1)
        #expect(cluster.allocation(from: "m:1")?.text == "a:1,b:1")
        let consumer = cluster.workers[1].connect()
        #expect(consumer.subscribe("t", group: "g") == 200)
        cluster.run(seconds: 4)
        #expect(cluster.allocation(from: "m:1")?.text == "b:1,a:1")
        cluster.run(seconds: 4)
        #expect(cluster.allocation(from: "m:1", all: false)?.text == "b:1", "one: the first of the list (Q1)")
    }

    @Test("A worker that falls silent is lost after 20 s, and live again when it returns")
    func lostAndBack() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1"])
        cluster.run(seconds: 5)
        cluster.freeze(worker: "a:1")
        cluster.run(seconds: 16)
        #expect(cluster.allocation(from: "m:1")?.text == "a:1,b:1")
        cluster.run(seconds: 5)
        #expect(cluster.allocation(from: "m:1")?.text == "b:1")
        cluster.thaw(worker: "a:1")
        cluster.run(seconds: 4)
        #expect(cluster.allocation(from: "m:1")?.text == "a:1,b:1")
        #expect(cluster.events.filter { $0.hasSuffix("a:1") } == ["worker.joined a:1", "worker.lost a:1", "worker.returned a:1"])
    }

    @Test("A worker without a master goes on routing, and joins the master that comes back")
    func masterRestart() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1"])
        let consumer = cluster.workers[0].connect()
        let producer = cluster.workers[0].connect()
        #expect(consumer.subscribe("t", group: "g") == 200)
        cluster.run(seconds: 2)
        cluster.kill(master: "m:1")
        cluster.run(seconds: 300)
        producer.publish("t", "still there")
        #expect(consumer.texts() == ["still there"])
        cluster.start(master: "m:1")
        cluster.run(seconds: 6)
        #expect(cluster.allocation(from: "m:1")?.text == "a:1")
        #expect(cluster.joined == ["a:1 m:1", "a:1 m:1"])
    }

    @Test("A worker that the master does not take is told why")
    func refused() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["no host:1"])
        cluster.run(seconds: 1)
        let why = "the worker's name is no host name; a host name or an IP address, or none (worker.advertise)"
        #expect(cluster.refused == ["no host:1 \(why)"])
    }

    @Test("A full worker is listed last, and hears where clients of its listeners find room")
    func full() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1", "c:1"])
        cluster.workers[0].room = 0
        cluster.workers[2].room = 0
        cluster.run(seconds: 4)
        #expect(cluster.allocation(from: "m:1")?.text == "b:1,a:1,c:1")
        cluster.askRoom(cluster.workers[0])
        #expect(cluster.room == [WorkerAddresses(worker: "b:1", listeners: ["exchange": "b:1", "mqtt": "b:1883"])])
        cluster.askRoom(cluster.workers[1])
        #expect(cluster.room == [], "nobody is sent to a worker that is full, or to the one that asks")
        #expect(cluster.refused == [])
    }

    @Test("A worker learns where clients of each listener reach the worker that has a chat")
    func addresses() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1"])
        cluster.run(seconds: 2)
        let (ann, bob) = (cluster.workers[0].connect(), cluster.workers[1].connect())
        ann.chat("room", .create)
        cluster.settle()
        bob.chat("room", .create)
        cluster.settle()
        #expect(bob.chatter() == ["307 a:1"])
        #expect(cluster.learned == [WorkerAddresses(worker: "a:1", listeners: ["exchange": "a:1", "mqtt": "a:1883"])])
    }

    @Test("Of several masters, the next is tried when one is not there")
    func standby() {
        let cluster = SimulatedCluster(masters: ["m:1", "n:1"], workers: ["a:1", "b:1"])
        cluster.run(seconds: 2)
        #expect(cluster.joined == ["a:1 m:1", "b:1 m:1"])
        cluster.kill(master: "m:1")
        cluster.run(seconds: 6)
        #expect(cluster.allocation(from: "n:1")?.text == "a:1,b:1")
    }

    @Test("Workers that went to a later master of their list return when the earlier one is back to stay: of one id there is one chat")
    func returnsToTheFirst() {
        let cluster = SimulatedCluster(masters: ["m:1", "n:1"], workers: ["a:1", "b:1"])
        cluster.run(seconds: 2)
        cluster.kill(master: "m:1")
        cluster.run(seconds: 8)
        #expect(cluster.allocation(from: "n:1")?.text == "a:1,b:1")
        cluster.start(master: "m:1")
        cluster.run(seconds: 1)
        cluster.kill(master: "m:1")
        cluster.run(seconds: 8)
        #expect(cluster.joined.suffix(2).sorted() == ["a:1 n:1", "b:1 n:1"], "it was not back to stay")
        cluster.start(master: "m:1")
        cluster.run(seconds: 9)
        #expect(cluster.allocation(from: "m:1")?.text == "a:1,b:1")
        #expect(cluster.joined.suffix(2).sorted() == ["a:1 m:1", "b:1 m:1"])
    }
}
