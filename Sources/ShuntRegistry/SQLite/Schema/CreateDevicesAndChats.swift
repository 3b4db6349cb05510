import GRDB

extension RegistrySchema {
    /// Schema 2. Times are seconds since 1970; `tags` and `alias` are JSON arrays of strings, `online` is 0 or 1.
    @Sendable static func createDevicesAndChats(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE devices (
                    uid          TEXT NOT NULL,
                    device       TEXT NOT NULL,
                    tags         TEXT NOT NULL,
                    alias        TEXT NOT NULL,
                    worker       TEXT NOT NULL,
                    address      TEXT NOT NULL,
                    online       INTEGER NOT NULL,
                    connected_at REAL NOT NULL,
                    last_seen_at REAL NOT NULL,
                    -- Also the index by uid.
                    PRIMARY KEY (uid, device)
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX devices_by_worker ON devices (worker);

                CREATE TABLE chats (
                    chat       TEXT NOT NULL PRIMARY KEY,
                    worker     TEXT NOT NULL,
                    created_at REAL NOT NULL,
                    members    INTEGER NOT NULL,
                    updated_at REAL NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX chats_by_worker ON chats (worker);
                """)
    }
}
