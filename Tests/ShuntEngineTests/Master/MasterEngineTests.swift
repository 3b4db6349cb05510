import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("The master's port")
struct MasterEngineTests {
    /// A master, and connections to it by number.
    final class Script {
        let engine = MasterEngine(liveFor: 20, frameLimit: 1 << 20)
        var now = 1000.0
        private var opened: Set<UInt32> = []
        /// Frames that came without being asked for.
        private(set) var told: [UInt32: [Frame]] = [:]

        func ask(_ frame: Frame, on number: UInt32 = 1) -> Frame? {
            let connection = ConnectionID(loop: 0, slot: number, generation: 0)
            if opened.insert(number).inserted { engine.opened(connection, source: "127.0.0.1") }
            _ = frame.encoded().withUnsafeBytes { engine.received($0, on: connection, now: now) }
            var answer: Frame?
            for case .send(let to, let bytes) in engine.actions {
                bytes.withUnsafeBytes { bytes in
                    guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
                    if view.type == .acknowledgement {
                        answer = Frame(view, in: start)
                    } else {
                        told[UInt32(to.slot), default: []].append(Frame(view, in: start))
                    }
                }
            }
            engine.clear()
            return answer
        }

        /// A master with two workers of Shunt's, `a` and `b`, and one of message-channel's, `j`.
        static func withThreeWorkers() -> Script {
            let script = Script()
            script.beat("a", on: 1)
            script.beat("b", on: 2)
            script.beat("j", on: 3, isShunt: false)
            return script
        }

        /// Lets time pass.
        func wait(_ seconds: Int) {
            for _ in 0..<seconds {
                now += 1
                engine.tick(now: now)
            }
        }

        func close(_ number: UInt32) {
            opened.remove(number)
            engine.closed(ConnectionID(loop: 0, slot: number, generation: 0), now: now)
        }

        /// A heartbeat of `host:1`, with its own connection.
        @discardableResult
        func beat(_ host: String, on number: UInt32 = 1, isShunt: Bool = true, listeners: [String: String] = [:]) -> Frame? {
            let body = HeartbeatBody(
                serverName: host, serverPort: 1, createdTime: Int64(now * 1000),
                shunt: isShunt ? ShuntExtension(version: "t", boot: "1", listeners: listeners) : nil)
            return ask(.heartbeat(id: 1, body), on: number)
        }

        func report(_ host: String, _ devices: [DeviceBatchBody.Registered], on number: UInt32 = 1) -> Frame? {
            let body = DeviceBatchBody(worker: WorkerSource(host: host, port: 1), isFirst: true, isLast: true, registered: devices)
            return ask(Frame(.register, id: 2, format: .json, value: body.encoded(), name: DeviceBatchBody.frameName), on: number)
        }

        func create(_ chat: String, at host: String, on number: UInt32 = 1) -> Frame? {
            ask(.chat(id: 3, .create, chat: chat, at: ChatHostBody(host: host, port: 1)), on: number)
        }

        func holders(_ uid: String) -> Frame? { ask(.allocation(id: 4, DeviceAllocationBody(uid: uid)), on: 9) }
    }

    private func device(_ uid: String, tags: [String] = [], address: String = "1.2.3.4:5") -> DeviceBatchBody.Registered {
        .init(uid: uid, device: "d", tags: tags, address: address, connectedAt: 1, registeredAt: 1)
    }

    @Test("Where there is no room the client makes it that was silent longest; a worker never does")
    func room() {
        let script = Script()
        func id(_ number: UInt32) -> ConnectionID { ConnectionID(loop: 0, slot: number, generation: 0) }
        script.beat("w1", on: 1)
        for number in 2...4 as ClosedRange<UInt32> { _ = script.ask(Frame(.allocation, id: 1), on: number) }
        script.engine.opened(id(5), source: "127.0.0.1")
        #expect(script.engine.makeRoom() == id(5))
        script.close(5)
        _ = script.ask(Frame(.allocation, id: 1), on: 2)
        #expect(script.engine.makeRoom() == id(3))
        script.close(3)
        #expect(script.engine.makeRoom() == id(4))
        script.close(4)
        #expect(script.engine.makeRoom() == id(2))
        script.close(2)
        #expect(script.engine.makeRoom() == nil)
        // Workers that come and go leave nothing.
        for number in 10...2000 as ClosedRange<UInt32> {
            _ = script.ask(Frame(.allocation, id: 1), on: number)
            script.close(number)
        }
        script.engine.opened(id(7), source: "127.0.0.1")
        #expect(script.engine.makeRoom() == id(7))
        script.close(7)
        #expect(script.engine.makeRoom() == nil)
    }

