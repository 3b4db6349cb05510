import CLuaHost
import ShuntCore

/// A message as rules saw it or made it, with bytes of its own.
public struct ObservedMessage: Equatable, Sendable {
    public var kind: MessageKind
    /// The topic, or the chat's id; empty for a broadcast, whatever topic a rule has given it.
    public var topic: [UInt8]
    public var key: [UInt8]?
    public var payload: [UInt8]
    public var format: PayloadFormat
    public var qos: QoS
    public var isRetained: Bool
    /// The device filter of a broadcast, as JSON.
    public var filter: [UInt8]
    /// MQTT's other properties by the names of a rule's fields; `props` is a list of names and values. A property that it does not have is missing.
    public var properties: [String: SettingValue]
    /// Seconds after which it goes out; nil: at once.
    public var delay: Double?
    /// How many rules had sent it on to another topic before.
    public var hops = 0

    init(_ view: MessageView, filter: Bytes = .none) {
        kind = view.kind
        topic = kind == .broadcast ? [] : Array(view.topic)
        key = view.key.map { Array($0) }
        payload = Array(view.payload)
        format = view.format
        qos = view.qos
        isRetained = view.isRetained
        self.filter = Array(filter)
        properties = Self.named(view.properties)
        hops = Int(view.hops)
    }

    init(_ routed: RoutedMessage) {
        kind = routed.kind
        topic = kind == .broadcast ? [] : Array(routed.topic)
        key = routed.key.map { Array($0) }
        payload = Array(routed.payload)
        format = routed.format
        qos = routed.qos
        isRetained = routed.isRetained
        filter = Array(routed.filter)
        properties = Self.named(routed.properties)
        if routed.changes.contains(.delayed) { delay = Double(routed.delay) / 1000 }
    }

    private static func named(_ encoded: Bytes) -> [String: SettingValue] {
        var fields = TestProperties.described(encoded).mapValues { SettingValue($0) }
        if fields["props"] == .array([]) { fields["props"] = nil }
        return fields
    }

    /// Whether nothing of it differs, except for how it came here.
    public func isSame(as other: ObservedMessage) -> Bool {
        var other = other
        other.hops = hops
        return self == other
    }
}

/// What one rule did with one message.
public struct RuleStep: Sendable {
    /// How a rule has failed.
    public struct Failure: Sendable {
        /// With its place and code, as a worker logs it.
        public var text: String
        /// The same, with the path at which the file is found.
        public var placed: String
    }

    /// The rule's name.
    public var rule: String
    public var hook: String
    public var mode = RuleMode.live
    /// Whether what it decides is applied. A rule on trial decides for the clients of its share alone, as a canary has one.
    public var isApplied = true
    /// The message as this rule saw it.
    public var before: ObservedMessage
    /// The verdict's name; `failed` where the call failed, and `off` where the breaker has switched the rule off: then the rule's `on_error`
    /// is in `onError`.
    public var decision = "pass"
    public var onError: String?
    /// Of a drop, a reject or a redirect, and of `on_undelivered`.
    public var why = ""
    /// Whether it holds for all messages of the topic (`route.always`).
    public var isAlways = false
    /// Whether an earlier message of the topic was decided so, for all of them: the rule was not called.
    public var isStanding = false
    /// What the next rule sees instead.
    public var replacement: ObservedMessage?
    /// What it sends instead, or besides.
    public var sent: [ObservedMessage] = []
    public var nanoseconds: UInt64 = 0
    /// Bytes and allocations of the rule's Lua state.
    public var bytes: UInt64 = 0
    public var allocations: UInt64 = 0
    public var error: Failure?
    public var lines: [RuleLogEntry] = []
    /// The reason given to `conn:close`.
    public var closed: String?
    /// The uid of the recipient, of `on_deliver`.
    public var recipient: String?
}
