import ExchangeCodec
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("The master's devices")
struct DeviceDirectoryTests {
    final class Script {
        var directory: DeviceDirectory
        var changes: [DeviceChange] = []

        init(keep: Double = 100, capacity: Int = 1000) { directory = DeviceDirectory(keep: keep, capacity: capacity) }

        @discardableResult
        func tell(
            _ worker: String, _ registered: [(String, Int64)] = [], left: [(String, Int64)] = [], first: Bool = false,
            last: Bool = false, at now: Double = 10
        ) -> Int {
            changes = []
            let body = DeviceBatchBody(
                worker: WorkerSource(port: 1), isFirst: first, isLast: last,
                registered: registered.map {
                    .init(uid: $0.0, device: "d", tags: ["t"], address: "1.2.3.4:5", connectedAt: 9000, registeredAt: $0.1)
                }, left: left.map { .init(uid: $0.0, device: "d", registeredAt: $0.1) })
            return directory.report(body, from: worker, now: now, &changes)
        }

        func tick(_ now: Double) -> [DeviceChange] {
            changes = []
            directory.tick(now: now, &changes)
            return changes
        }

        /// `w1:1` where it is online, `-w1:1` where it was last.
        func place(_ uid: String) -> String? {
            directory.record(uid: uid, device: "d").map { ($0.isOnline ? "" : "-") + $0.worker }
        }
    }

    @Test("A device that registers is online, one that leaves is offline, and is removed when it was kept long enough")
    func life() {
        let script = Script()
        script.tell("w1:1", [("ann", 1)])
        let record = DeviceRecord(
            uid: "ann", device: "d", tags: ["t"], worker: "w1:1", address: "1.2.3.4:5", connectedAt: 9, lastSeenAt: 10)
        #expect(script.changes == [.device(record)])
        script.tell("w1:1", left: [("ann", 1)], at: 20)
        #expect(script.changes == [.left(uid: "ann", device: "d", at: 20)])
        #expect(script.place("ann") == "-w1:1")
        #expect(script.tick(119) == [])
        #expect(script.tick(120) == [.removed(uid: "ann", device: "d")])
        #expect(script.directory.count == 0)
    }

    @Test("A device that came back is kept, however often it left before")
    func returns() {
        let script = Script()
        for round in 0..<5000 {
            script.tell("w1:1", [("ann", Int64(round))], at: Double(round) / 1000)
            if round < 4999 { script.tell("w1:1", left: [("ann", Int64(round))], at: Double(round) / 1000) }
        }
        #expect(script.directory.waitingDepartures < 2100)
        #expect(script.tick(1000) == [])
        #expect(script.place("ann") == "w1:1")
    }

    @Test(
        "An end that is told after the next registration ends nothing, nor does one of another worker",
        arguments: [
            ("w1:1", 4, "w1:1"), ("w1:1", 5, "-w1:1"), ("w1:1", 6, "-w1:1"), ("w2:1", 9, "w1:1"),
        ] as [(String, Int64, String)])
    func overtaken(_ teller: String, _ registeredAt: Int64, _ place: String) {
        let script = Script()
        script.tell("w1:1", [("ann", 5)], left: [("ann", 4)])
        script.tell(teller, left: [("ann", registeredAt)])
        #expect(script.place("ann") == place)
    }

    @Test("A device that appears at another worker has moved, even if that worker's clock is behind")
    func moves() {
        let script = Script()
        script.tell("w2:1", [("ann", 5000)])
        script.tell("w1:1", [("ann", 4000)])
        #expect(script.place("ann") == "w1:1")
        script.tell("w2:1", left: [("ann", 5000)])
        #expect(script.place("ann") == "w1:1")
        var changes: [DeviceChange] = []
        script.directory.workerLost("w2:1", now: 11, &changes)
        #expect(changes == [])
    }

