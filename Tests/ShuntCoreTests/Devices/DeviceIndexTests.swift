import SeededRandom
import Testing

@testable import ShuntCore

@Suite("The device index")
struct DeviceIndexTests {
    @Test("Registering again on a connection replaces what it was")
    func replaces() {
        var index = DeviceIndex()
        #expect(index.register(device(1, "ann", "phone", tags: ["a"])) == .none)
        #expect(index.register(device(1, "ann", "phone", tags: ["b"])) == .none)
        #expect(found(DeviceFilter(matchTags: ["a"]), index) == [])
        #expect(found(DeviceFilter(matchTags: ["b"]), index) == [1])
        let renamed = index.register(device(1, "bob", "phone"))
        #expect(renamed == .init(renamed: device(1, "ann", "phone", tags: ["b"])))
        #expect(found(DeviceFilter(uid: "ann"), index) == [])
        #expect(found(DeviceFilter(uid: "bob"), index) == [1])
        #expect(index.count == 1)
    }

    @Test("A name that another connection has moves to the one that registers (Q5)")
    func takesOver() {
        var index = DeviceIndex()
        _ = index.register(device(1, "ann", "phone", alias: ["x"]))
        _ = index.register(device(2, "bob", "phone"))
        let displaced = index.register(device(2, "ann", "phone"))
        #expect(displaced == .init(renamed: device(2, "bob", "phone"), takenOver: device(1, "ann", "phone", alias: ["x"])))
        #expect(found(.all, index) == [2])
        #expect(index.device(of: client(1)) == nil)
        // The old connection closes later: it is no device any more.
        #expect(index.remove(client(1)) == nil)
        #expect(found(DeviceFilter(uid: "ann", device: "phone"), index) == [2])
    }

    @Test("An id that outlived its connection names nobody")
    func generations() {
        var index = DeviceIndex()
        _ = index.register(device(1, "ann", "phone"))
        let next = ConnectionID(loop: 0, slot: 1, generation: 1)
        #expect(index.device(of: next) == nil)
        #expect(index.remove(next) == nil)
        _ = index.register(Device(uid: "bob", device: "phone", connection: next, connectedAt: 0, registeredAt: 0))
        #expect(index.count == 1)
        #expect(index.device(of: client(1)) == nil)
    }

    @Test(
        "A takeover from another loop removes the earlier registration only",
        arguments: [
            (5.0, 9, true), (1.0, 9, false), (3.0, 9, true), (3.0, 1, false), (3.0, 2, false),
        ])
    func takeoverFromAnotherLoop(_ at: Double, _ other: Int, _ isRemoved: Bool) {
        var index = DeviceIndex()
        let own = device(2, "ann", "phone", at: 3)
        _ = index.register(own)
        let removed = index.remove(uid: "ann", device: "phone", takenBy: client(other), at: at)
        #expect(removed == (isRemoved ? own : nil))
        #expect(index.count == (isRemoved ? 0 : 1))
        #expect(index.remove(uid: "ann", device: "car", takenBy: client(other), at: 10) == nil)
    }

    @Test("A tag given twice counts once, and one that is an alias too is found as either")
    func labels() {
        var index = DeviceIndex()
        _ = index.register(device(1, "ann", "ann", tags: ["ann", "ann", "b"], alias: ["b"]))
        #expect(index.device(of: client(1)) == device(1, "ann", "ann", tags: ["ann", "b"], alias: ["b"]))
        #expect(found(DeviceFilter(matchTags: ["ann", "b"], matchAlias: ["b"]), index) == [1])
        #expect(found(DeviceFilter(filterAlias: ["ann"]), index) == [1])
    }