    @Test(
        "Every port refuses in the same words what is no frame, and tells a client of another protocol in that",
        arguments: [
            Array("GET / HTTP/1.1\r\n\r\n".utf8), [0x16, 3, 1, 2, 0, 1, 0, 1], Array("\u{10}\u{0C}\0\u{4}MQTT\u{4}\u{2}\0\u{3C}\0\0".utf8),
            Array(Frame(.ping, id: 9).encoded().prefix(13)) + [0xFF, 0xFF, 0xFF, 0xFF], [0x70] + Frame(.ping, id: 9).encoded().dropFirst(),
            Array(Frame(.ping, id: 9).encoded().prefix(9)) + [11] + Array(Frame(.ping, id: 1).encoded().dropFirst(10)),
        ] as [[UInt8]])
    func refusals(bytes: [UInt8]) {
        let master = MasterEngine(liveFor: 20, frameLimit: 1 << 20)
        let connection = ConnectionID(loop: 0, slot: 1, generation: 0)
        master.opened(connection, source: "127.0.0.1")
        #expect(bytes.withUnsafeBytes { master.received($0, on: connection, now: 1) } == bytes.count)
        var sent: [UInt8] = [], code: ErrorCode?
        for action in master.actions {
            switch action {
            case .send(_, let bytes): sent += bytes
            case .close(_, let why): code = why
            }
        }
        let worker = LoopEngine(loop: 0, limits: RoutingLimits(frame: 1 << 20))
        worker.opened(connection, address: PeerAddress(), now: 1)
        _ = bytes.withUnsafeBytes { worker.received($0, on: connection, now: 1) }
        let workerSent = worker.output.actions.flatMap { action -> [UInt8] in
            if case .answer(_, let stretch) = action { Array(worker.output.made.bytes(of: stretch)) } else { [] }
        }
        #expect(sent == workerSent)
        #expect(worker.output.actions.last == code.map { .close(connection, $0) })
        // Only a stream with another first byte that is no known protocol is left without a word.
        #expect(sent.isEmpty == (bytes.first == 0x70))
    }

    @Test(
        "A worker's host is handed to every client in a list with commas: it must be a host name or an IP address",
        arguments: [
            ("10.0.0.1", 200), ("worker-1.example.org", 200), ("a_b", 200), (String(repeating: "h.", count: 126) + "h", 200),
            (String(repeating: "h.", count: 126) + "hh", 400), (String(repeating: "h", count: 64), 400), ("a..b", 400), ("a,b", 400), ("a:1", 400),
            ("a b", 400), ("a\nb", 400), ("a\u{7F}", 400),
            ("\u{212A}8s", 400), ("::1", 200), ("fe80::1%eth0", 400), ("::1,b", 400),
        ] as [(String, Int16)])
    func hosts(_ host: String, _ status: Int16) {
        let script = Script()
        #expect(script.beat(host)?.status == status)
        #expect(script.engine.directory.count == (status == 200 ? 1 : 0))
    }

    @Test("What a worker says of its listeners is bounded")
    func listeners() {
        let long = String(repeating: "x", count: 256)
        #expect(Script().beat("a", listeners: [long: "y"])?.status == 400)
        #expect(Script().beat("a", listeners: ["y": long])?.status == 400)
    }

    @Test("Nothing is kept of a worker that has sent no heartbeat")
    func strangers() {
        let script = Script()
        let long = String(repeating: "h", count: 100_000)
        for host in ["a", long] {
            #expect(script.report(host, [device("ann")])?.status == 404)
            #expect(script.create("c", at: host)?.status == 404)
            let body = RegisterBody(uid: "ann", device: "d", workerHost: host, workerPort: 1)
            #expect(script.ask(.register(id: 5, body))?.status == 404)
        }
        #expect(script.engine.changes == [])
        script.beat("a")
        #expect(script.create("c", at: "a")?.text == "a:1")
    }

    @Test("A device that says too much of itself is not kept, and the others of its report are")
    func deviceLimits() {
        let script = Script()
        script.beat("a")
        let long = String(repeating: "x", count: 257)
        let devices = [device("ann"), device(long), device("b", tags: [long]), device("c", address: long)]
        #expect(script.report("a", devices)?.status == 503)
        #expect(["ann", long, "b", "c"].map { script.holders($0)?.status } == [200, 404, 404, 404])
    }

