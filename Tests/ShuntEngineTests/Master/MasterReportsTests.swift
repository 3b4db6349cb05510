import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("What a worker tells its master")
struct MasterReportsTests {
    private func device(_ uid: String, at time: Double = 1) -> Device {
        Device(
            uid: uid, device: "d", connection: ConnectionID(loop: 0, slot: 0, generation: 0), connectedAt: 1, registeredAt: time)
    }

    /// Reports that a test can ask for, one after the other.
    private final class Script {
        var reports = MasterReports(worker: WorkerSource(port: 1))

        init(_ devices: [Device]) { join(devices) }

        func join(_ devices: [Device]) {
            reports.begin(isShunt: true, loops: 1)
            reports.add(devices: devices, chats: [], round: reports.round)
            reports.gather()
        }

        func next() -> MasterReports.Report? { reports.next() }

        /// The next, which must be of devices.
        func devices() throws -> DeviceBatchBody {
            let report = try #require(next())
            return try report.body.withUnsafeBytes { bytes in try DeviceBatchBody(decoding: bytes) }
        }

        func add(_ messages: MasterNews...) {
            for message in messages { reports.add(message) }
            reports.gather()
        }

        func sendAll() { while next() != nil {} }
    }

    @Test("Names that one connection takes and gives up while a master takes its time cost little, and each end is told")
    func everNewNames() throws {
        let script = Script([])
        script.sendAll()
        let labels = (0..<32).map { "\($0) " + String(repeating: "x", count: 246) }
        // Something is under way: what comes meanwhile is kept.
        script.add(.registered(device("first")))
        for number in 0..<1000 {
            script.add(
                .registered(
                    Device(
                        uid: "u\(number)", device: "d", tags: labels, alias: labels,
                        connection: ConnectionID(loop: 0, slot: 0, generation: 0), connectedAt: 1, registeredAt: 2)),
                .unregistered(uid: "u\(number)", device: "d", registeredAt: 2))
        }
        script.sendAll()
        script.add()
        var (registered, left) = (0, 0)
        while let report = script.next() {
            let body = try report.body.withUnsafeBytes { bytes in try DeviceBatchBody(decoding: bytes) }
            registered += body.registered.count
            left += body.left.count
        }
        #expect(left == 1000)
        #expect((1...70).contains(registered))
    }

    private var many: [Device] { (0..<2000).map { device("\($0) " + String(repeating: "x", count: 200)) } }

    @Test("A list that is too long for one frame comes in parts, as the driver asks for them; changes wait until all are sent")
    func parts() throws {
        let script = Script(many)
        let first = try script.devices()
        #expect(first.isFirst && !first.isLast)
        var count = first.registered.count
        script.add(.unregistered(uid: "late", device: "d", registeredAt: 2))
        var last = first
        while !last.isLast {
            last = try script.devices()
            #expect(last.left.isEmpty)
            count += last.registered.count
        }
        #expect(count == 2000)
        #expect(script.next()?.type == .chat)
        #expect(script.next() == nil)
        script.add()
        #expect(try script.devices().left.map(\.uid) == ["late"])
        #expect(script.next() == nil)
    }

    @Test("A report fits into a frame of the size that is given")
    func small() throws {
        var reports = MasterReports(worker: WorkerSource(port: 1), limits: ReportLimits(bytes: 4096))
        reports.begin(isShunt: true, loops: 1)
        reports.add(devices: Array(many.prefix(100)), chats: [], round: reports.round)
        reports.gather()
        var count = 0
        while let report = reports.next() {
            count += 1
            #expect(report.body.count < 4096)
        }
        #expect(count > 10)
    }

    @Test("A new list takes the place of one that is not sent to the end")
    func again() throws {
        let script = Script(many)
        _ = script.next()
        script.join([device("ann")])
        let whole = try script.devices()
        #expect(whole.isFirst && whole.isLast && whole.registered.map(\.uid) == ["ann"])
    }

    @Test("Of a device that came and went, both are told; of one that came again, only that")
    func passes() throws {
        let script = Script([])
        script.sendAll()
        script.reports.add(.registered(device("bob", at: 2)))
        script.reports.add(.unregistered(uid: "bob", device: "d", registeredAt: 1))
        script.reports.add(.registered(device("ann", at: 1)))
        script.add(.unregistered(uid: "ann", device: "d", registeredAt: 1))
        let told = try script.devices()
        #expect(told.registered.map(\.uid).sorted() == ["ann", "bob"])
        #expect(told.left.map(\.uid) == ["ann"])
    }

