import FoundationEssentials
import Glibc
import ShuntCore
import Testing

import ShuntJSON
@testable import ShuntRegistry

@Suite struct ReadOnlyQueryTests {
    private let folder: TemporaryFolder
    private let registry: Registry
    private var reader: any RegistryReader { registry.reader }

    init() async throws {
        folder = try TemporaryFolder()
        registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        registry.writer.submit([.worker(worker("a:1")), .worker(worker("b:1", state: .lost)), .event(event(1))])
        try await registry.writer.flush()
    }

    @Test("Values come typed, and survive JSON")
    func values() async throws {
        let result = try await reader.query(
            "SELECT 1 AS a, -2.5, 'x''é', x'00ff', NULL, 9e999, name FROM workers ORDER BY name LIMIT 1 ;; -- end")
        #expect(result.columns == ["a", "-2.5", "'x''é'", "x'00ff'", "NULL", "9e999", "name"])
        #expect(result.rows == [[.integer(1), .real(-2.5), .text("x'é"), .blob([0, 255]), .null, .text("inf"), .text("a:1")]])
        #expect(!result.truncated)
        let json = try RecordJSON.encode(result)
        #expect(try RecordJSON.decode(QueryResult.self, from: json) == result)
        #expect(
            String(decoding: json, as: UTF8.self).hasSuffix(
                #""rows":[[1,-2.5,"x'é",{"base64":"AP8="},null,"inf","a:1"]],"truncated":false}"#))
    }

    @Test(
        "Statements that only read are allowed",
        arguments: [
            "SELECT * FROM workers", "  select 1", "WITH x AS (SELECT 1 AS n) SELECT n FROM x", "VALUES (1), (2)",
            "PRAGMA table_info(workers)",
            "SELECT name FROM pragma_table_info('workers')", "PRAGMA user_version", "EXPLAIN QUERY PLAN SELECT * FROM events",
            "SELECT name, sql FROM sqlite_schema", "SELECT key, value FROM workers, json_each(listeners)",
        ])
    func allowed(_ sql: String) async throws {
        #expect(try await !reader.query(sql).rows.isEmpty)
    }

    @Test(
        "Whatever would do more than read is refused as registry.read_only, and does nothing",
        arguments: [
            "INSERT INTO events VALUES (99, 1, 'x', 'y', 'z')", "UPDATE workers SET port = 0", "DELETE FROM workers",
            "REPLACE INTO meta VALUES ('a', 'b')",
            "WITH w AS (SELECT name FROM workers) DELETE FROM workers WHERE name IN w", "DELETE FROM workers RETURNING name",
            "ATTACH 'other.sqlite' AS other", "ATTACH ':memory:' AS m", "DETACH main", "PRAGMA journal_mode=DELETE",
            "PRAGMA journal_mode(off)",
            "PRAGMA writable_schema=ON", "PRAGMA query_only=OFF", "PRAGMA user_version=9", "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA wal_checkpoint",
            "PRAGMA optimize", "PRAGMA temp_store_directory='/'", "PRAGMA incremental_vacuum", "VACUUM",
            "VACUUM INTO 'copy.sqlite'", "REINDEX",
            "ANALYZE", "CREATE TABLE t (x)", "CREATE TEMP TABLE t (x)", "CREATE VIRTUAL TABLE t USING fts5(x)",
            "CREATE INDEX i ON workers (port)",
            "DROP TABLE workers", "ALTER TABLE workers ADD COLUMN x", "BEGIN", "BEGIN EXCLUSIVE", "COMMIT", "SAVEPOINT s",
            "EXPLAIN DELETE FROM workers",
            "SELECT load_extension('evil')", "SELECT fts3_tokenizer('simple')", "UPDATE sqlite_schema SET sql = ''",
        ])
    func refused(_ sql: String) async throws {
        let before = try read(registry.path)
        #expect(await failure { () throws(ShuntError) in _ = try await reader.query(sql) }?.code == .registryReadOnly)
        #expect(try read(registry.path) == before)
        #expect(try await reader.counts() == RegistryCounts(workers: ["live": 1, "lost": 1, "draining": 0, "left": 0, "unknown": 0], events: 1))
        #expect(try await reader.query("SELECT count(*) FROM pragma_database_list").rows == [[.integer(1)]])
        #expect(!exists("copy.sqlite") && !exists("other.sqlite"))
    }

    @Test(
        "Broken SQL is query.invalid, with the place where SQLite points",
        arguments: [
            ("SELEC 1", "line 1, column 1", "syntax error"), ("SELECT name\nFROM workes", nil, "no such table: workes"),
            ("SELECT 'é',\n  nme FROM workers", "line 2, column 3", "no such column: nme"), ("SELECT (", nil, "incomplete input"),
            ("", nil, "no statement"), (" ; -- nothing", nil, "no statement"),
            ("SELECT 1; SELECT 2", "line 1, column 10", "more than one"),
            ("SELECT 1; DELETE FROM workers", "line 1, column 10", "more than one"),
            ("SELECT 1;\nnonsense", nil, "more than one"),
            ("SELECT 1\u{0}; DELETE FROM workers", nil, "NUL"), ("SELECT nofunction(1)", nil, "no such function"),
            ("SELECT '" + String(repeating: "x", count: 70_000) + "'", nil, "longer than"),
            ("SELECT hex(zeroblob(1000000))", nil, "too big"),
            ("SELECT " + String(repeating: "(", count: 500) + "1" + String(repeating: ")", count: 500), nil, nil),
        ] as [(String, String?, String?)])
    func invalid(_ sql: String, _ place: String?, _ message: String?) async throws {
        do {
            _ = try await reader.query(sql)
            // Deep nesting may be within what this SQLite's parser bears.
            #expect(message == nil)
        } catch {
            #expect(error.code == .queryInvalid)
            #expect(error.help != nil)
            if let place { #expect(error.location == place) }
            if let message { #expect(error.message.contains(message), "\(error.message)") }
        }
    }

    @Test("Rows beyond 10,000 are cut and it is said so, also where a recursion never ends")
    func rowCap() async throws {
        let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
        let result = try await reader.query(endless)
        #expect(result.rows.count == 10_000)
        #expect(result.truncated)
        #expect(try await !reader.query(endless + " LIMIT 10000").truncated)
    }

    @Test("Bytes beyond the cap are cut and it is said so")
    func byteCap() async throws {
        let result = try await reader.query(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT zeroblob(100000) FROM c")
        #expect(result.truncated)
        #expect(result.rows.count <= ReadOnlyQuery.maximumBytes / 100_000 + 1)
    }

    @Test("A query that never ends is ended, and the next one works")
    func timeCap() async throws {
        let statements = ReadOnlyQuery(file: try RegistryFile(registry.path), limits: .init(time: .milliseconds(100), grace: .seconds(20)))
        for sql in [
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT random() FROM c) SELECT max(x) FROM c ORDER BY 1",
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT a.x FROM c a, c b, c d WHERE a.x < 0",
        ] {
            #expect(await failure { () throws(ShuntError) in _ = try await statements.run(sql) }?.code == .queryLimit, "\(sql)")
        }
        // On a busy machine even this may be late.
        while await failure({ () throws(ShuntError) in _ = try await statements.run("SELECT 1") }) != nil {}
    }

    /// Each takes the limit's time or no time at all: SQLite's own would take seconds to hours, or end the process.
    static let costly: [String] = {
        let long = "replace(hex(zeroblob(60000)),'0','a')"
        return [
            "SELECT printf('%.*c',2147483647,'x')", "SELECT format('%.2147483647c','x')", "SELECT printf('%0*d', 2147483647, 1)",
            "SELECT PRINTF('%%%-+ #0!,5.99999999lld', 1)", "SELECT trim(\(long), \(long))", "SELECT ltrim('a', \(long))",
            "SELECT json_set('{}', '$' || replace(hex(zeroblob(60000)), '00', '.a'), 1)", "SELECT json_patch('{}', '{}')",
            "SELECT rtreecheck('workers')",
        ]
    }()

    @Test("What would take long in one step, or end the process, is refused with what is wrong", arguments: costly)
    func costlySteps(_ sql: String) async throws {
        let error = await failure { () throws(ShuntError) in _ = try await reader.query(sql) }
        #expect([.queryLimit, .registryReadOnly].contains(error?.code), "\(String(describing: error))")
        #expect(error?.message.contains("()") == true)
        #expect(error?.help != nil)
    }

    /// Twenty expressions, each of the one before it, twice.
    static let expanding: [String] = {
        func chain(_ body: (String) -> String, _ define: (String, String) -> String) -> String {
            "WITH " + (0..<20).map { define("a\($0)", $0 == 0 ? "SELECT 1 AS x" : body("a\($0 - 1)")) }.joined(separator: ", ")
                + " SELECT count(*) FROM a19"
        }
        let joined = { (name: String) in "SELECT p.x FROM \(name) p, \(name.uppercased()) q" }
        return [
            chain(joined) { "\($0) AS (\($1))" }, chain(joined) { "\"\($0)\"(x) AS NOT MATERIALIZED (\($1))" },
            chain(joined) { "[\($0)] /* ( */ (x) AS MATERIALIZED -- (\n(\($1))" },
            chain({ "SELECT x FROM `\($0)` WHERE x IN (SELECT x FROM '\($0)')" }) { "\($0) AS (\($1))" },
            chain({ "WITH z AS (\(joined($0))) SELECT * FROM z" }) { "\($0) AS (\($1))" },
            "WITH " + (0..<200).map { "a\($0) AS (SELECT 1)" }.joined(separator: ", ") + " SELECT 1",
        ]
    }()

    @Test("Common table expressions that would grow without bound are refused before SQLite sees them", arguments: expanding)
    func expansion(_ sql: String) async throws {
        let error = await failure { () throws(ShuntError) in _ = try await reader.query(sql) }
        #expect(error?.code == .queryLimit)
        #expect(error?.message.contains("common table expressions") == true)
    }

    @Test(
        "Ordinary common table expressions run",
        arguments: [
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 10) SELECT count(*) FROM c, c AS d",
            "WITH a AS (SELECT 1 AS a), b AS (SELECT a FROM a), c AS (SELECT a.a, b.a FROM a, b) SELECT * FROM c, a, b",
            "SELECT CAST(1 AS TEXT) AS x, (SELECT 2) AS y",
        ])
    func ordinaryExpressions(_ sql: String) async throws {
        #expect(try await reader.query(sql).rows.count == 1)
    }

    @Test("Functions that are looked at give what SQLite gives")
    func guardedFunctions() async throws {
        let result = try await reader.query(
            """
            SELECT printf('%5.1f|%-4d|%s|100%%', 2.25, 7, 'é'), format('%08d', 42), instr('aéb', 'b'), replace('aXbX', 'X', 'yy'),
            trim('  a '), trim('xxaxy', 'xy'), ltrim('xa', 'x'), rtrim('ax', 'x'), printf(NULL), instr(NULL, 'a'), instr(x'0102', x'02'),
            printf('%,d', 1234567)
            """)
        #expect(
            result.rows == [
                [
                    .text("  2.3|7   |é|100%"), .text("00000042"), .integer(3), .text("ayybyy"), .text("a"), .text("a"), .text("a"), .text("a"),
                    .null, .null, .integer(2), .text("1,234,567"),
                ]
            ])
    }

    @Test("Many long calls in one row are ended in time")
    func manyCalls() async throws {
        let statements = ReadOnlyQuery(
            file: try RegistryFile(registry.path), limits: .init(time: .milliseconds(100), grace: .seconds(60)))
        let sql = """
            SELECT \(Array(repeating: "(0 OR \(Array(repeating: "instr(x, y || 'b')", count: 40).joined(separator: " OR ")))", count: 40)
                .joined(separator: ", "))
            FROM (SELECT replace(hex(zeroblob(60000)), '0', 'a') AS x, replace(hex(zeroblob(30000)), '0', 'a') AS y FROM workers)
            """
        #expect(await failure { () throws(ShuntError) in _ = try await statements.run(sql) }?.code == .queryLimit)
    }

    @Test("Queries that are queued when they are stopped, that run and that come later, are refused at once")
    func stopped() async throws {
        let statements = ReadOnlyQuery(file: try RegistryFile(registry.path), limits: .init(time: .seconds(600)))
        let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
        try await withThrowingTaskGroup(of: ShuntError?.self) { group in
            for _ in 0..<8 {
                group.addTask { await failure { () throws(ShuntError) in _ = try await statements.run(endless) } }
            }
            statements.stop()
            for try await error in group { #expect(error == QueryLanes.stopped) }
        }
        #expect(await failure { () throws(ShuntError) in _ = try await statements.run("SELECT 1") } == QueryLanes.stopped)
    }

    @Test("No query leaves its connection open, whether it succeeds or fails")
    func closes() async throws {
        for sql in ["SELECT * FROM workers", "DELETE FROM workers", "SELEC", "SELECT 1; SELECT 2", "SELECT json('{')", ""] {
            for _ in 0..<20 {
                _ = await failure { () throws(ShuntError) in _ = try await reader.query(sql) }
            }
        }
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { descriptor in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + descriptor)
            return target == registry.path
        }
        // The writer's, and at most two of its pool of readers.
        #expect((1...3).contains(open.count))
        try await registry.close()
        #expect(!exists(registry.path + "-wal"))
    }

    @Test("Queries read a registry that is being written")
    func besideTheWriter() async throws {
        async let writing: Void = {
            for number in 0..<300 {
                registry.writer.submit([.event(event(number))])
                try await registry.writer.flush()
            }
        }()
        var last: Int64 = 0
        for _ in 0..<100 {
            guard case .integer(let count)? = try await reader.query("SELECT count(*) FROM events").rows.first?.first else {
                Issue.record("no count")
                return
            }
            #expect(count >= last)
            last = count
        }
        try await writing
    }
}
