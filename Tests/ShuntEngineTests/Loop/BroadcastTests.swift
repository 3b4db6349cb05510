import ExchangeCodec
import ShuntCore
import ShuntEngine
import Testing

@Suite("A worker's devices and broadcasts (exchange protocol §10.3, §10.4)", .serialized)
struct BroadcastTests {
    private func notify(_ client: SimulatedClient, _ body: NotifyBody) -> Frame? {
        client.ask(Frame(.notify, id: 3, format: .json, value: body.encoded()))
    }

    private func messages(_ client: SimulatedClient) -> [String] {
        client.received().filter { $0.type == .notify }.compactMap { frame in
            frame.value.withUnsafeBytes { try? NotifyBody(decoding: $0).message }
        }
    }

    @Test("A broadcast reaches the devices that match, on every loop, and its sender is told how many", arguments: [1, 2, 3])
    func acrossLoops(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let devices = (0..<6).map { worker.connect(loop: $0 % loops) }
        for (number, device) in devices.enumerated() {
            #expect(device.register("u\(number)", tags: number % 2 == 0 ? ["even"] : []) == 200)
        }
        let sender = worker.connect()
        #expect(notify(sender, NotifyBody(message: "to all"))?.text == "6 matched, 6 sent, 0 not sent")
        #expect(devices.map { messages($0) } == Array(repeating: ["to all"], count: 6))
        #expect(notify(sender, NotifyBody(message: "even", matchTags: ["even"]))?.text == "3 matched, 3 sent, 0 not sent")
        #expect(devices.map { messages($0).count } == [1, 0, 1, 0, 1, 0])
        #expect(notify(sender, NotifyBody(message: "one", uid: "u3"))?.text == "1 matched, 1 sent, 0 not sent")
        worker.slow.insert(devices[1].id)
        #expect(notify(sender, NotifyBody(message: "x", filterTags: ["even"]))?.text == "3 matched, 2 sent, 1 not sent (too slow)")
    }

    @Test("Nobody matches: 500 with message-channel's text")
    func nobody() {
        let worker = SimulatedWorker(loops: 2)
        let sender = worker.connect()
        #expect(notify(sender, NotifyBody(message: "x")) == Frame(acknowledging: 3, status: 500, text: "The register device live list is empty"))
        #expect(sender.ask(Frame(.notify, id: 4))?.status == 500)
    }

    @Test("A broadcast without a body goes, without one, to all devices")
    func bare() {
        let worker = SimulatedWorker()
        let (device, sender) = (worker.connect(), worker.connect())
        _ = device.register("u")
        #expect(sender.ask(Frame(.notify, id: 4))?.status == 200)
        #expect(device.received() == [Frame(.notify, id: 4)])
    }

    @Test(
        "A filter that is not what it should be is refused, with a code of its own",
        arguments: [
            "not json", "[]", #"{"uid":""}"#, #"{"match_tags":"x"}"#, #"{"match_tags":[""]}"#,
        ])
    func badFilters(json: String) {
        let worker = SimulatedWorker()
        let (device, sender) = (worker.connect(), worker.connect())
        _ = device.register("u")
        #expect(sender.ask(Frame(.notify, id: 4, json: json))?.status == 400)
        #expect(device.received().isEmpty)
    }

    @Test("The same device on another connection takes its place, whichever loop that is on (Q5)")
    func takeover() {
        for loops in 1...2 {
            let worker = SimulatedWorker(loops: loops)
            let (old, new, sender) = (worker.connect(), worker.connect(loop: loops - 1), worker.connect())
            #expect(old.register("u") == 200)
            worker.now += 1
            #expect(new.register("u") == 200)
            #expect(notify(sender, NotifyBody(message: "x", uid: "u"))?.text == "1 matched, 1 sent, 0 not sent")
            let told = old.received()
            #expect(told.map(\.type) == [.registered], "it is told that it is no device any more")
            #expect(told.map(\.text) == [#"{"event":"replaced"}"#])
            #expect(messages(new) == ["x"])
        }
    }

    @Test("Registering again replaces, leaving removes, and rules see who a client is")
    func replaces() {
        let worker = SimulatedWorker()
        let (device, sender) = (worker.connect(), worker.connect())
        _ = device.register("u", tags: ["a"])
        _ = device.register("v", tags: ["b"])
        #expect(worker.engines[0].peer(device.id)?.uid == "v")
        #expect(notify(sender, NotifyBody(message: "x", uid: "u"))?.status == 500)
        #expect(notify(sender, NotifyBody(message: "x", matchTags: ["b"]))?.status == 200)
        worker.disconnect(device.id)
        #expect(notify(sender, NotifyBody(message: "x"))?.status == 500)
        #expect(worker.engines[0].output.figures.devices == 0)
    }

    @Test("A label that is given twice counts once")
    func labels() {
        let worker = SimulatedWorker()
        let device = worker.connect()
        #expect(device.register("u", tags: Array(repeating: "t", count: 40) + ["u", "t"], alias: ["a", "a"]) == 200)
        var devices: [Device] = []
        worker.engines[0].forEachDevice { devices.append($0) }
        #expect(devices.map(\.tags) == [["t", "u"]])
        #expect(devices.map(\.alias) == [["a"]])
    }

    @Test("A device without uid is refused, and nothing else changes")
    func withoutUID() {
        let client = SimulatedWorker().connect()
        #expect(client.ask(Frame(.register, id: 1, json: #"{"device":"d"}"#))?.status == 400)
        #expect(client.ask(Frame(.register, id: 1))?.status == 400)
    }
}