    @Test("What was registered is gone without a trace when all have left")
    func leavesNothing() {
        var index = DeviceIndex()
        for round in 0..<3 {
            for number in 0..<100 { _ = index.register(device(number, "u\(number % 10)", "d\(number)", tags: ["t\(round)"])) }
            for number in 0..<100 { #expect(index.remove(client(number)) != nil) }
        }
        #expect(index.count == 0)
        #expect(index.terms.count == 0)
        #expect(index.entries.count == 100)
        #expect(found(.all, index) == [])
    }

    @Test(
        "Only the devices that have the rarest thing to match are looked at, among however many",
        arguments: [
            (DeviceFilter(uid: "u7"), 1), (DeviceFilter(uid: "u7", device: "d7"), 1),
            (DeviceFilter(device: "d7", matchTags: ["all"]), 1), (DeviceFilter(matchTags: ["few", "all"], matchAlias: ["a7"]), 1),
            (DeviceFilter(matchTags: ["few"], filterTags: ["all"]), 10), (DeviceFilter(uid: "u7", matchTags: ["gone"]), 0),
        ])
    func looksAtFew(_ filter: DeviceFilter, _ looks: Int) {
        for size in [20, 2000] {
            var index = DeviceIndex()
            for number in 0..<size {
                let tags = number < 10 ? ["all", "few"] : ["all"]
                _ = index.register(device(number, "u\(number)", "d\(number)", tags: tags, alias: ["a\(number)"]))
            }
            #expect(candidates(filter, index) == looks)
        }
    }

    /// How many devices a filter looks at.
    private func candidates(_ filter: DeviceFilter, _ index: DeviceIndex) -> Int {
        guard let query = DeviceQuery(filter, index.terms) else { return 0 }
        switch query.source(index.terms) {
        case .all: return index.count
        case .one: return 1
        case .anyOf(let terms): return terms.reduce(0) { $0 + index.terms.count(of: $1) }
        }
    }

    @Test("After any history, every filter finds what the rule takes, each once", arguments: 1...30)
    func agreesWithTheRule(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var index = DeviceIndex()
        var held: [Int: Device] = [:]
        for step in 0..<300 {
            let next = Self.randomDevice(&random, at: Double(step))
            switch random.next() % 6 {
            case 0:
                let number = next.connection.slot
                #expect((index.remove(client(number)) != nil) == (held.removeValue(forKey: number) != nil))
            case 1:
                let owner = held.values.first { $0.uid == next.uid && $0.device == next.device }
                let removed = index.remove(uid: next.uid, device: next.device, takenBy: client(99), at: next.registeredAt)
                #expect(removed == owner)
                if let owner { held[owner.connection.slot] = nil }
            default:
                let displaced = index.register(next)
                held[next.connection.slot] = nil
                let owner = held.values.first { $0.uid == next.uid && $0.device == next.device }
                #expect(displaced.takenOver == owner)
                if let owner { held[owner.connection.slot] = nil }
                held[next.connection.slot] = next
            }
            let filter = Self.randomFilter(&random)
            #expect(found(filter, index) == held.values.filter(filter.matches).map(\.connection.slot).sorted())
            #expect(index.count == held.count)
        }
        var told: [Device] = []
        index.forEach { told.append($0) }
        let byConnection: (Device, Device) -> Bool = { $0.connection.slot < $1.connection.slot }
        #expect(told.sorted(by: byConnection) == held.values.sorted(by: byConnection))
    }

    static func randomDevice(_ random: inout SplitMix, at: Double) -> Device {
        let number = Int.random(in: 0..<20, using: &random)
        return device(
            number, "u\(random.next() % 5)", "d\(random.next() % 5)", tags: labels("t", &random), alias: labels("t", &random),
            at: at)
    }

    static func randomFilter(_ random: inout SplitMix) -> DeviceFilter {
        func maybe<Value>(_ value: Value) -> Value? { random.next() % 3 == 0 ? value : nil }
        return DeviceFilter(
            uid: maybe("u\(random.next() % 6)"), device: maybe("d\(random.next() % 6)"),
            matchTags: maybe(labels("t", &random)), matchAlias: maybe(labels("t", &random)),
            filterTags: maybe(labels("t", &random)), filterAlias: maybe(labels("t", &random)))
    }

    /// Up to three different labels.
    static func labels(_ prefix: String, _ random: inout SplitMix) -> [String] {
        (0..<5).filter { _ in random.next() % 4 == 0 }.prefix(3).map { "\(prefix)\($0)" }
    }
}