    @Test("Names that only look the same are two")
    func exactNames() throws {
        let script = Script([])
        script.sendAll()
        for chat in ["\u{E9}", "e\u{301}"] { script.reports.add(.chat(.held(ChatSummary(chat: chat, createdAt: 1, members: 1)))) }
        script.reports.add(.registered(device("\u{E9}")))
        script.add(.unregistered(uid: "e\u{301}", device: "d", registeredAt: 9))
        #expect(try script.devices().registered.count == 1)
        let chats = try #require(script.next())
        #expect(try chats.body.withUnsafeBytes { bytes in try ChatReportBody(decoding: bytes) }.chats.count == 2)
    }

    @Test("One client that registers under ever-new names while the master takes its time is kept in bounded memory; then all is told anew")
    func bounded() throws {
        let script = Script(many)
        for number in 0..<30_000 {
            script.reports.add(.registered(device("name \(number)", at: 2)))
            script.reports.add(.unregistered(uid: "name \(number)", device: "d", registeredAt: 2))
            #expect(script.reports.waitingDevices <= MasterReports.endedCapacity + 1)
        }
        #expect(script.reports.waitingDevices == 0 && !script.reports.mustBeginAgain)
        script.sendAll()
        #expect(script.reports.mustBeginAgain && !script.reports.isDrained)
        script.join([device("ann")])
        #expect(try script.devices().registered.map(\.uid) == ["ann"])
        script.sendAll()
        #expect(script.reports.isDrained)
    }
}

@Suite("A worker's link to its master")
struct MasterLinkTests {
    private func joined() -> MasterLink {
        var link = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        _ = link.tick(now: 0)
        _ = link.connected(now: 0)
        let beat = Self.sent(link.heartbeat(HeartbeatBody(serverPort: 1, createdTime: 0), now: 0))
        _ = link.received(Frame(acknowledging: beat[0], text: "shunt"), now: 0)
        return link
    }

    /// The ids of frames that are sent.
    private static func sent(_ actions: [MasterLink.Action]) -> [Int64] {
        actions.compactMap { action in
            guard case .send(let bytes) = action else { return nil }
            return bytes.withUnsafeBytes { Int64(bigEndian: $0.loadUnaligned(fromByteOffset: 1, as: Int64.self)) }
        }
    }

    private let one = MasterLink.Confirmation(loop: 0, request: 1), two = MasterLink.Confirmation(loop: 1, request: 1)

    @Test("What was told is confirmed by its answer, and with it what was told before")
    func confirms() {
        var link = joined()
        #expect(link.confirm([one]) == [.confirmed([one])], "nothing was told")
        let first = Self.sent(link.tell(.register, [], now: 1))[0]
        #expect(link.confirm([one]) == [])
        let second = Self.sent(link.tell(.register, [], now: 1))[0]
        #expect(link.confirm([two]) == [] && link.isConfirming)
        #expect(link.received(Frame(acknowledging: first), now: 1) == [.confirmed([one])])
        #expect(link.received(Frame(acknowledging: second), now: 1) == [.confirmed([two])])
        #expect(!link.isConfirming)
    }

    @Test("Who waits for a master that goes is not left waiting")
    func lost() {
        var link = joined()
        _ = link.tell(.register, [], now: 1)
        _ = link.confirm([one])
        #expect(link.closed(why: "reset", now: 1, random: 0).contains(.confirmed([one])))
        #expect(link.confirm([two]) == [.confirmed([two])])
    }

    @Test("A question waits for a master that is expected, and not for ever")
    func early() {
        var link = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        let question = MasterLink.ChatQuestion(loop: 0, request: 1, chat: "c")
        #expect(link.ask(question, host: ChatHostBody(host: "w", port: 1), now: 0.1) == [])
        _ = link.tick(now: 0.1)
        _ = link.connected(now: 0.1)
        let beat = Self.sent(link.heartbeat(HeartbeatBody(serverPort: 1, createdTime: 0), now: 0.1))
        #expect(Self.sent(link.received(Frame(acknowledging: beat[0], text: "shunt"), now: 0.2)).count == 1, "asked when joined")
        var other = MasterLink(masters: ["m:1"], interval: 3, now: 0)
        _ = other.ask(question, host: ChatHostBody(host: "w", port: 1), now: 0.1)
        #expect(other.tick(now: 2).contains(.answered(question, .unavailable)))
        #expect(other.ask(question, host: ChatHostBody(host: "w", port: 1), now: 2.1) == [.answered(question, .unavailable)])
    }
}
