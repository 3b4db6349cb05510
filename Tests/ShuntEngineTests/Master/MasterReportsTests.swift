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

        func add(_ messages: MasterMessage...) {
            for message in messages { reports.add(message) }
            reports.gather()
        }

        func sendAll() { while next() != nil {} }
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
}