    @Test("A device that is at two workers is online until it has left both, whichever first")
    func twoPlaces() {
        for first in ["w1:1", "w2:1"] {
            let script = Script()
            script.tell("w1:1", [("ann", 1)])
            script.tell("w2:1", [("ann", 2)])
            let (other, at) = first == "w1:1" ? ("w2:1", 1) : ("w1:1", 2) as (String, Int64)
            script.tell(first, left: [("ann", at)], at: 20)
            #expect(script.place("ann") == other)
            script.tell(other, left: [("ann", 3 - at)], at: 30)
            #expect(script.place("ann") == "-" + other)
            #expect(script.changes == [.left(uid: "ann", device: "d", at: 30)])
        }
    }

    @Test("Where a device was at two workers and one is lost or lists it no more, it is at the other")
    func twoPlacesLost() {
        let script = Script()
        for uid in ["ann", "bob"] {
            script.tell("w1:1", [(uid, 1)])
            script.tell("w2:1", [(uid, 2)])
        }
        script.tell("w2:1", [("ann", 2)], first: true, last: true)
        #expect(["ann", "bob"].map(script.place) == ["w2:1", "w1:1"])
        #expect(script.directory.workers(holding: "ann") == ["w1:1", "w2:1"])
        script.changes = []
        script.directory.workerLost("w2:1", now: 40, &script.changes)
        #expect(script.changes.first == .workerLost(worker: "w2:1", at: 40))
        #expect(script.changes.count == 2)
        #expect(script.place("ann") == "w1:1")
    }

    @Test("A Java worker never tells that a device has left: one that has moved from there is not there any more")
    func movedFromJava() {
        let script = Script()
        let body = RegisterBody(uid: "ann", device: "d", workerPort: 1)
        #expect(script.directory.register(body, from: "j:1", now: 1, &script.changes))
        script.tell("w1:1", [("ann", 9)])
        script.tell("w1:1", left: [("ann", 9)])
        #expect(script.place("ann") == "-w1:1")
    }

    @Test("The workers of one device are bounded")
    func manyPlaces() {
        let script = Script()
        for number in 1...20 { script.tell("w\(number):1", [("ann", Int64(number))]) }
        #expect(script.directory.workers(holding: "ann").count == DeviceDirectory.placesOfDevice)
    }

    @Test("Names that only look the same are two devices")
    func exactNames() {
        let script = Script()
        script.tell("w1:1", [("\u{E9}", 1), ("e\u{301}", 1)])
        script.tell("w1:1", left: [("e\u{301}", 1)])
        #expect(script.place("\u{E9}") == "w1:1")
        #expect(script.place("e\u{301}") == "-w1:1")
    }

    @Test(
        "When workers list all they have, the later registration counts, whoever lists first",
        arguments: [
            (1, 2, "w2:1"), (2, 1, "w1:1"), (1, 1, "w2:1"),
        ] as [(Int64, Int64, String)])
    func merges(_ one: Int64, _ two: Int64, _ place: String) {
        let lists = [("w1:1", one), ("w2:1", two)]
        for order in [lists, lists.reversed()] {
            let script = Script()
            for (worker, at) in order { script.tell(worker, [("ann", at)], first: true, last: true) }
            #expect(script.place("ann") == place)
        }
    }

    @Test("A full list in several bodies: what the worker had and has not told is offline, others' is not")
    func fullList() {
        let script = Script()
        script.tell("w1:1", [("a", 1), ("b", 1), ("x", 1)])
        script.tell("w2:1", [("y", 1)])
        script.tell("w1:1", [("a", 1)], first: true)
        script.tell("w1:1", [("b", 1)], last: true, at: 30)
        #expect(script.changes.last == .left(uid: "x", device: "d", at: 30))
        #expect(["a", "b", "x", "y"].map(script.place) == ["w1:1", "w1:1", "-w1:1", "w2:1"])
    }

    @Test("A lost worker's devices are offline with one change; they are online again when it is back")
    func workerLost() {
        let script = Script()
        script.tell("w1:1", [("a", 1), ("b", 1)])
        script.tell("w2:1", [("c", 1)])
        var changes: [DeviceChange] = []
        script.directory.workerLost("w1:1", now: 50, &changes)
        #expect(changes == [.workerLost(worker: "w1:1", at: 50)])
        #expect(["a", "b", "c"].map(script.place) == ["-w1:1", "-w1:1", "w2:1"])
        script.tell("w1:1", [("a", 1)], first: true, last: true, at: 60)
        #expect(script.place("a") == "w1:1")
        #expect(script.tick(150) == [.removed(uid: "b", device: "d")])
    }

