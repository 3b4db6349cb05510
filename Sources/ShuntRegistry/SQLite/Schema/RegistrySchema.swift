import GRDB

/// The registry's tables. A migration that has shipped is never changed: what comes later is appended.
enum RegistrySchema {
    /// `SHNT`: tells a registry from any other SQLite file.
    static let applicationID: Int32 = 0x53_48_4E_54

    private struct Migration: Sendable {
        var name: String
        /// What it makes.
        var tables: [String]
        var migrate: @Sendable (Database) throws -> Void
    }

    /// In order. The schema's version is how many have run.
    private static let migrations = [
        Migration(name: "workers and events", tables: ["meta", "workers", "events"], migrate: createWorkersAndEvents),
        Migration(name: "devices and chats", tables: ["devices", "chats"], migrate: createDevicesAndChats),
        Migration(name: "names of workers", tables: [], migrate: addWorkerNames),
        Migration(name: "figures of MQTT", tables: [], migrate: addMQTTFigures),
        Migration(name: "bans", tables: ["bans"], migrate: addBans),
        Migration(name: "clients", tables: ["clients"], migrate: addClients),
        Migration(name: "history", tables: ["worker_history", "cluster_history"], migrate: addHistory),
    ]

    static var version: Int { migrations.count }
    /// The first that has devices and chats.
    static let withSessions = 2
    /// The first that has the names that operators give workers.
    static let withWorkerNames = 3
    /// The first that has bans.
    static let withBans = 5
    /// The first that has clients.
    static let withClients = 6
    /// The first that has the history of figures.
    static let withHistory = 7

    /// What is wrong with a file that says it has this schema; nil where nothing is.
    static func fault(_ db: Database, version: Int) throws -> String? {
        let tables = Set(try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE type = 'table'"))
        let expected = migrations.prefix(max(0, version)).flatMap(\.tables)
        if let missing = expected.first(where: { !tables.contains($0) }) { return "it has no table '\(missing)'" }
        guard tables.contains("grdb_migrations") else { return "it does not tell how it was made" }
        let known = migrations.map(\.name)
        let applied = try String.fetchAll(db, sql: "SELECT identifier FROM grdb_migrations ORDER BY rowid")
        if let unknown = applied.first(where: { !known.contains($0) }) { return "it has been through '\(unknown)', which is unknown" }
        return applied == Array(known.prefix(max(0, version))) ? nil : "its schema \(version) does not fit how it was made"
    }

    /// - Parameter version: to which; tests make registries of earlier ones.
    static func migrate(_ writer: some DatabaseWriter, to version: Int = version) throws {
        var migrator = DatabaseMigrator()
        for (index, migration) in migrations.enumerated() {
            migrator.registerMigration(migration.name) { db in
                try migration.migrate(db)
                // In the migration's own transaction, so that a crash leaves both or neither.
                try db.execute(sql: "PRAGMA application_id = \(applicationID)")
                try db.execute(sql: "PRAGMA user_version = \(index + 1)")
            }
        }
        try migrator.migrate(writer, upTo: migrations[version - 1].name)
    }
}
