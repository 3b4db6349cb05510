import ExchangeCodec
import ShuntCore
import ShuntEngine
import Testing

@Suite("A worker's chats (exchange protocol §11.5)", .serialized)
struct LoopChatTests {
    @Test("Two members talk, wherever in the worker they are connected", arguments: [1, 2, 4])
    func talk(loops: Int) {
        for number in 0..<4 {
            let worker = SimulatedWorker(loops: loops)
            let (ada, bob) = (worker.connect(), worker.connect(loop: loops - 1))
            let id = "room-\(number)"
            ada.chat(id, .create)
            #expect(ada.chatter() == ["200"])
            bob.chat(id, .create)
            #expect(bob.chatter() == ["200"])
            ada.chat(id, .session, "hello")
            bob.chat(id, .session, "hi")
            #expect(ada.chatter() == ["200", "SESSION hi"])
            #expect(bob.chatter() == ["SESSION hello", "200"])
            bob.chat(id, .destroy)
            #expect(bob.chatter() == ["200"])
            #expect(ada.chatter() == ["DESTROY \(id)"])
            ada.chat(id, .session, "anyone?")
            #expect(ada.chatter().first?.hasPrefix("404") == true)
        }
    }

    @Test("What one says before the other has come is there when it comes")
    func early() {
        let worker = SimulatedWorker(loops: 2)
        let (ada, bob) = (worker.connect(), worker.connect(loop: 1))
        ada.chat("room", .create)
        ada.chat("room", .session, "one")
        ada.chat("room", .session, "two")
        #expect(ada.chatter() == ["200", "200", "200"])
        bob.chat("room", .create)
        #expect(bob.chatter() == ["200", "SESSION one", "SESSION two"])
    }

    @Test("A third party is refused, and so is who is not in the chat")
    func strangers() {
        let worker = SimulatedWorker()
        let (ada, bob, eve) = (worker.connect(), worker.connect(), worker.connect())
        ada.chat("room", .create)
        bob.chat("room", .create)
        eve.chat("room", .create)
        #expect(eve.chatter().first?.hasPrefix("409") == true)
        eve.chat("room", .session, "let me in")
        #expect(eve.chatter().first?.hasPrefix("403") == true)
        #expect(ada.chatter() == ["200"])
    }

    @Test("A member that loses its connection and comes back gets what it missed", arguments: [1, 2])
    func rejoin(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let (ada, bob) = (worker.connect(), worker.connect(loop: loops - 1))
        _ = bob.register("bob")
        ada.chat("room", .create)
        bob.chat("room", .create)
        _ = (ada.chatter(), bob.chatter())
        worker.disconnect(bob.id)
        ada.chat("room", .session, "are you there?")
        let back = worker.connect()
        _ = back.register("bob")
        back.chat("room", .create)
        #expect(back.chatter() == ["200", "SESSION are you there?"])
    }

    @Test("What a member says and a rule delays is not for it, also after it has come back", arguments: [1, 2], ["ada", ""])
    func delayed(loops: Int, uid: String) {
        let rules = ScriptedRules()
        rules.wanted = .chat
        let worker = SimulatedWorker(loops: loops, hooks: rules)
        let (bob, ada) = (worker.connect(), worker.connect(loop: loops - 1))
        if !uid.isEmpty { _ = ada.register(uid) }
        for member in [bob, ada] { member.chat("room", .create) }
        rules.chat = .send([.init(topic: "room", text: "late", kind: .chat, delay: 3)])
        ada.chat("room", .session, "now")
        worker.disconnect(ada.id)
        let back = worker.connect(loop: loops - 1)
        if !uid.isEmpty { _ = back.register(uid) }
        back.chat("room", .create)
        _ = (bob.chatter(), back.chatter())
        worker.now += 4
        worker.tick()
        #expect(bob.chatter() == ["SESSION late"])
        #expect(back.chatter() == [])
    }

    @Test(
        "A frame that is none of a chat's is refused",
        arguments: [
            Frame(.chat, id: 1, text: "x", name: "room", key: "NOPE"), Frame(.chat, id: 1, text: "x", name: "room"),
            Frame(.chat, id: 1, text: "x"), Frame(.chat, id: 1),
            Frame(.chat, id: 1, text: "x", name: String(repeating: "r", count: 257), key: "CREATE"),
        ])
    func invalid(frame: Frame) {
        let worker = SimulatedWorker()
        let client = worker.connect()
        #expect(client.ask(frame)?.status == 400)
        #expect(worker.closed.isEmpty)
    }

