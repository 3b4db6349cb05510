import GRDB

extension RegistrySchema {
    /// Schema 4. What a worker held for clients of MQTT at its last heartbeat.
    @Sendable static func addMQTTFigures(_ db: Database) throws {
        try db.execute(
            sql: """
                ALTER TABLE workers ADD COLUMN mqtt_clients INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE workers ADD COLUMN mqtt_sessions INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE workers ADD COLUMN mqtt_absent INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE workers ADD COLUMN mqtt_queued INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE workers ADD COLUMN mqtt_held_bytes INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE workers ADD COLUMN mqtt_retained INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE workers ADD COLUMN mqtt_retained_bytes INTEGER NOT NULL DEFAULT 0;
                """)
    }
}
