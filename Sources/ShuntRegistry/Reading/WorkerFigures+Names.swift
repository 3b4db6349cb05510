import ShuntCore

extension WorkerFigures {
    /// Each figure with its name in the registry and in the admin API's JSON.
    public static let columns: [(name: String, value: WritableKeyPath<WorkerFigures, Int> & Sendable)] = [
        ("connections", \.connections), ("connections_accepted", \.connectionsAccepted),
        ("connection_errors", \.connectionErrors), ("requests", \.requests), ("request_bytes", \.requestBytes),
        ("responses", \.responses), ("responses_succeeded", \.responsesSucceeded), ("responses_failed", \.responsesFailed),
        ("response_milliseconds", \.responseMilliseconds), ("response_bytes", \.responseBytes),
        ("subscriptions", \.subscriptions), ("deliveries", \.deliveries), ("held_producers", \.heldProducers),
        ("stuck_consumers", \.stuckConsumers), ("mqtt_clients", \.mqttClients), ("mqtt_sessions", \.mqttSessions),
        ("mqtt_absent", \.mqttAbsent), ("mqtt_queued", \.mqttQueued), ("mqtt_held_bytes", \.mqttHeldBytes),
        ("mqtt_retained", \.mqttRetained), ("mqtt_retained_bytes", \.mqttRetainedBytes),
    ]

    /// The names of the counters.
    public static let counterNames: Set<String> = {
        let counted = Set(counters.map { $0 as WritableKeyPath<WorkerFigures, Int> })
        return Set(columns.filter { counted.contains($0.value) }.map(\.name))
    }()
}
