import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("The master's chats, §11.3")
struct ChatDirectoryTests {
    /// A directory whose changes a test can ask for, one call after the other.
    final class Script {
        var directory: ChatDirectory
        var changes: [ChatChange] = []

        init(capacity: Int = 100) { directory = ChatDirectory(capacity: capacity) }

        func ask(_ chat: String, _ key: ChatKey = .create, from worker: String, at now: Double = 10) throws -> String {
            changes = []
            return try directory.request(chat, key, from: worker, now: now, &changes)
        }

        @discardableResult
        func tell(
            _ worker: String, _ chats: [(String, Int64)] = [], closed: [(String, Int64)] = [], full: Bool = false,
            at now: Double = 10
        ) -> [ChatDirectory.Loser] {
            changes = []
            let body = ChatReportBody(
                worker: WorkerSource(port: 1), isFirst: full, isLast: full,
                chats: chats.map { .init(chat: $0.0, createdAt: $0.1, members: 2) },
                closed: closed.map { .init(chat: $0.0, createdAt: $0.1) })
            return directory.report(body, from: worker, now: now, &changes)
        }

        func lose(_ worker: String) {
            changes = []
            directory.workerLost(worker, now: 10, &changes)
        }
    }

    @Test("The first to ask has the chat; others are sent there, whatever the key", arguments: ChatKey.allCases)
    func firstAsker(key: ChatKey) throws {
        let script = Script()
        #expect(try script.ask("c", from: "w1:1") == "w1:1")
        #expect(script.changes == [.chat(ChatRecord(chat: "c", worker: "w1:1", createdAt: 10, members: 0, updatedAt: 10))])
        #expect(try script.ask("c", key, from: "w2:1") == "w1:1")
        #expect(script.changes == [])
        #expect(try script.ask("c", from: "w1:1") == "w1:1")
        #expect(script.changes == [])
    }

    @Test("A Java worker's DESTROY, which comes twice, frees the chat and gets its address both times (§11.5.8)")
    func destroys() throws {
        let script = Script()
        _ = try script.ask("c", from: "w1:1")
        #expect(try script.ask("c", .destroy, from: "w1:1") == "w1:1")
        #expect(script.changes == [.closed(chat: "c", at: 10)])
        #expect(try script.ask("c", .destroy, from: "w1:1") == "w1:1")
        #expect(script.changes == [])
        #expect(try script.ask("c", from: "w2:1") == "w2:1")
    }

    @Test("A chat is free when its worker is lost, or tells that it is closed")
    func frees() throws {
        let script = Script()
        for chat in ["a", "b"] { _ = try script.ask(chat, from: "w1:1") }
        // It never opened, and the worker's clock is behind.
        script.tell("w1:1", closed: [("b", 9000)])
        #expect(script.changes == [.closed(chat: "b", at: 10)])
        script.lose("w1:1")
        #expect(script.changes == [.workerLost(worker: "w1:1", at: 10)])
        script.lose("w1:1")
        #expect(script.changes == [])
        #expect(try script.ask("a", from: "w2:1") == "w2:1")
        #expect(script.directory.count == 1)
        // It comes back and says that its chat is closed: that is not the other worker's.
        script.tell("w1:1", closed: [("a", 99_000)])
        #expect(script.directory.worker(of: "a") == "w2:1")
    }

    @Test("Ids that only look the same are two chats")
    func exactIDs() throws {
        let script = Script()
        _ = try script.ask("\u{E9}", from: "w1:1")
        #expect(try script.ask("e\u{301}", from: "w2:1") == "w2:1")
        #expect(script.directory.count == 2)
    }

    @Test("A chat of a worker that is given up is whose client asks, or who tells of it")
    func givenUp() throws {
        let script = Script()
        for chat in ["a", "b"] { script.tell("w1:1", [(chat, 1000)]) }
        var changes: [ChatChange] = []
        let isGivenUp = { (worker: String) in worker == "w1:1" }
        #expect(try script.directory.request("a", .create, from: "w2:1", now: 10, &changes, isGivenUp: isGivenUp) == "w2:1")
        let body = ChatReportBody(worker: WorkerSource(port: 1), chats: [.init(chat: "b", createdAt: 2000, members: 1)])
        #expect(script.directory.report(body, from: "w2:1", now: 10, &changes, isGivenUp: isGivenUp) == [])
        #expect(["a", "b"].map(script.directory.worker(of:)) == ["w2:1", "w2:1"])
    }

