import SeededRandom
import Testing

@testable import ShuntCore

@Suite("Connections with many subscriptions")
struct CrowdedConnectionTests {
    private struct Held: Hashable {
        var filter: String
        var group: String
    }

    @Test("A random history of thousands of subscriptions on one connection leaves what a list of them says", arguments: 1...6)
    func agreesWithList(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let index = Index()
        let (own, other) = (client(1), client(2))
        var (held, order): ([Held], Int) = ([], 0)
        for step in 0..<6000 {
            let one = Held(filter: "t/\(random.next() % 900)", group: "g\(random.next() % (seed.isMultiple(of: 2) ? 700 : 3))")
            if random.next() % 3 != 0 {
                order += 1
                #expect(index.add(1, one.filter, one.group, order: order) == !held.contains(one))
                if !held.contains(one) { held.append(one) }
            } else if let at = held.indices.randomElement(using: &random) {
                let gone = held.remove(at: at)
                #expect(index.remove(connection: own, filter: gone.filter, group: gone.group, key: nil) != nil)
                #expect(index.remove(connection: own, filter: gone.filter, group: gone.group, key: nil) == nil)
            }
            if random.next() % 8 == 0 {
                order += 1
                index.add(2, one.filter, one.group, order: order)
            }
            let sharers = Set(held.filter { $0.filter == one.filter }.map(\.group))
            let others = Set(index.subscriptions(of: other).filter { $0.filter == one.filter }.map(\.group))
            #expect(index.send(one.filter).count == sharers.union(others).count)
            guard step % 500 == 0 else { continue }
            #expect(Set(index.subscriptions(of: own).map { Held(filter: $0.filter, group: $0.group) }) == Set(held))
            #expect(Set(index.groups(of: own)) == Set(held.map(\.group)))
        }
        index.removeAll(of: own)
        #expect(index.subscriptions(of: own).isEmpty)
        #expect(index.count == index.subscriptions(of: other).count)
    }

    @Test("Producers wait for a connection as long as one of its groups holds")
    func holding() {
        let index = Index(slowPolicies: SlowConsumerPolicies(standard: .dropNewest, overrides: ["held": .hold]))
        for number in 0..<600 { index.add(1, "t/\(number)", "g\(number)", order: number) }
        index.setCongested(client(1), true)
        func blocks() -> Bool {
            index.clearBlocker()
            _ = index.send("t/7")
            return index.blocker == client(1)
        }
        #expect(!blocks())
        index.add(1, "x", "held", order: 700)
        #expect(blocks())
        index.add(1, "y", "held", order: 701)
        _ = index.remove(connection: client(1), filter: "x", group: "held", key: nil)
        #expect(blocks())
        _ = index.remove(connection: client(1), filter: "y", group: "held", key: nil)
        #expect(!blocks())
    }

    @Test("Of 100,000 subscriptions on one connection, each takes about as long as of 2,000")
    func staysLinear() {
        func seconds(_ count: Int) -> Double {
            let index = Index()
            let took = ContinuousClock().measure {
                for number in 0..<count { index.add(1, "t", "g\(number)", order: number) }
                for number in 0..<count { _ = index.remove(connection: client(1), filter: "t", group: "g\(number)", key: nil) }
            }
            return Double(took.components.attoseconds) * 1e-18 + Double(took.components.seconds)
        }
        // Where a change looks at all of them, they take 2,500 times as long, not 50 times.
        #expect(seconds(100_000) < seconds(2_000) * 50 * 10)
    }
}
