import GRDB

extension RegistrySchema {
    /// Schema 5. `subject` is `client:ID`, `uid:NAME` or addresses; the ban ends at `until`, in seconds since 1970, NULL for ever.
    @Sendable static func addBans(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE bans (
                    subject TEXT NOT NULL PRIMARY KEY,
                    until   REAL,
                    why     TEXT NOT NULL
                ) STRICT, WITHOUT ROWID;
                """)
    }
}
