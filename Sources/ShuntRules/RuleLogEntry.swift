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

    public init(level: Level, rule: String, text: String, fields: String = "") {
        self.level = level
        self.rule = rule
        self.text = text
        self.fields = fields
    }
}
