import SeededRandom
import Testing

@testable import ShuntCore

@Suite("Routes that are kept")
struct RouteTableTests {
    @Test("A full table gives up a route that no message takes, and keeps those that are taken")
    func secondChance() {
        let index = Index(routeCapacity: 4)
        index.add(1, "#", "g")
        for topic in ["a", "b", "c", "d"] { _ = index.send(topic) }
        for round in 0..<20 {
            // A new topic is taken in when it comes a second time.
            for _ in 0..<2 {
                #expect(index.send("new/\(round)") == [1])
                for busy in ["a", "b"] { _ = index.send(busy) }
                index.trimRoutes()
                for busy in ["a", "b"] { #expect(!index.searches(for: busy)) }
            }
            #expect(index.routes == 4)
        }
        #expect(index.searches(for: "c"))
    }

    @Test("A topic of one message takes no place in a full table, and reaches its subscribers")
    func oneMessageEach() {
        let index = Index(routeCapacity: 2)
        index.add(1, "sensors/+/temp", "g")
        index.add(2, "sensors/7/temp", "h")
        for topic in ["x", "y"] { _ = index.send(topic) }
        #expect(index.send("sensors/7/temp").sorted() == [1, 2])
        for number in 100..<200 { #expect(index.send("sensors/\(number)/temp") == [1]) }
        #expect(index.routes == 2)
        index.trimRoutes()
        #expect(!index.searches(for: "x") && !index.searches(for: "y"))
    }

    @Test("Topics of one message are shared out to the members of a group too", arguments: [GroupStrategy.roundRobin, .keyHash, .leastDelivered])
    func oneMessageEachToAGroup(strategy: GroupStrategy) {
        let index = Index(strategies: GroupStrategies(standard: strategy), routeCapacity: 1)
        for member in 1...3 { index.add(member, "orders/+", "g") }
        var tally: [Int: Int] = [:]
        for number in 0..<300 {
            for member in index.send("orders/\(number)") { tally[member, default: 0] += 1 }
            if number % 10 == 0 { index.trimRoutes() }
        }
        #expect(tally == [1: 100, 2: 100, 3: 100])
    }

    @Test("A route of many members is kept at once, even in a full table")
    func manyMembers() {
        let index = Index(routeCapacity: 1)
        for member in 1...20 { index.add(member, "wide/+", "g\(member)") }
        _ = index.send("narrow")
        #expect(index.send("wide/1").count == 20)
        #expect(!index.searches(for: "wide/1"))
    }

    @Test(
        "A pattern that comes leaves the versions of topics that it can't take, and changes those of the topics that it takes",
        arguments: [
            ("site/7/#", ["site/7", "site/7/a", "site/7/a/b"], ["site/8/a", "7/a", "site"]),
            ("site/+/temp", ["site/1/temp", "site/2/temp"], ["site/1/humidity", "site/temp"]),
            ("+/b", ["a/b", "/b"], ["b/a", "b"]),
            ("#", ["a", "a/b", "/"], []),
            ("+/+", ["a/b", "/"], []),
        ])
    func versions(pattern: String, taken: [String], others: [String]) {
        var versions = TopicVersions()
        for topic in taken + others { topic.asBytes { versions.count($0, isKept: true) } }
        let before = (taken + others).map { topic in topic.asBytes { versions.version(of: $0) } }
        pattern.asBytes { versions.changed($0) }
        let after = (taken + others).map { topic in topic.asBytes { versions.version(of: $0) } }
        for at in taken.indices { #expect(before[at] != after[at], "\(taken[at])") }
        for at in others.indices { #expect(before[taken.count + at] == after[taken.count + at], "\(others[at])") }
    }

    @Test("Of a pattern's levels the one that the fewest routes have tells of its change")
    func rarestLevel() {
        var versions = TopicVersions()
        for number in 0..<100 { "site/\(number)/temp".asBytes { versions.count($0, isKept: true) } }
        "site/7/temp/#".asBytes { versions.changed($0) }
        let changed = (0..<100).filter { number in "site/\(number)/temp".asBytes { versions.version(of: $0) } != 0 }
        // Two levels may share a counter.
        #expect(changed.contains(7) && changed.count < 5)
        for number in 0..<100 { "site/\(number)/temp".asBytes { versions.count($0, isKept: false) } }
    }
}

@Suite("Byte strings in tables")
struct ByteTableTests {
    @Test("Strings of every length hash apart, and each alike wherever it lies")
    func hashes() {
        var seen: [UInt32: Int] = [:]
        let bytes = (0..<80).map { UInt8($0 * 3 % 256) }
        for length in 0..<64 {
            let hash = Array(bytes[..<length]).withUnsafeBytes { ByteHash.of($0) }
            #expect(seen.updateValue(length, forKey: hash) == nil)
            for offset in 1..<9 {
                let moved = [UInt8](repeating: 1, count: offset) + bytes[..<length] + [2]
                let again = moved.withUnsafeBytes { ByteHash.of(Bytes(rebasing: $0[offset..<offset + length])) }
                #expect(again == hash)
            }
        }
    }

    @Test("Each bit of a string moves its hash", arguments: [1, 3, 4, 7, 8, 9, 16, 17, 33])
    func everyBit(length: Int) {
        var bytes = (0..<length).map { UInt8($0) }
        let hash = bytes.withUnsafeBytes { ByteHash.of($0) }
        for bit in 0..<length * 8 {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(bytes.withUnsafeBytes { ByteHash.of($0) } != hash)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
    }

    @Test("A random history leaves what a dictionary holds", arguments: 1...5)
    func pool(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var pool = BytePool()
        var numbers: [String: UInt32] = [:]
        for _ in 0..<20_000 {
            let text = String(repeating: "x", count: Int(random.next() % 40)) + "\(random.next() % 500)"
            if let number = numbers[text], random.next() % 2 == 0 {
                pool.remove(number)
                numbers[text] = nil
            } else {
                let (number, isNew) = pool.enter(text)
                #expect(isNew == (numbers[text] == nil))
                numbers[text] = number
            }
        }
        #expect(pool.count == numbers.count)
        for (text, number) in numbers {
            #expect(pool.find(text) == number)
            #expect(pool.text(number) == text)
        }
    }
}
