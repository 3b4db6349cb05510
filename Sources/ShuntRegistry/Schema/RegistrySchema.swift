import GRDB

/// The registry's tables. A migration that has shipped is never changed: what comes later is appended.
enum RegistrySchema {
    /// `SHNT`: tells a registry from any other SQLite file.
    static let applicationID: Int32 = 0x53_48_4E_54

    /// In order. The schema's version is how many have run. History comes here.
    private static let migrations: [(name: String, migrate: @Sendable (Database) throws -> Void)] = [
        ("workers and events", createWorkersAndEvents),
        ("devices and chats", createDevicesAndChats),
    ]

    static var version: Int { migrations.count }
    /// The first that has devices and chats.
    static let withSessions = 2

    static func migrate(_ writer: some DatabaseWriter) throws {
        var migrator = DatabaseMigrator()
        for (index, migration) in migrations.enumerated() {
            migrator.registerMigration(migration.name) { db in
                try migration.migrate(db)
                // In the migration's own transaction, so that a crash leaves both or neither.
                try db.execute(sql: "PRAGMA application_id = \(applicationID)")
                try db.execute(sql: "PRAGMA user_version = \(index + 1)")
            }
        }
        try migrator.migrate(writer)
    }
}
