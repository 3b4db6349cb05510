import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite struct PendingRowsTests {
    private func pending(_ changes: [DeviceChange], capacity: Int = 100) -> PendingRows<DeviceUpdate> {
        var rows = PendingRows<DeviceUpdate>(capacity: capacity)
        for change in changes { rows.add(change) }
        return rows
    }

    /// In chunks of one row, by key.
    private func written<Update: RowUpdate>(_ rows: PendingRows<Update>) -> (lost: [String], rows: [Update.Key: Update]) {
        var rows = rows
        var batch = rows.take()
        batch.sort()
        var result: (lost: [String], rows: [Update.Key: Update]) = ([], [:])
        while !batch.isEmpty {
            let chunk = batch.chunk(limit: 1)
            #expect(chunk.count == 1)
            if let lost = chunk.lost {
                #expect(result.rows.isEmpty, "a loss comes before the rows")
                result.lost.append(lost.worker)
            }
            for (key, update) in chunk.rows { result.rows[key] = update }
            batch.remove(chunk)
        }
        return result
    }

    @Test(
        "Of what happens to a device only what it comes to is written",
        arguments: [
            ([.device(device("u", at: 1)), .device(device("u", at: 2))], .put(device("u", at: 2))),
            ([.left(uid: "u", device: "phone", at: 5)], .left(at: 5)),
            ([.left(uid: "u", device: "phone", at: 5), .left(uid: "u", device: "phone", at: 6)], .left(at: 6)),
            ([.left(uid: "u", device: "phone", at: 5), .device(device("u", at: 6))], .put(device("u", at: 6))),
            (
                [.device(device("u", at: 1)), .left(uid: "u", device: "phone", at: 5)],
                .put(device("u", isOnline: false, at: 1, seen: 5))
            ),
            ([.device(device("u", at: 1)), .removed(uid: "u", device: "phone")], .removed),
            ([.removed(uid: "u", device: "phone"), .left(uid: "u", device: "phone", at: 5)], .removed),
            ([.removed(uid: "u", device: "phone"), .device(device("u", at: 2))], .put(device("u", at: 2))),
            (
                [.device(device("u", at: 1)), .workerLost(worker: "w:1", at: 5)],
                .put(device("u", isOnline: false, at: 1, seen: 5))
            ),
            ([.device(device("u", at: 1)), .workerLost(worker: "w:2", at: 5)], .put(device("u", at: 1))),
            ([.workerLost(worker: "w:1", at: 5), .device(device("u", at: 6))], .put(device("u", at: 6))),
            (
                [.device(device("u", at: 1)), .workerLost(worker: "w:1", at: 5), .left(uid: "u", device: "phone", at: 6)],
                .put(device("u", isOnline: false, at: 1, seen: 6))
            ),
            (
                [.device(device("u", at: 1)), .left(uid: "u", device: "phone", at: 4), .workerLost(worker: "w:1", at: 5)],
                .put(device("u", isOnline: false, at: 1, seen: 4))
            ),
            (
                [.workerLost(worker: "w:1", at: 5), .device(device("u", at: 6)), .workerLost(worker: "w:1", at: 9)],
                .put(device("u", isOnline: false, at: 6, seen: 9))
            ),
        ] as [([DeviceChange], DeviceUpdate)])
    func devices(_ changes: [DeviceChange], _ update: DeviceUpdate) {
        let result = written(pending(changes))
        #expect(result.rows == [.init("u", "phone"): update])
        #expect(result.lost.count == (changes.contains { if case .workerLost = $0 { true } else { false } } ? 1 : 0))
    }

    @Test(
        "Of what happens to a chat only what it comes to is written",
        arguments: [
            ([.chat(chat("c", members: 1)), .chat(chat("c", members: 2))], .put(chat("c", members: 2))),
            ([.chat(chat("c")), .closed(chat: "c", at: 5)], .closed),
            ([.closed(chat: "c", at: 5), .chat(chat("c"))], .put(chat("c"))),
            ([.chat(chat("c")), .workerLost(worker: "w:1", at: 5)], .closed),
            (
                [.chat(chat("c")), .workerLost(worker: "w:1", at: 5), .chat(chat("c", worker: "w:2"))],
                .put(chat("c", worker: "w:2"))
            ),
            ([.chat(chat("c", worker: "w:2")), .workerLost(worker: "w:1", at: 5)], .put(chat("c", worker: "w:2"))),
        ] as [([ChatChange], ChatUpdate)])
    func chats(_ changes: [ChatChange], _ update: ChatUpdate) {
        var rows = PendingRows<ChatUpdate>(capacity: 100)
        for change in changes { rows.add(change) }
        #expect(written(rows).rows == ["c": update])
    }

    @Test("Names that only look the same are two rows")
    func exactNames() {
        let result = written(pending(["\u{E9}", "e\u{301}"].map { .device(device($0, at: 1)) }))
        #expect(result.rows.count == 2)
    }

    @Test("Rows and losses beyond the capacity are dropped and counted; what waits already still changes")
    func bounded() {
        var rows = pending((1...5).map { .device(device("u\($0)", at: 1)) } + [.workerLost(worker: "w:9", at: 2)], capacity: 3)
        rows.add(.left(uid: "u1", device: "phone", at: 7))
        #expect(rows.count == 3)
        #expect(rows.dropped == 3)
        let result = written(rows)
        #expect(Set(result.rows.keys.map(\.uid.text)) == ["u1", "u2", "u3"])
        #expect(result.rows[.init("u1", "phone")] == .put(device("u1", isOnline: false, at: 1, seen: 7)))
    }

    @Test("A chunk is the same until it is removed, and together the chunks are everything once")
    func chunks() {
        var rows = pending((0..<1_000).map { .device(device("u\($0)", at: 1)) })
        #expect(rows.count == 100)
        var batch = rows.take()
        #expect(rows.count == 0 && batch.count == 100 && batch.dropped == 900)
        batch.sort()
        var seen: Set<String> = []
        var sizes: [Int] = []
        while !batch.isEmpty {
            let chunk = batch.chunk(limit: 30)
            #expect(batch.chunk(limit: 30).rows.map(\.key) == chunk.rows.map(\.key))
            for row in chunk.rows { #expect(seen.insert(row.key.uid.text).inserted) }
            sizes.append(chunk.count)
            batch.remove(chunk)
        }
        #expect(sizes == [30, 30, 30, 10])
        #expect(batch.chunk(limit: 30).count == 0)
    }
}
