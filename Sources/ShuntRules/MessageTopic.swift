import ShuntCore

/// What a worker takes as the topic of a message.
enum MessageTopic {
    /// What is wrong with a topic, and what would be right; nil where a message may have it.
    static func problem(_ topic: String) -> (what: String, help: String)? {
        if topic.isEmpty { return ("the topic is empty", "a message needs a topic, as in orders/1") }
        var topic = topic
        guard !topic.withUTF8({ TopicFilter.isTopic(Bytes($0)) }) else { return nil }
        return ("no message has '\(topic)' as its topic", "+ and # are wildcards of subscriptions; NUL is in neither (MQTT 5 §4.7)")
    }
}
