import GRDB
import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite struct SessionTests {
    /// A registry with what `changes` hold, and readers of both kinds.
    private func filled(_ changes: [RegistryChange], _ body: (any RegistryReader) async throws -> Void) async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        registry.writer.submit(changes)
        try await registry.writer.flush()
        try await body(registry.reader)
        try await body(Registry.openReader(path: registry.path))
        try await registry.close()
        try await body(Registry.openReader(path: registry.path))
    }

    @Test("All of a device's and of a chat's record comes back as it was written")
    func roundTrip() async throws {
        var odd = device(
            "'; DROP TABLE devices; --", "é\nx", tags: ["a\"b", "c\\", "\u{0}\n\u{7f}", "", "日本", "[]"], isOnline: false)
        odd.alias = []
        let devices = [odd, device("u", "laptop", tags: []), device("u", "phone")]
        let chats = [chat("", members: 0), chat("room/1?%"), chat("日本")]
        try await filled(devices.map { .device(.device($0)) } + chats.map { .chat(.chat($0)) }) { reader async throws in
            #expect(try await reader.devices() == devices)
            #expect(try await reader.chats() == chats)
            #expect(try await reader.chat("room/1?%") == chats[1])
            #expect(try await reader.device("u").devices == [devices[1], devices[2]])
        }
    }

    @Test("Bans come back as they were written, and go when they are lifted")
    func bans() async throws {
        let addresses = try #require(BanSubject("2001:db8::/32"))
        let bans = [Ban(addresses, until: 17.5, why: "'; --"), Ban(.client("é\nx")), Ban(.uid("ann"), why: "日本")]
        let changes: [RegistryChange] = [.ban(Ban(.uid("ann"), until: 1)), .ban(Ban(.uid("bob"))), .unban(.uid("bob")), .unban(.uid("nobody"))]
        try await filled(changes + bans.map { .ban($0) }) { reader async throws in
            #expect(try await reader.bans() == bans)
            let page = try await reader.bans(limit: 1, offset: 1)
            #expect(page.bans == [BanRecord(bans[1])] && page.total == 3)
        }
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        for changes in [bans.map { .ban($0) }, [.unban(.uid("ann")), .ban(Ban(.client("é\nx"), why: "again"))]] as [[RegistryChange]] {
            registry.writer.submit(changes)
            try await registry.writer.flush()
        }
        #expect(try await registry.reader.bans() == [bans[0], Ban(.client("é\nx"), why: "again")])
        try await registry.close()
    }

    @Test("What happens later to devices and chats reaches the rows that are there")
    func laterChanges() async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        let reader = registry.reader
        registry.writer.submit(["a", "b", "c", "d"].map { .device(.device(device($0, worker: $0 == "d" ? "w:2" : "w:1"))) })
        registry.writer.submit([.device(.device(device("old", isOnline: false, seen: 7)))])
        registry.writer.submit(["1", "2", "3"].map { .chat(.chat(chat($0, worker: $0 == "3" ? "w:2" : "w:1"))) })
        try await registry.writer.flush()

        registry.writer.submit([
            .device(.left(uid: "a", device: "phone", at: 10)), .device(.removed(uid: "b", device: "phone")),
            .device(.left(uid: "nobody", device: "phone", at: 10)), .chat(.closed(chat: "1", at: 10)),
        ])
        try await registry.writer.flush()
        #expect(try await reader.devices().map(\.uid) == ["a", "c", "d", "old"])
        #expect(try await reader.device("a").devices == [device("a", isOnline: false, seen: 10)])
        #expect(try await reader.chats().map(\.chat) == ["2", "3"])

        // A device that comes to another worker in the moment in which its first is lost is not lost with it.
        registry.writer.submit([
            .device(.workerLost(worker: "w:1", at: 20)), .device(.device(device("c", worker: "w:2", at: 21))),
            .chat(.workerLost(worker: "w:1", at: 20)),
        ])
        try await registry.writer.flush()
        #expect(
            try await reader.devices() == [
                device("a", isOnline: false, seen: 10), device("c", worker: "w:2", at: 21), device("d", worker: "w:2"),
                device("old", isOnline: false, seen: 7),
            ])
        #expect(try await reader.chats().map(\.chat) == ["3"])

        registry.writer.submit([.device(.workerLost(worker: "w:2", at: 30)), .chat(.workerLost(worker: "w:2", at: 30))])
        try await registry.writer.flush()
        #expect(try await reader.devices().map(\.lastSeenAt) == [10, 30, 30, 7])
        #expect(try await reader.devices(DeviceSessionQuery(isOnline: true)).total == 0)
        #expect(try await reader.chats().isEmpty)
        try await registry.close()
    }

    @Test("Devices are filtered by uid, tag, worker and state, in pages by uid and device; a page beyond the end is empty")
    func devicePages() async throws {
        let devices = (0..<40).map { number in
            device(
                "u\(10 + number / 2)", number % 2 == 0 ? "laptop" : "phone", tags: number % 4 == 0 ? ["vip", "a,b"] : ["vipx"],
                worker: number < 30 ? "w:1" : "w:2", isOnline: number % 5 != 0)
        }
        try await filled(devices.reversed().map { .device(.device($0)) }) { reader async throws in
            func found(_ query: DeviceSessionQuery, where matches: (DeviceRecord) -> Bool) async throws {
                let page = try await reader.devices(query)
                let expected = devices.filter(matches)
                #expect(page.total == expected.count)
                #expect(page.devices == Array(expected.dropFirst(max(0, query.offset)).prefix(max(0, query.limit))))
            }
            try await found(.init()) { _ in true }
            try await found(.init(uid: "u12")) { $0.uid == "u12" }
            try await found(.init(uid: "u1")) { _ in false }
            try await found(.init(uid: "")) { _ in false }
            try await found(.init(tag: "vip")) { $0.tags.contains("vip") }
            try await found(.init(tag: "a,b")) { $0.tags.contains("a,b") }
            try await found(.init(tag: "vi%")) { _ in false }
            try await found(.init(worker: "w:2")) { $0.worker == "w:2" }
            try await found(.init(isOnline: false)) { !$0.isOnline }
            try await found(.init(tag: "vip", worker: "w:1", isOnline: true, limit: 2, offset: 3)) {
                $0.tags.contains("vip") && $0.worker == "w:1" && $0.isOnline
            }
            try await found(.init(limit: 7, offset: 38)) { _ in true }
            try await found(.init(limit: 7, offset: 100)) { _ in true }
            try await found(.init(limit: -1, offset: -1)) { _ in true }
            #expect(try await reader.devices(.init(limit: .max, offset: .max)).devices.isEmpty)
            #expect(await failure { () throws(ShuntError) in _ = try await reader.device("u1") }?.code == .deviceUnknown)
        }
    }

    @Test("Chats are filtered by worker, in pages by id; an unknown one is chat.unknown")
    func chatPages() async throws {
        let chats = (10..<40).map { chat("c\($0)", worker: $0 < 30 ? "w:1" : "w:2") }
        try await filled(chats.reversed().map { .chat(.chat($0)) }) { reader async throws in
            #expect(try await reader.chats() == chats)
            let page = try await reader.chats(ChatQuery(worker: "w:2", limit: 4, offset: 8))
            #expect(page == ChatPage(chats: Array(chats[28...]), total: 10, offset: 8, limit: 4))
            #expect(try await reader.chats(ChatQuery(offset: 100)).chats.isEmpty)
            #expect(try await reader.chats(ChatQuery(limit: .max, offset: .max)).chats.isEmpty)
            #expect(try await reader.chat("c12") == chats[2])
            #expect(await failure { () throws(ShuntError) in _ = try await reader.chat("c1") }?.code == .chatUnknown)
        }
    }

    @Test("Finding devices of a uid or of a worker, and chats of a worker, takes an index")
    func indexes() async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        for (sql, index) in [
            ("SELECT * FROM devices WHERE uid = 'u' ORDER BY uid, device", "PRIMARY KEY (uid=?)"),
            ("SELECT * FROM devices WHERE worker = 'w' AND online = 1", "devices_by_worker (worker=?)"),
            ("SELECT * FROM chats WHERE worker = 'w' ORDER BY chat", "chats_by_worker (worker=?)"),
        ] {
            let plan = try await registry.reader.query("EXPLAIN QUERY PLAN " + sql)
            #expect("\(plan.rows)".contains("SEARCH") && "\(plan.rows)".contains(index), "\(plan.rows)")
            #expect(!"\(plan.rows)".contains("TEMP B-TREE"))
        }
        try await registry.close()
    }

    @Test("While the disk is full devices wait, bounded, in their order, and are written once there is room")
    func diskFull() async throws {
        let folder = try TemporaryFolder()
        var writing = byHand
        writing.maximumPendingDevices = 500
        writing.maximumPendingChats = 500
        writing.rowsPerTransaction = 100
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: writing, logger: quiet)
        try await registry.pool.writeWithoutTransaction { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            try db.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
        for number in 100..<1_100 {
            registry.writer.submit([.device(.device(device("u\(number)"))), .chat(.chat(chat("c\(number)")))])
        }
        for round in 0..<3 {
            #expect(await failure { () throws(ShuntError) in try await registry.writer.flush() }?.code == .registryUnavailable)
            registry.writer.submit([.device(.left(uid: "u100", device: "phone", at: Double(round)))])
        }
        registry.writer.submit([.device(.workerLost(worker: "w:1", at: 5)), .device(.device(device("u101", at: 6)))])
        let full = registry.writer.figures
        #expect(full.pendingDevices == 503)
        #expect(full.pendingChats == 500)
        #expect(full.droppedDevices == 500)
        #expect(full.droppedChats == 500)

        try await registry.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = 100000") }
        try await registry.writer.flush()
        let devices = try await registry.reader.devices()
        #expect(devices.count == 500)
        #expect(devices[0] == device("u100", isOnline: false, seen: 2))
        #expect(devices[1] == device("u101", at: 6))
        #expect(devices[2...].allSatisfy { !$0.isOnline && $0.lastSeenAt == 5 })
        #expect(try await registry.reader.chats().count == 500)
        #expect(registry.writer.figures.pendingDevices == 0)
        #expect(registry.writer.figures.droppedDevices == 500)
        try await registry.close()
    }

    @Test("A number that is not one does not stop the batch")
    func notANumber() async throws {
        var odd = chat("c")
        odd.createdAt = .nan
        try await filled([
            .device(.device(device("u", at: .nan))), .chat(.chat(odd)), .device(.workerLost(worker: "w:1", at: .infinity)),
            .device(.left(uid: "x", device: "y", at: .nan)),
        ]) { reader async throws in
            #expect(try await reader.devices().map(\.connectedAt) == [0])
            #expect(try await reader.chats().map(\.createdAt) == [0])
        }
    }

    @Test("Rows that were changed by something else give an error or less, not a crash")
    func tampered() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        registry.writer.submit([.device(.device(device("u"))), .chat(.chat(chat("c")))])
        try await registry.close()
        try change(path, "UPDATE devices SET tags = '{', alias = '[1]', online = 7")
        let reader = try Registry.openReader(path: path)
        #expect(try await reader.devices().map(\.tags) == [[]])
        #expect(
            await failure { () throws(ShuntError) in _ = try await reader.devices(.init(tag: "vip")) }?.code == .registryInvalid)
        try change(path, "ALTER TABLE devices DROP COLUMN alias; DROP TABLE chats")
        #expect(await failure { () throws(ShuntError) in _ = try await reader.devices() }?.code == .registryInvalid)
        #expect(await failure { () throws(ShuntError) in _ = try await reader.chat("c") }?.code == .registryInvalid)
    }
}
