import ShuntCore

extension Configuration {
    /// `mqtt:`, what a worker keeps for clients of MQTT.
    static let mqttKeys: [ConfigKey<Configuration>] = [
        ConfigKey(
            "mqtt.sessions", \.mqtt.sessions, .int(1...100_000_000), .live,
            "Sessions of a worker that outlive their connections. Beyond it the session of an absent client that would expire first ends."),
        ConfigKey(
            "mqtt.session_expiry", \.mqtt.sessionExpiry, .duration(.zero...(.seconds(365 * 86_400))), .live,
            "How long a session of MQTT 3.1.1 with clean session 0 waits for its client. Sessions are kept in memory and end with the worker."),
        ConfigKey(
            "mqtt.session_expiry_maximum", \.mqtt.sessionExpiryMaximum, .duration(.zero...(.seconds(365 * 86_400))), .live,
            "The longest session expiry interval that a client of MQTT 5.0 gets; it is told when it asks for more."),
        ConfigKey(
            "mqtt.queue.messages", \.mqtt.queueMessages, .int(1...10_000_000), .live,
            "Messages of QoS 1 and 2 that wait for one session, while its client is away or has not acknowledged earlier ones."),
        ConfigKey("mqtt.queue.bytes", \.mqtt.queueBytes, .size(1024...(1 << 40)), .live, "Bytes of the messages that wait for one session."),
        ConfigKey(
            "mqtt.queue.full", \.mqtt.queueFull, .word, .live,
            "What is dropped when as much waits for a session as may: the message that has waited longest, or the new one. Producers of a "
                + "client that is connected are slowed before that, as worker.slow_consumer says."),
        ConfigKey(
            "mqtt.memory", \.mqtt.memory, .size(1 << 20...(1 << 40)), .live,
            "Bytes of all messages that a worker keeps for sessions; a message that waits for several sessions counts once a loop."),
        ConfigKey(
            "mqtt.inflight", \.mqtt.inflight, .int(1...65_535), .live,
            "Messages of QoS 1 and 2 on their way to one client that it has not acknowledged; its own receive maximum may be less."),
        ConfigKey(
            "mqtt.receive_maximum", \.mqtt.receiveMaximum, .int(1...65_535), .live,
            "Messages of QoS 2 that a client of MQTT 5.0 may have begun to send."),
        ConfigKey(
            "mqtt.topic_aliases", \.mqtt.topicAliases, .int(0...1024), .live,
            "Topic aliases that a client of MQTT 5.0 may use, and the most that are used towards it."),
        ConfigKey(
            "mqtt.keep_alive_maximum", \.mqtt.keepAliveMaximum, .duration(.zero...(.seconds(65_535))), .live,
            "The longest keep alive of a client of MQTT 5.0, which is told it. 0s: as the client likes."),
        ConfigKey(
            "mqtt.retained.messages", \.mqtt.retainedMessages, .int(0...100_000_000), .live,
            "Retained messages of a worker; one for a new topic is not kept beyond it."),
        ConfigKey("mqtt.retained.bytes", \.mqtt.retainedBytes, .size(0...(1 << 40)), .live, "Bytes of a worker's retained messages."),
        ConfigKey(
            "mqtt.retained.age", \.mqtt.retainedAge, .duration(.zero...(.seconds(365 * 86_400))), .live,
            "A retained message that is older is forgotten. 0s: it stays until it is replaced or cleared, or expires."),
        ConfigKey(
            "mqtt.sys_interval", \.mqtt.sysInterval, .duration(.zero...(.seconds(86_400))), .live,
            "How often a worker publishes its figures below $SYS. 0s: never."),
        ConfigKey(
            "mqtt.broadcasts_from", \.mqtt.broadcastsFrom, .word, .live,
            "Which clients of MQTT may send broadcasts by publishing to $shunt/notify: those with a user name, or all."),
    ]
}
