import ShuntCore

/// What only the worker publishes: below `$SYS` its clients learn how it is, and who comes and goes.
extension TopicRouter {
    static func isSystemTopic(_ topic: Bytes) -> Bool { topic.starts(with: "$SYS/".utf8) }

    static let systemTopicRefusal = "only the worker publishes below $SYS"
}