    @Test("A client learns which live workers hold a user's devices; the answer says that the question was understood")
    func holders() {
        let script = Script()
        for (number, host) in [(UInt32(1), "a"), (2, "b"), (3, "c")] { script.beat(host, on: number) }
        _ = script.report("b", [device("ann"), .init(uid: "ann", device: "tab", address: "", connectedAt: 1, registeredAt: 1)], on: 2)
        _ = script.report("c", [.init(uid: "ann", device: "web", address: "", connectedAt: 1, registeredAt: 1)], on: 3)
        _ = script.report("a", [device("bob")])
        let answer = script.holders("ann")
        #expect(answer?.status == 200)
        #expect(answer?.text == "b:1,c:1")
        #expect(answer?.name == DeviceAllocationBody.frameName)
        #expect(script.holders("bob")?.text == "a:1")
        #expect(script.holders("nobody")?.status == 404)
        #expect(script.holders("nobody")?.text == "no live worker has a device of this uid")
        script.wait(15)
        script.beat("c", on: 3)
        script.wait(10)
        #expect(script.holders("ann")?.text == "c:1", "the other is lost")
        #expect(script.ask(Frame(.allocation, id: 6, text: "true"), on: 9)?.name == nil)
    }

    @Test("A master that has just started, and is not told everything yet, names all live workers; one without a past does not")
    func holdersAfterStart() {
        let script = Script()
        script.engine.restore([], now: script.now)
        script.beat("a")
        #expect(script.holders("ann")?.status == 404)
        script.engine.restore([script.engine.directory.record("a:1")].compactMap(\.self), now: script.now)
        #expect(script.holders("ann")?.text == "a:1")
        script.wait(Int(MasterEngine.patience))
        #expect(script.holders("ann")?.status == 404)
    }

    @Test("Only a worker of ours that returns is asked for everything, and once")
    func reportRequests() {
        let script = Script()
        #expect(script.beat("a")?.text == "shunt")
        #expect(script.beat("j", on: 2, isShunt: false)?.text == "")
        script.wait(25)
        #expect(script.beat("a")?.text == "shunt report")
        #expect(script.beat("a")?.text == "shunt")
        #expect(script.beat("j", on: 2, isShunt: false)?.text == "")
        script.wait(25)
        #expect(script.beat("a", on: 3)?.text == "shunt", "on a new connection it tells everything by itself")
    }

    @Test("A chat is closed by its worker's command, or the answer says why not")
    func closesChats() throws {
        let script = Script()
        func refusal(_ chat: String) -> ErrorCode? {
            do throws(ShuntError) { return try script.engine.worker(ending: chat).isEmpty ? .internalError : nil } catch { return error.code }
        }
        script.beat("a")
        script.beat("j", on: 2, isShunt: false)
        _ = script.create("ours", at: "a")
        _ = script.create("java", at: "j", on: 2)
        #expect(refusal("none") == .chatUnknown)
        #expect(refusal("java") == .requestUnsupported)
        #expect(refusal("ours") == nil)
        script.close(1)
        #expect(refusal("ours") == .connectionLost)
        script.wait(7)
        #expect(refusal("ours") == .chatUnknown, "its worker has not come back: the chat is free")
    }

    @Test("Three heartbeats at once, as Java workers send them, do not make a master impatient")
    func burstsOfHeartbeats() throws {
        var directory = WorkerDirectory(liveFor: 20)
        var now = 1000.0
        for _ in 0..<50 {
            for _ in 0..<3 {
                _ = try directory.heartbeat(
                    HeartbeatBody(serverName: "j", serverPort: 1, createdTime: Int64(now * 1000)), source: "", now: now)
            }
            now += 3
            let isGivenUp = directory.isGivenUp("j:1", now: now + 1)
            #expect(!isGivenUp)
        }
    }

    @Test(
        "Two heartbeats are a worker's own: of a slow one they take longer, up to what it lives for",
        arguments: [
            (0.1, 1.9, 2.1), (3, 5.9, 6.1), (8, 15.9, 16.1), (15, 19.9, 20.1),
        ])
    func ownInterval(_ interval: Double, _ patient: Double, _ silent: Double) throws {
        var directory = WorkerDirectory(liveFor: 20)
        var now = 1000.0
        for _ in 0..<60 {
            now += interval
            _ = try directory.heartbeat(
                HeartbeatBody(serverName: "a", serverPort: 1, createdTime: Int64(now * 1000)), source: "", now: now)
        }
        let isGivenUp = [patient, silent].map { directory.isGivenUp("a:1", now: now + $0) }
        #expect(isGivenUp == [false, true])
    }