    @Test("An end that is told after the next beginning ends nothing")
    func overtaken() {
        let script = Script()
        script.tell("w1:1", [("c", 2000)], closed: [("c", 1000)])
        #expect(script.directory.worker(of: "c") == "w1:1")
        script.tell("w1:1", closed: [("c", 2000)])
        #expect(script.directory.worker(of: "c") == nil)
    }

    @Test(
        "Of two chats with one id the earlier counts, then the name that comes first, whoever tells first",
        arguments: [
            (1000, 2000, "w1:1"), (2000, 1000, "w2:1"), (1000, 1000, "w1:1"),
        ] as [(Int64, Int64, String)])
    func merges(_ first: Int64, _ second: Int64, _ winner: String) {
        let tellers = [("w1:1", first), ("w2:1", second)]
        let loser = winner == "w1:1" ? "w2:1" : "w1:1"
        for order in [tellers, tellers.reversed()] {
            let script = Script()
            let losers = order.flatMap { script.tell($0.0, [("c", $0.1)], full: true) }
            #expect(losers == [.init(chat: "c", worker: loser, owner: winner)])
            #expect(script.directory.worker(of: "c") == winner)
            #expect(script.directory.count == 1)
        }
    }

    @Test("A full list in several bodies replaces what the worker had, and leaves what it was given meanwhile")
    func fullList() throws {
        let script = Script()
        for chat in ["a", "b", "x"] { script.tell("w1:1", [(chat, 1000)]) }
        script.tell("w2:1", [("y", 1000)])
        let source = WorkerSource(port: 1)
        var changes: [ChatChange] = []
        _ = script.directory.report(
            ChatReportBody(worker: source, isFirst: true, chats: [.init(chat: "a", createdAt: 1000, members: 1)]),
            from: "w1:1", now: 11, &changes)
        #expect(try script.ask("new", from: "w1:1") == "w1:1")
        changes = []
        _ = script.directory.report(
            ChatReportBody(worker: source, isLast: true, chats: [.init(chat: "b", createdAt: 1000, members: 1)]),
            from: "w1:1", now: 12, &changes)
        #expect(changes.last == .closed(chat: "x", at: 12))
        #expect(["a", "b", "new", "x", "y"].map(script.directory.worker(of:)) == ["w1:1", "w1:1", "w1:1", nil, "w2:1"])
    }

    @Test(
        "What the registry held is believed until the workers have had time to tell",
        arguments: [
            (12.9, "w1:1"), (13.0, "w2:1"),
        ])
    func restores(_ now: Double, _ owner: String) throws {
        let script = Script()
        script.directory.restore([ChatRecord(chat: "c", worker: "w1:1", createdAt: 1, members: 2, updatedAt: 1)], until: 13)
        #expect(try script.ask("c", from: "w2:1", at: now) == owner)
    }

    @Test("What the registry held and nobody tells of is forgotten; what is told stays")
    func confirms() {
        let script = Script()
        let records = ["a", "b"].map { ChatRecord(chat: $0, worker: "w1:1", createdAt: 1, members: 2, updatedAt: 1) }
        script.directory.restore(records, until: 13)
        script.tell("w1:1", [("a", 1000)])
        var changes: [ChatChange] = []
        script.directory.tick(now: 12, &changes)
        #expect(changes == [])
        script.directory.tick(now: 13, &changes)
        #expect(changes == [.closed(chat: "b", at: 13)])
        #expect(script.directory.worker(of: "a") == "w1:1")
    }

    @Test("As many chats as the capacity are known; one more is refused, and those that are known are not")
    func bounded() throws {
        let script = Script(capacity: 2)
        _ = try script.ask("a", from: "w1:1")
        _ = try script.ask("b", from: "w1:1")
        let error = #expect(throws: ShuntError.self) { try script.ask("c", from: "w1:1") }
        #expect(error?.code == .memoryLimit)
        #expect(try script.ask("a", from: "w2:1") == "w1:1")
        script.tell("w2:1", [("d", 1)])
        #expect(script.directory.count == 2)
    }

    @Test("Any order of the same reports ends with the same owners", arguments: 1...20)
    func deterministic(seed: UInt64) {
        var random = ChatHistoryTests.Seeded(state: seed)
        let reports = (0..<4).map { number in
            ("w\(number):1", ["a", "b", "c"].map { ($0, Int64(random.next() % 3)) }.filter { _ in random.next() % 4 > 0 })
        }
        var outcomes: Set<[String?]> = []
        for _ in 0..<6 {
            let script = Script()
            for (worker, chats) in reports.shuffled(using: &random) { script.tell(worker, chats, full: true) }
            outcomes.insert(["a", "b", "c"].map(script.directory.worker(of:)))
        }
        #expect(outcomes.count == 1)
    }
}