    @Test("A Java worker's REGISTER is a session too")
    func javaWorkers() {
        let script = Script()
        let body = RegisterBody(uid: "ann", device: "d", tags: ["t"], address: "1.2.3.4:5", workerPort: 4091)
        #expect(script.directory.register(body, from: "w9:4091", now: 10, &script.changes))
        #expect(script.place("ann") == "w9:4091")
    }

    @Test("What the registry held is offline until a worker tells of it, and goes in the end")
    func restores() {
        let script = Script()
        let records = ["a", "b"].map {
            DeviceRecord(uid: $0, device: "d", worker: "w1:1", address: "", connectedAt: 1, lastSeenAt: 1)
        }
        script.directory.restore(records, now: 10)
        #expect(script.place("a") == "-w1:1")
        script.tell("w1:1", [("a", 1)], first: true, last: true)
        #expect(script.tick(110) == [.removed(uid: "b", device: "d")])
        #expect(script.place("a") == "w1:1")
    }

    @Test("What the registry held online and no worker tells of is told offline when patience ends, once")
    func restoredAndSilent() {
        let script = Script()
        let records = ["a", "b"].map {
            DeviceRecord(uid: $0, device: "d", worker: "w1:1", address: "", connectedAt: 1, lastSeenAt: 1)
        }
        script.directory.restore(records, now: 10, until: 16)
        script.tell("w1:1", [("a", 1)], first: true, last: true)
        #expect(script.tick(15) == [])
        #expect(script.tick(16) == [.left(uid: "b", device: "d", at: 10)])
        #expect(script.tick(17) == [])
    }

    @Test("At the capacity the one that is offline longest makes way; if all are online the new one is refused")
    func bounded() {
        let script = Script(capacity: 2)
        script.tell("w1:1", [("a", 1), ("b", 1)])
        #expect(script.tell("w1:1", [("c", 1)]) == 1)
        script.tell("w1:1", left: [("b", 1)])
        #expect(script.tell("w1:1", [("c", 1)]) == 0)
        #expect(["a", "b", "c"].map(script.place) == ["w1:1", nil, "w1:1"])
        #expect(script.directory.count == 2)
    }

    @Test("One tick removes a bounded number")
    func boundedTick() {
        let count = DeviceDirectory.removalsPerTick + 10
        let script = Script(capacity: 10_000)
        script.tell("w1:1", (0..<count).map { ("u\($0)", 1) })
        var changes: [DeviceChange] = []
        script.directory.workerLost("w1:1", now: 10, &changes)
        #expect(script.tick(1000).count == DeviceDirectory.removalsPerTick)
        #expect(script.tick(1000).count == 10)
    }

    // MARK: Memory

    /// A registration with labels of 250 bytes.
    private func large(_ uid: String, _ at: Int64) -> DeviceBatchBody.Registered {
        let labels = (0..<32).map { "\($0) " + String(repeating: "x", count: 246) }
        return .init(uid: uid, device: "d", tags: labels, alias: labels, address: "1.2.3.4:5", connectedAt: 1, registeredAt: at)
    }

    @Test("Ever-new names of one connection take the memory that is given, and no more; those that left longest ago make way")
    func boundedMemory() throws {
        var directory = DeviceDirectory(memory: 1 << 20)
        var changes: [DeviceChange] = []
        for number in 0..<1000 {
            let body = DeviceBatchBody(
                worker: WorkerSource(port: 1), registered: [large("u\(number)", Int64(number))],
                left: number == 0 ? [] : [.init(uid: "u\(number - 1)", device: "d", registeredAt: Int64(number - 1))])
            #expect(directory.report(body, from: "w1:1", now: Double(number), &changes) == 0)
            #expect(directory.memory.bytes <= 1 << 20)
        }
        #expect((40...60).contains(directory.count))
        #expect(directory.memory.evicted == 1000 - directory.count)
        #expect(directory.memory.stripped == 0)
        #expect(directory.record(uid: "u999", device: "d")?.tags.count == 32)
        #expect(directory.record(uid: "u998", device: "d") != nil)
        #expect(directory.record(uid: "u0", device: "d") == nil)
        #expect(changes.filter { if case .removed = $0 { true } else { false } }.count == directory.memory.evicted)
    }