    @Test("Who takes notices is told who is there already, and who comes and goes; others are told nothing")
    func notices() {
        let worker = SimulatedWorker(loops: 2)
        let (ada, bob) = (worker.connect(), worker.connect(loop: 1))
        _ = ada.register("ada")
        ada.chat("room", .create)
        bob.send(Frame(.chat, id: 8, format: .json, value: ChatJoinBody(name: "Bob").encoded(), name: "room", key: "CREATE"))
        #expect(bob.chatter() == ["200", #"NOTICE {"event":"present","uid":"ada"}"#])
        #expect(ada.chatter() == ["200"])
        worker.disconnect(ada.id)
        #expect(bob.chatter() == [#"NOTICE {"event":"left","uid":"ada"}"#])
    }

    @Test("A compressed text keeps its compression (Q11)")
    func compression() {
        let worker = SimulatedWorker()
        let (ada, bob) = (worker.connect(), worker.connect())
        ada.chat("room", .create)
        bob.chat("room", .create)
        _ = bob.received()
        ada.send(Frame(.chat, id: 5, compression: .gzip, value: [1, 2, 3], name: "room", key: "SESSION"))
        let got = bob.received().first
        #expect(got?.compression == .gzip)
        #expect(got?.value == [1, 2, 3])
    }
}

@Suite("Chats of a cluster on a virtual clock", .serialized)
struct ClusterChatTests {
    @Test("Who joins at another worker is redirected to the one that has the chat")
    func redirect() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1"], loops: 2)
        cluster.run(seconds: 1)
        let (ada, bob) = (cluster.workers[0].connect(), cluster.workers[1].connect(loop: 1))
        ada.chat("room", .create)
        ada.chat("room", .session, "hello")
        cluster.settle()
        #expect(ada.chatter() == ["200", "200"])
        bob.chat("room", .create)
        cluster.settle()
        #expect(bob.chatter() == ["307 a:1"])
        let followed = cluster.workers[0].connect(loop: 1)
        followed.chat("room", .create)
        #expect(followed.chatter() == ["200", "SESSION hello"])
    }

    @Test("Two workers that create the same id at the same moment end with one owner")
    func simultaneous() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1"])
        cluster.run(seconds: 1)
        let (ada, bob) = (cluster.workers[0].connect(), cluster.workers[1].connect())
        ada.chat("room", .create)
        bob.chat("room", .create)
        cluster.settle()
        #expect([ada.chatter(), bob.chatter()] == [["200"], ["307 a:1"]])
    }

    @Test("A lost worker frees its chats: the next to come has the chat where it is")
    func lostWorker() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1"])
        cluster.run(seconds: 1)
        let ada = cluster.workers[0].connect()
        ada.chat("room", .create)
        cluster.run(seconds: 1)
        cluster.freeze(worker: "a:1")
        cluster.run(seconds: 25)
        let bob = cluster.workers[1].connect()
        bob.chat("room", .create)
        cluster.settle()
        #expect(bob.chatter() == ["200"])
    }

    @Test("A master that starts anew learns the chats of all workers, and redirects as before")
    func masterRestart() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1", "b:1"])
        cluster.run(seconds: 1)
        let ada = cluster.workers[0].connect()
        ada.chat("room", .create)
        cluster.run(seconds: 1)
        #expect(ada.chatter() == ["200"])
        cluster.kill(master: "m:1")
        cluster.run(seconds: 10)
        cluster.start(master: "m:1")
        cluster.run(seconds: 6)
        let bob = cluster.workers[1].connect()
        bob.chat("room", .create)
        cluster.settle()
        #expect(bob.chatter() == ["307 a:1"])
    }

    @Test("Without a master a chat that is not here is refused with 503, and asked for again later")
    func noMaster() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1"])
        let ada = cluster.workers[0].connect()
        cluster.kill(master: "m:1")
        ada.chat("room", .create)
        cluster.settle()
        #expect(ada.chatter() == [], "it may be back at once")
        cluster.run(seconds: 2.5)
        #expect(ada.chatter() == ["503 Service Unavailable"])
        ada.chat("room", .create)
        cluster.settle()
        #expect(ada.chatter() == ["503 Service Unavailable"])
        cluster.start(master: "m:1")
        cluster.run(seconds: 6)
        ada.chat("room", .create)
        cluster.settle()
        #expect(ada.chatter() == ["200"])
    }

    @Test("A clock that is set ends no chat: neither forward nor back does anybody become idle", arguments: [3800.0, -3800, 86_400])
    func clockIsSet(_ jump: Double) {
        let worker = SimulatedWorker()
        let (ada, bob) = (worker.connect(), worker.connect())
        ada.chat("room", .create)
        bob.chat("room", .create)
        func run(_ seconds: Int) {
            for _ in 0..<seconds {
                worker.now += 1
                worker.tick()
            }
        }
        run(10)
        worker.now += jump
        run(3580)
        _ = (ada.received(), bob.received())
        ada.chat("room", .session, "still here")
        #expect(bob.chatter() == ["SESSION still here"])
        run(3610)
        #expect(bob.chatter() == ["DESTROY room"], "an hour of silence ends it all the same")
    }
}
