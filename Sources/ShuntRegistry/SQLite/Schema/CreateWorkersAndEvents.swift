import GRDB

extension RegistrySchema {
    /// Schema 1. Times are seconds since 1970; `listeners` is a JSON object, address by listener name.
    @Sendable static func createWorkersAndEvents(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE meta (
                    key   TEXT NOT NULL PRIMARY KEY,
                    value TEXT NOT NULL
                ) STRICT;
                INSERT INTO meta VALUES ('created_at', CAST(unixepoch() AS TEXT));

                CREATE TABLE workers (
                    name         TEXT NOT NULL PRIMARY KEY,
                    host         TEXT NOT NULL,
                    port         INTEGER NOT NULL,
                    state        TEXT NOT NULL,
                    state_at     REAL NOT NULL,
                    machine      TEXT NOT NULL,
                    version      TEXT NOT NULL,
                    listeners    TEXT NOT NULL,
                    started_at   REAL NOT NULL,
                    heartbeat_at REAL NOT NULL,
                    connections           INTEGER NOT NULL,
                    connections_accepted  INTEGER NOT NULL,
                    connection_errors     INTEGER NOT NULL,
                    requests              INTEGER NOT NULL,
                    request_bytes         INTEGER NOT NULL,
                    responses             INTEGER NOT NULL,
                    responses_succeeded   INTEGER NOT NULL,
                    responses_failed      INTEGER NOT NULL,
                    response_milliseconds INTEGER NOT NULL,
                    response_bytes        INTEGER NOT NULL,
                    subscriptions         INTEGER NOT NULL,
                    deliveries            INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE events (
                    -- AUTOINCREMENT: an id is never used twice, so that a reader can go on from the last it saw.
                    id      INTEGER PRIMARY KEY AUTOINCREMENT,
                    at      REAL NOT NULL,
                    kind    TEXT NOT NULL,
                    subject TEXT NOT NULL,
                    detail  TEXT NOT NULL
                ) STRICT;
                """)
    }
}
