import ShuntCore
import ShuntEngine

extension MetricsText {
    /// What the worker keeps for clients of MQTT, and what it had to give up.
    mutating func mqtt(_ reports: [LoopReport]) {
        func sum(_ figure: KeyPath<RoutingFigures, Int>) -> Int { reports.reduce(0) { $0 + $1.routing[keyPath: figure] } }
        gauge("shunt_mqtt_clients", "Connected clients of MQTT.", sum(\.mqttClients))
        gauge("shunt_mqtt_sessions", "Sessions that outlive their connections (mqtt.sessions).", sum(\.sessions))
        gauge("shunt_mqtt_sessions_absent", "Those of them whose client is away.", sum(\.absentSessions))
        counter("shunt_mqtt_sessions_evicted_total", "Sessions that ended early, at mqtt.sessions.", sum(\.sessionsEvicted))
        counter("shunt_mqtt_takeovers_total", "Clients that another one of the same identifier replaced.", sum(\.takeovers))
        gauge("shunt_mqtt_inflight", "Messages of QoS 1 and 2 that clients have not acknowledged.", sum(\.inflight))
        gauge("shunt_mqtt_queued", "Messages that wait for clients.", sum(\.waiting))
        gauge("shunt_mqtt_held_bytes", "Bytes of messages that are kept for sessions (mqtt.memory).", sum(\.heldBytes))
        family("shunt_mqtt_lost_total", "counter", "Messages that clients did not get, by reason.")
        let lost: [(String, Int)] = [
            ("queue_full_or_session_ended", sum(\.lostInSessions)), ("expired", sum(\.expiredInSessions)), ("absent_qos0", sum(\.missedByAbsent)),
            ("too_large", sum(\.tooLarge)),
        ]
        for (reason, count) in lost { sample("shunt_mqtt_lost_total", ["reason": reason], count) }
        counter("shunt_mqtt_hoarded_total", "Messages and sessions given up since they held most of mqtt.memory.", sum(\.hoarded))
        counter("shunt_mqtt_wills_total", "Wills published.", sum(\.wills))
        gauge("shunt_mqtt_retained", "Retained messages (mqtt.retained.messages).", sum(\.retained))
        gauge("shunt_mqtt_retained_bytes", "Bytes of retained messages (mqtt.retained.bytes).", sum(\.retainedBytes))
        counter("shunt_mqtt_retained_refused_total", "Retained messages that were not kept, at these limits.", sum(\.retainedRefused))
    }
}
