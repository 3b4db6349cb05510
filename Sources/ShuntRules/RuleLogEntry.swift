/// A line that a rule wrote, or that is about one.
public struct RuleLogEntry: Equatable, Sendable {
    public enum Level: UInt32, Sendable, CaseIterable {
        case debug, info, warn, error
    }

    public var level: Level
    /// The rule's name; empty where the line is about all of them.
    public var rule: String
    public var text: String
    /// The fields as JSON; empty where there are none.
    public var fields: String

    /// Of a failure: the topic of its message, and the client; empty where there are none.
    public var topic: String
    public var client: String
    /// What of it is worth to be looked up later.
    public var event: Event?

    /// A breaker has switched a rule off on a loop, or on again.
    public enum Event: Sendable {
        case off, on
    }

    public init(
        level: Level, rule: String, text: String, fields: String = "", topic: String = "", client: String = "", event: Event? = nil
    ) {
        self.level = level
        self.rule = rule
        self.text = text
        self.fields = fields
        self.topic = topic
        self.client = client
        self.event = event
    }
}
