import ShuntCore
import Synchronization
import Testing

@Suite("The directory of clients and sessions")
struct SessionDirectoryTests {
    private func session(_ uid: String, _ number: Int, loop: UInt8 = 0) -> ListedSession {
        ListedSession(
            uid: uid, device: "d\(number)", connection: ConnectionID(loop: loop, slot: UInt32(number), generation: 0), loop: loop)
    }

    private func devices(_ directory: SessionDirectory, _ uid: String, limit: Int = 100) -> [String] {
        directory.find(uid, limit: limit).found.map(\.device)
    }

    @Test("A uid's sessions are found, the last one first, and no others; a uid is compared by its bytes")
    func find() {
        let directory = SessionDirectory()
        let all = (0..<3).map { session("ada", $0) }
        for one in all { directory.list(one) }
        directory.list(session("bob", 9))
        directory.list(session("e\u{301}", 8))
        #expect(devices(directory, "ada") == ["d2", "d1", "d0"])
        #expect(devices(directory, "é") == [])
        #expect(devices(directory, "e\u{301}") == ["d8"])
        directory.remove(all[1])
        #expect(devices(directory, "ada") == ["d2", "d0"])
        directory.remove(all[1])
        directory.remove(all[2])
        directory.remove(all[0])
        #expect(devices(directory, "ada") == [])
        directory.list(all[1])
        #expect(devices(directory, "ada") == ["d1"])
    }

    @Test("At most so many are given, and whether there are more")
    func limit() {
        let directory = SessionDirectory()
        for number in 0..<3 { directory.list(session("ada", number)) }
        #expect(directory.find("ada", limit: 2).hasMore)
        #expect(devices(directory, "ada", limit: 2) == ["d2", "d1"])
        #expect(!directory.find("ada", limit: 3).hasMore)
        #expect(!directory.find("nobody", limit: 3).hasMore)
    }

    @Test("One that takes another's place is found in its place, under the same uid or another")
    func replace() {
        let directory = SessionDirectory()
        let first = session("ada", 1), second = session("ada", 2), third = session("bob", 3)
        directory.list(first)
        directory.list(second, inPlaceOf: first)
        #expect(devices(directory, "ada") == ["d2"])
        directory.list(third, inPlaceOf: second)
        #expect(devices(directory, "ada") == [])
        #expect(devices(directory, "bob") == ["d3"])
    }

    @Test("Changes in any order leave what a plain list would have")
    func churn() {
        let directory = SessionDirectory()
        var model: [String: [ListedSession]] = [:]
        var listed: [ListedSession] = []
        var seed: UInt64 = 42
        func random(_ most: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % most
        }
        func forget(_ place: Int) -> ListedSession {
            let old = listed.remove(at: place)
            model[old.uid]?.removeAll { $0 === old }
            return old
        }
        for step in 0..<20_000 {
            let new = session("u\(random(20))", step)
            switch random(3) {
            case 0 where !listed.isEmpty: directory.remove(forget(random(listed.count)))
            case 1 where !listed.isEmpty:
                directory.list(new, inPlaceOf: forget(random(listed.count)))
                listed.append(new)
                model[new.uid, default: []].append(new)
            default:
                directory.list(new)
                listed.append(new)
                model[new.uid, default: []].append(new)
            }
            if step % 97 == 0 {
                for (uid, all) in model { #expect(devices(directory, uid, limit: .max) == all.reversed().map(\.device)) }
            }
        }
    }

    private final class End: Sendable {
        let isReached = Atomic(false)
    }

    @Test("Loops list and find at the same time; whoever has taken another's place is seen once")
    func threads() async {
        let directory = SessionDirectory()
        let end = End()
        directory.list(session("stays", 0))
        let counts = await withTaskGroup(of: Set<Int>.self) { group in
            for loop in 0..<3 {
                group.addTask {
                    var last = session("stays", loop + 1, loop: UInt8(loop))
                    directory.list(last)
                    for number in 0..<20_000 {
                        let next = session("stays", number, loop: UInt8(loop))
                        directory.list(next, inPlaceOf: last)
                        last = next
                    }
                    return []
                }
            }
            group.addTask {
                var counts: Set<Int> = []
                while !end.isReached.load(ordering: .acquiring) {
                    counts.insert(directory.find("stays", limit: 100).found.count)
                    await Task.yield()
                }
                return counts
            }
            for _ in 0..<3 { _ = await group.next() }
            end.isReached.store(true, ordering: .releasing)
            return await group.next() ?? []
        }
        #expect(counts.isSubset(of: [1, 2, 3, 4]), "\(counts)")
        #expect(directory.find("stays", limit: 100).found.count == 4)
    }

    @Test("A long chain of one uid goes without a deep stack")
    func longChain() {
        let directory = SessionDirectory()
        for number in 0..<200_000 { directory.list(session("all", number)) }
        #expect(directory.find("all", limit: 100).hasMore)
    }
}