    @Test("Clients that ask together are spread; one that asks again is one client; later figures count alone")
    func spreads() {
        let script = Script()
        script.beat("a")
        script.beat("b", on: 2)
        func first(_ number: UInt32) -> String? { script.ask(.allocation(id: 5, .one), on: number)?.text }
        #expect((10..<14).map(first) == ["a:1", "b:1", "a:1", "b:1"])
        #expect((0..<5).map { _ in first(20) } == Array(repeating: "a:1", count: 5))
        script.wait(1)
        script.beat("a")
        #expect((30..<34).map(first) == ["a:1", "a:1", "a:1", "b:1"], "two may be on their way to b, whose figures are old")
    }

    @Test("A worker's heartbeat says how often it comes: a slow one is not given up before its time, one that is started anew neither")
    func toldInterval() throws {
        var directory = WorkerDirectory(liveFor: 60)
        func beat(_ now: Double, boot: String = "1", interval: Int = 10_000) throws {
            _ = try directory.heartbeat(
                HeartbeatBody(
                    serverName: "a", serverPort: 1, createdTime: Int64(now * 1000),
                    shunt: ShuntExtension(version: "t", boot: boot, interval: interval)), source: "", now: now)
        }
        try beat(1000)
        let early = [1019.9, 1020.1].map { directory.isGivenUp("a:1", now: $0) }
        #expect(early == [false, true])
        try beat(1040, boot: "2", interval: 3000)
        let late = [1045.9, 1046.1].map { directory.isGivenUp("a:1", now: $0) }
        #expect(late == [false, true], "the time in which it was not running is no interval")
    }

    @Test("Heartbeats that waited while the master stood still do not make a clock wrong; a wrong clock is told")
    func skewAfterPause() {
        let script = Script()
        script.beat("a")
        script.wait(1)
        func isSkewed(created: Double) -> Bool {
            let body = HeartbeatBody(
                serverName: "a", serverPort: 1, createdTime: Int64(created * 1000), shunt: ShuntExtension(version: "t", boot: "1"))
            let connection = ConnectionID(loop: 0, slot: 1, generation: 0)
            _ = Frame.heartbeat(id: 1, body).encoded().withUnsafeBytes { script.engine.received($0, on: connection, now: script.now) }
            defer { script.engine.clear() }
            return script.engine.changes.contains { if case .event(let event) = $0 { event.kind == .workerSkewed } else { false } }
        }
        script.now += 12
        #expect(!isSkewed(created: script.now - 12), "read before the master has noticed")
        script.engine.tick(now: script.now)
        #expect(!isSkewed(created: script.now - 9), "and just after")
        script.wait(3)
        #expect(isSkewed(created: script.now - 9))
    }

    @Test("A worker that advertises an IPv6 address is named in brackets")
    func bracketed() {
        let script = Script()
        script.beat("::1")
        #expect(script.ask(.allocation(id: 5, .all), on: 9)?.text == "[::1]:1")
        #expect(script.create("c", at: "::1")?.text == "[::1]:1")
    }

    @Test("A device that registers at another worker is ended at the first, if that is one of ours")
    func displaces() throws {
        let script = Script()
        for (number, host) in [(UInt32(1), "a"), (2, "b")] { script.beat(host, on: number) }
        _ = script.report("a", [.init(uid: "ann", device: "d", address: "", connectedAt: 1, registeredAt: 7)])
        _ = script.report("b", [.init(uid: "ann", device: "d", address: "", connectedAt: 1, registeredAt: 9)], on: 2)
        // Both have been told of bans when they joined, and asked for their clients.
        #expect(script.told.values.allSatisfy { $0.prefix(2).map(\.name) == [BansBody.frameName, ClientsRequestBody.frameName] })
        let order = try #require(script.told[1]?.dropFirst(2).first)
        #expect(order.type == .registered)
        let body = try order.value.withUnsafeBytes { bytes in try DeviceBatchBody(decoding: bytes) }
        #expect(body.left == [.init(uid: "ann", device: "d", registeredAt: 7)])
        #expect(script.told[2]?.count == 2)
    }
}
