import GRDB
import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite("The registry's history of figures") struct HistoryTests {
    private func point(
        _ worker: String?, _ step: HistoryStep = .tenSeconds, at: Int, heartbeats: Int = 3, seconds: Double = 10, requests: Int = 50
    ) -> HistoryPoint {
        var figures = WorkerFigures(connections: 7, requests: requests, responses: 20, responseMilliseconds: 50, heldProducers: 2)
        figures.mqttQueued = 1 << 40
        return HistoryPoint(
            worker: worker, step: step, at: at, workers: worker == nil ? 2 : 1, heartbeats: heartbeats, seconds: seconds, figures: figures)
    }

    private func with(
        _ kept: [HistoryStep] = HistoryStep.allCases, at path: String? = nil, _ body: (Registry) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        var configuration = byHand
        configuration.historyKept = kept
        let registry = try Registry.open(path: path ?? folder("registry.sqlite"), writing: configuration, logger: quiet)
        try await body(registry)
        try await registry.close()
    }

    private func write(_ points: [HistoryPoint], _ registry: Registry) async throws {
        registry.writer.submit(points.map { .history($0) })
        try await registry.writer.flush()
    }

    @Test("A worker's points come back as series: counters a second, gauges as they are, nothing where nothing is known")
    func series() async throws {
        try await with { registry async throws in
            try await write(
                [
                    point("a:1", at: 1_000), point("a:1", at: 1_020, seconds: 0), point("b:1", at: 1_010), point("a:1", .minute, at: 960),
                    point(nil, at: 1_010, requests: 90),
                ], registry)
            for reader in [registry.reader, try Registry.openReader(path: registry.path)] {
                let own = try await reader.history(.init(worker: "a:1", since: 1_001, until: 1_039))
                #expect((own.worker, own.step, own.start, own.count) == ("a:1", 10, 1_000, 4))
                #expect(own.series["requests"] == [5, nil, nil, nil])
                #expect(own.series["connections"] == [7, nil, 7, nil])
                #expect(own.series["mqtt_queued"]?[0] == Double(1 << 40))
                #expect(own.series["held_producers"] == [2, nil, 2, nil])
                #expect(own.series[HistoryDocument.time] == [2.5, nil, 2.5, nil])
                #expect(Set(own.series.keys) == Set(HistoryDocument.names))
                let sum = try await reader.history(.init(since: 1_000, until: 1_019, figures: ["requests", "workers"]))
                #expect(sum.series == ["requests": [nil, 9], "workers": [nil, 2]] && sum.worker == nil)
                let coarse = try await reader.history(.init(worker: "a:1", since: 1_000, until: 1_039, step: .minute))
                #expect(coarse.start == 960 && coarse.count == 2 && coarse.series["requests"] == [5, nil])
                #expect(try await reader.openHistory(now: 1_009).map(\.worker) == ["a:1", "a:1"])
                #expect(try await reader.openHistory(now: 1_009).first == point("a:1", at: 1_000))
            }
        }
    }

    @Test(
        "The step is the finest that is kept for so long; no more steps are given than are kept",
        arguments: [
            (3_600.0, HistoryStep.tenSeconds, 361), (3_601, .minute, 62), (86_400, .minute, 1_441), (86_401, .hour, 26),
            (365 * 86_400, .hour, 721), (0, .tenSeconds, 1), (-5, .tenSeconds, 1),
        ])
    func steps(_ span: Double, _ step: HistoryStep, _ count: Int) {
        let until = 1_795_442_400.0
        let query = HistoryQuery(since: until - span, until: until)
        #expect(query.step == step)
        #expect(query.count == count)
        #expect(HistoryQuery(since: until - 365 * 86_400, until: until, step: .tenSeconds).count == 361)
        #expect(HistoryQuery(since: 0, until: .infinity).count == 721)
    }

    @Test("Of one step the point stays that is made of more heartbeats, in what waits and in the file")
    func fuller() async throws {
        try await with { registry async throws in
            registry.writer.submit([.history(point("a:1", at: 0, heartbeats: 3, requests: 30)), .history(point("a:1", at: 0, heartbeats: 2))])
            try await registry.writer.flush()
            try await write([point("a:1", at: 0, heartbeats: 1), point(nil, at: 0, heartbeats: 5, requests: 10)], registry)
            try await write([point(nil, at: 0, heartbeats: 4), point("a:1", at: 10, heartbeats: 1)], registry)
            let sql = "SELECT heartbeats, requests FROM %@_history WHERE at = 0"
            #expect(try await registry.reader.query(sql.replacing("%@", with: "worker")).rows == [[.integer(3), .integer(30)]])
            #expect(try await registry.reader.query(sql.replacing("%@", with: "cluster")).rows == [[.integer(5), .integer(10)]])
        }
    }

    @Test("What is older than its step is kept for goes, a step at a time; so does what a clock that was ahead has written")
    func trimmed() async throws {
        try await with { registry async throws in
            let now = 10_000_000
            var old = (1...3).flatMap { number in ["a:1", "b:1", nil].map { point($0, at: now - 3_700 - number * 10) } }
            old += [point("a:1", .minute, at: now - 86_500), point("a:1", .hour, at: now - 2_600_000), point("a:1", .hour, at: now - 500_000)]
            old += [point("a:1", .minute, at: now - 3_700), point("z:1", at: now + 90_000)]
            // Each comes by itself, so that none is the newest.
            let pool = registry.pool
            try await pool.write { [old] db in
                for one in old { try RowChunk<HistoryUpdate>(rows: [(HistoryUpdate.Key(one), HistoryUpdate(point: one))]).write(to: db) }
            }
            func count() async throws -> Int {
                try await pool.read { db in
                    try Int.fetchOne(db, sql: "SELECT (SELECT count(*) FROM worker_history) + (SELECT count(*) FROM cluster_history)") ?? 0
                }
            }
            #expect(try await count() == old.count)
            try await write([point("a:1", at: now)], registry)
            // Of ten seconds a step of three rows and the one that is ahead, a minute, an hour.
            #expect(try await count() == old.count + 1 - 3 - 1 - 1 - 1)
            for number in 1...5 { try await write([point("a:1", at: now + number * 10)], registry) }
            let left = try await registry.reader.query("SELECT step, at FROM worker_history WHERE at < \(now) ORDER BY step").rows
            #expect(left == [[.integer(60), .integer(Int64(now - 3_700))], [.integer(3_600), .integer(Int64(now - 500_000))]])
        }
    }

    @Test("Where less is kept than before, the rest goes with what is written")
    func shortened() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        try await with(at: path) { registry async throws in
            try await write(HistoryStep.allCases.flatMap { step in [point("a:1", step, at: 0), point(nil, step, at: 0)] }, registry)
        }
        try await with([.tenSeconds], at: path) { registry async throws in
            registry.writer.submit([.event(event(1))])
            try await registry.writer.flush()
            for table in ["worker_history", "cluster_history"] {
                #expect(try await registry.reader.query("SELECT step FROM \(table)").rows == [[.integer(10)]])
            }
        }
    }

    @Test("What waits is bounded, and what is dropped is counted; a transaction takes a part of it")
    func bounded() async throws {
        let store = MemoryStore()
        var configuration = byHand
        (configuration.maximumPendingHistory, configuration.rowsPerTransaction) = (5, 3)
        let writer = RegistryWriter(store: store, configuration: configuration, logger: quiet)
        writer.submit((0..<7).map { .history(point("w\($0):1", at: 0)) } + [.history(point("w0:1", at: 0, heartbeats: 9))])
        #expect(writer.figures.pendingHistory == 5 && writer.figures.droppedHistory == 2)
        store.fail([MemoryStore.full])
        _ = await failure { () throws(ShuntError) in try await writer.flush() }
        #expect(writer.figures.pendingHistory == 5)
        try await writer.flush()
        #expect(store.batches.map(\.history.count) == [3, 2])
        #expect(writer.figures.pendingHistory == 0 && writer.figures.droppedHistory == 2)
        store.fail([MemoryStore.refused])
        writer.submit([.history(point("a:1", at: 0))])
        _ = await failure { () throws(ShuntError) in try await writer.flush() }
        #expect(writer.figures.droppedHistory == 3)
    }

    @Test("A worker takes a few hundred kilobytes, whatever it reports")
    func size() async throws {
        try await with { registry async throws in
            var figures = WorkerFigures()
            for (_, value) in WorkerFigures.columns { figures[keyPath: value] = 1 << 40 }
            for step in HistoryStep.allCases {
                let points = (0..<step.kept / step.seconds).map { number in
                    HistoryPoint(
                        worker: "10.100.200.100:40910", step: step, at: 1_795_442_400 + number * step.seconds - step.kept,
                        heartbeats: 1_200, seconds: 3_599.876, figures: figures)
                }
                try await write(points, registry)
            }
            let pages = try await registry.pool.read { db in
                (try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0) * (try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 0)
            }
            #expect(pages < 1 << 20, "\(pages)")
        }
    }

    @Test("A worker's points are looked up one by one, however many workers there are")
    func plan() async throws {
        try await with { registry async throws in
            let plan = try await registry.reader.query(
                """
                EXPLAIN QUERY PLAN WITH RECURSIVE times(at) AS (SELECT 0 UNION ALL SELECT at + 10 FROM times WHERE at < 3600)
                SELECT h.* FROM times AS t CROSS JOIN worker_history AS h WHERE h.step = 10 AND h.at = t.at AND h.worker = 'a'
                """
            ).rows.map { row in "\(row.last ?? .null)" }
            #expect(plan.contains { $0.contains("step=? AND at=? AND worker=?") }, "\(plan)")
        }
    }

    @Test("Before a master of this version has opened it, a registry says that it has no history")
    func before() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        try await with(at: path) { _ in }
        try change(
            path,
            "DROP TABLE worker_history; DROP TABLE cluster_history; DELETE FROM grdb_migrations WHERE identifier = 'history'; PRAGMA user_version = 6"
        )
        let reader = try Registry.openReader(path: path)
        let error = await failure { () throws(ShuntError) in _ = try await reader.history(.init(until: 1_000)) }
        #expect(error?.code == .registryUnavailable && error?.message.contains("history") == true)
        #expect(try await reader.openHistory(now: 0).isEmpty)
        try await with(at: path) { registry async throws in
            try await write([point("a:1", at: 0)], registry)
            #expect(try await registry.reader.history(.init(worker: "a:1", since: 0, until: 5)).series["requests"] == [5])
        }
    }
}