    @Test("Where all are online, new devices are kept without labels, then not at all; one that comes back keeps its place")
    func fullMemory() throws {
        var directory = DeviceDirectory(memory: 100_000)
        var changes: [DeviceChange] = []
        func tell(_ one: DeviceBatchBody.Registered) -> Int {
            directory.report(DeviceBatchBody(worker: WorkerSource(port: 1), registered: [one]), from: "w1:1", now: 1, &changes)
        }
        var refused = 0
        for number in 0..<300 { refused += tell(large("u\(number)", 1)) }
        #expect(refused > 0)
        #expect(directory.memory.refused == refused)
        #expect(directory.count == 300 - refused)
        #expect(directory.memory.stripped >= directory.count - 5)
        #expect(directory.record(uid: "u0", device: "d")?.tags.count == 32)
        #expect(directory.record(uid: "u20", device: "d")?.tags == [])
        #expect(directory.memory.bytes <= 100_000)
        // Known names are never refused.
        #expect(tell(large("u20", 2)) == 0)
        #expect(directory.memory.bytes <= 100_000)
        #expect(tell(large("u0", 2)) == 0)
        #expect(directory.record(uid: "u0", device: "d")?.tags.count == 32)
        directory.workerLost("w1:1", now: 2, &changes)
        directory.tick(now: 1e9, &changes)
        #expect(directory.count == 0)
        #expect(directory.memory.bytes == 0)
    }

    @Test("Of what the registry holds the latest have room, and the registry is told what has not")
    func restoredMemory() {
        var directory = DeviceDirectory(memory: 10_000)
        let records = (0..<100).map { number in
            DeviceRecord(uid: "u\(number)", device: "d", worker: "w1:1", address: "", isOnline: false, connectedAt: 0, lastSeenAt: Double(number))
        }
        let changes = directory.restore(records, now: 100)
        #expect(directory.count == 10_000 / 512)
        #expect(directory.record(uid: "u99", device: "d") != nil)
        #expect(changes.count == 100 - directory.count)
        #expect(changes.first == .removed(uid: "u0", device: "d"))
    }

    @Test("The memory that is counted is that of the sessions, whatever happens to them")
    func countedMemory() {
        var directory = DeviceDirectory(keep: 5, memory: 40_000)
        var changes: [DeviceChange] = []
        var random = SplitMix(seed: 7)
        for step in 0..<5000 {
            let worker = "w\(Int.random(in: 0..<4, using: &random)):1"
            let uid = "u\(Int.random(in: 0..<60, using: &random))"
            var body = DeviceBatchBody(worker: WorkerSource(port: 1), isFirst: Int.random(in: 0..<50, using: &random) == 0)
            if Int.random(in: 0..<2, using: &random) == 0 {
                body.registered = [
                    Int.random(in: 0..<5, using: &random) == 0
                        ? large(uid, Int64(step)) : .init(uid: uid, device: "d", address: "", connectedAt: 1, registeredAt: Int64(step))
                ]
            }
            if Int.random(in: 0..<3, using: &random) == 0 {
                body.left = [.init(uid: "u\(Int.random(in: 0..<60, using: &random))", device: "d", registeredAt: Int64(step))]
            }
            body.isLast = body.isFirst
            directory.report(body, from: worker, now: Double(step) / 10, &changes)
            if Int.random(in: 0..<100, using: &random) == 0 { directory.workerLost(worker, now: Double(step) / 10, &changes) }
            directory.tick(now: Double(step) / 10, &changes)
            _ = directory.takeDisplaced()
        }
        for worker in 0..<4 { directory.workerLost("w\(worker):1", now: 600, &changes) }
        directory.tick(now: 1000, &changes)
        #expect(directory.count == 0)
        #expect(directory.memory.bytes == 0)
    }
}
