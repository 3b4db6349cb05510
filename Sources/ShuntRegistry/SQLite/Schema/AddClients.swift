import GRDB

extension RegistrySchema {
    /// Schema 6. `since` is seconds since 1970, `state` is `connected` or `away`; `list` is the number of the worker's list that the row was told
    /// in: rows of another one are of no use once that list has ended. The index by name has all that operators search by.
    @Sendable static func addClients(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE clients (
                    worker        TEXT NOT NULL,
                    session       TEXT NOT NULL,
                    client        TEXT NOT NULL,
                    uid           TEXT NOT NULL,
                    protocol      TEXT NOT NULL,
                    listener      TEXT NOT NULL,
                    address       TEXT NOT NULL,
                    state         TEXT NOT NULL,
                    since         REAL NOT NULL,
                    subscriptions INTEGER NOT NULL,
                    list          INTEGER NOT NULL,
                    PRIMARY KEY (worker, session)
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX clients_by_client ON clients (client, worker, session, uid, state, protocol);
                CREATE INDEX clients_by_uid ON clients (uid);
                """)
    }
}
