import GRDB
import ShuntCore
import Testing

@testable import ShuntRegistry

/// Registries that earlier versions have written.
@Suite struct MigrationTests {
    /// What the first schema's master left, one worker and two events in it. Never changes.
    private static let schema1 = """
        CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
        INSERT INTO grdb_migrations VALUES ('workers and events');
        CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;
        INSERT INTO meta VALUES ('created_at', '1795444000');
        CREATE TABLE workers (
            name TEXT NOT NULL PRIMARY KEY, host TEXT NOT NULL, port INTEGER NOT NULL, state TEXT NOT NULL, state_at REAL NOT NULL,
            machine TEXT NOT NULL, version TEXT NOT NULL, listeners TEXT NOT NULL, started_at REAL NOT NULL,
            heartbeat_at REAL NOT NULL, connections INTEGER NOT NULL, connections_accepted INTEGER NOT NULL,
            connection_errors INTEGER NOT NULL, requests INTEGER NOT NULL, request_bytes INTEGER NOT NULL,
            responses INTEGER NOT NULL, responses_succeeded INTEGER NOT NULL, responses_failed INTEGER NOT NULL,
            response_milliseconds INTEGER NOT NULL, response_bytes INTEGER NOT NULL, subscriptions INTEGER NOT NULL,
            deliveries INTEGER NOT NULL
        ) STRICT;
        INSERT INTO workers VALUES (
            'a:1', 'a', 1, 'live', 950, 'm-1', 'shunt 0.1.0', '{"mqtt":"127.0.0.1:1883","web_Socket":"127.0.0.1:8083"}', 900.25,
            1000, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9223372036854775807);
        CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL
        ) STRICT;
        INSERT INTO events VALUES (41, 1, 'worker.joined', 'w1:1', 'event 1'), (42, 2, 'worker.joined', 'w2:1', 'event 2');
        PRAGMA application_id = 1397247572;
        PRAGMA user_version = 1;
        """

    @Test("A registry of the first schema keeps all it holds, and takes devices and chats")
    func fromSchema1() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        try change(path, Self.schema1)
        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        let reader = registry.reader
        #expect(try await reader.workers() == [worker("a:1")])
        #expect(try await reader.events(EventQuery()).events.map(\.id) == [41, 42])
        #expect(try await reader.devices().isEmpty)
        #expect(try await reader.chats().isEmpty)
        #expect(try await reader.query("PRAGMA user_version").rows == [[.integer(Int64(RegistrySchema.version))]])

        registry.writer.submit([.device(.device(device("u"))), .chat(.chat(chat("c"))), .event(event(3))])
        try await registry.writer.flush()
        #expect(try await reader.devices() == [device("u")])
        #expect(try await reader.chats() == [chat("c")])
        #expect(try await reader.events(EventQuery()).events.map(\.id) == [41, 42, 43])
        try await registry.close()

        let again = try Registry.open(path: path, writing: byHand, logger: quiet)
        #expect(try await again.reader.devices() == [device("u")])
        try await again.close()
    }

    @Test("A registry of any earlier schema keeps its workers and events, and takes what it has no tables for", arguments: 1..<RegistrySchema.version)
    func fromAnySchema(_ version: Int) async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let old = try DatabaseQueue(path: path)
        try RegistrySchema.migrate(old, to: version)
        try await old.write { db in
            try db.execute(
                sql: """
                    INSERT INTO workers (
                        name, host, port, state, state_at, machine, version, listeners, started_at, heartbeat_at, connections,
                        connections_accepted, connection_errors, requests, request_bytes, responses, responses_succeeded, responses_failed,
                        response_milliseconds, response_bytes, subscriptions, deliveries
                    ) VALUES (
                        'a:1', 'a', 1, 'live', 950, 'm-1', 'shunt 0.1.0', '{"mqtt":"127.0.0.1:1883","web_Socket":"127.0.0.1:8083"}',
                        900.25, 1000, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9223372036854775807);
                    INSERT INTO events VALUES (41, 1, 'worker.joined', 'w1:1', 'event 1');
                    """)
        }
        try old.close()
        #expect(try await Registry.openReader(path: path).workers() == [worker("a:1")])

        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        let point = HistoryPoint(worker: "a:1", step: .minute, at: 960, heartbeats: 20, seconds: 60, figures: .init(requests: 120))
        registry.writer.submit([.device(.device(device("u"))), .chat(.chat(chat("c"))), .ban(Ban(.uid("u"), until: nil, why: "")), .history(point)])
        try await registry.writer.flush()
        let reader = registry.reader
        #expect(try await reader.workers() == [worker("a:1")])
        #expect(try await reader.events(EventQuery()).events.map(\.id) == [41])
        #expect(try await (reader.devices().count, reader.chats().count, reader.bans().count) == (1, 1, 1))
        #expect(try await reader.clients(.init()).total == 0)
        #expect(try await reader.history(HistoryQuery(worker: "a:1", since: 960, until: 961, step: .minute)).series["requests"] == [2])
        try await registry.close()
    }

    @Test("Brought up to date, an old registry has the tables and indexes that a new one has")
    func sameSchema() async throws {
        let folder = try TemporaryFolder()
        try change(folder("old.sqlite"), Self.schema1)
        var columns: [[[QueryValue]]] = []
        for name in ["old.sqlite", "new.sqlite"] {
            let registry = try Registry.open(path: folder(name), logger: quiet)
            columns.append(
                try await registry.reader.query(
                    """
                    SELECT t.type, t.name, c.name, c.type, c."notnull", c.pk, t.strict, t.wr
                    FROM pragma_table_list AS t, pragma_table_info(t.name) AS c WHERE t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid
                    """
                ).rows
                    + registry.reader.query("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index' ORDER BY name").rows)
            try await registry.close()
        }
        #expect(columns[0] == columns[1])
        #expect(columns[0].count > 40)
    }

    @Test("Read without a master, a registry of the first schema gives its workers, and says who brings it up to date")
    func readSchema1() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        try change(path, Self.schema1)
        let before = try read(path)
        let reader = try Registry.openReader(path: path)
        #expect(try await reader.workers().count == 1)
        for error in [
            await failure { () throws(ShuntError) in _ = try await reader.devices() },
            await failure { () throws(ShuntError) in _ = try await reader.chat("c") },
        ] {
            #expect(error?.code == .registryUnavailable)
            #expect(error?.help?.contains("master") == true)
        }
        #expect(try read(path) == before)
    }
}
