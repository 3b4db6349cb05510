import GRDB

extension RegistrySchema {
    /// Schema 3. `configured_name` is the worker's `worker.name`, not unique; `stuck` is a JSON array of strings; it and
    /// the figures are of the last heartbeat. The
    /// registry's id tells programs that follow events that ids begin anew.
    @Sendable static func addWorkerNames(_ db: Database) throws {
        try db.execute(
            sql: """
                ALTER TABLE workers ADD COLUMN configured_name TEXT NOT NULL DEFAULT '';
                ALTER TABLE workers ADD COLUMN stuck TEXT NOT NULL DEFAULT '[]';
                ALTER TABLE workers ADD COLUMN held_producers INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE workers ADD COLUMN stuck_consumers INTEGER NOT NULL DEFAULT 0;
                INSERT INTO meta VALUES ('registry_id', lower(hex(randomblob(8))));
                """)
    }
}
