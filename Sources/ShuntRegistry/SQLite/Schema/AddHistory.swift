import GRDB

extension RegistrySchema {
    /// Schema 7. `step` is its length in seconds, `at` when it began, in seconds since 1970; `seconds` is how long counters were seen to grow,
    /// and they hold by how much. The rest are means, of `held_producers` and `stuck_consumers` the highest. In the order of time, since all
    /// workers are written at once: a worker's own points are looked up one by one.
    @Sendable static func addHistory(_ db: Database) throws {
        let figures = """
                heartbeats            INTEGER NOT NULL,
                seconds               REAL NOT NULL,
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
                deliveries            INTEGER NOT NULL,
                held_producers        INTEGER NOT NULL,
                stuck_consumers       INTEGER NOT NULL,
                mqtt_clients          INTEGER NOT NULL,
                mqtt_sessions         INTEGER NOT NULL,
                mqtt_absent           INTEGER NOT NULL,
                mqtt_queued           INTEGER NOT NULL,
                mqtt_held_bytes       INTEGER NOT NULL,
                mqtt_retained         INTEGER NOT NULL,
                mqtt_retained_bytes   INTEGER NOT NULL,
            """
        try db.execute(
            sql: """
                CREATE TABLE worker_history (
                    step   INTEGER NOT NULL,
                    at     INTEGER NOT NULL,
                    worker TEXT NOT NULL,
                \(figures)
                    PRIMARY KEY (step, at, worker)
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE cluster_history (
                    step    INTEGER NOT NULL,
                    at      INTEGER NOT NULL,
                    workers INTEGER NOT NULL,
                \(figures)
                    PRIMARY KEY (step, at)
                ) STRICT, WITHOUT ROWID;
                """)
    }
}
