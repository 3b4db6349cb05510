import CLuaHost
import ShuntCore

/// What a rule's table says, checked.
public struct RuleDefinition: Equatable, Sendable {
    /// Which messages a rule wants: tested natively.
    public struct Match: Equatable, Sendable {
        /// Which of a rule's hooks are called: each is about messages of one kind, on_deliver and on_undelivered about all.
        public var kinds = Set(MessageKind.allCases)
        /// MQTT topic filters, for the topic or the chat's id; nil takes all. A broadcast has neither.
        public var filters: [String]?
    }

    public enum OnError: String, Sendable, CaseIterable {
        case pass, drop, reject
    }

    /// When a rule that fails is switched off.
    public struct Breaker: Equatable, Sendable {
        /// More errors than this within `window` seconds switch it off, for `retry` seconds.
        public var errors = 100
        public var window = 10.0
        public var retry = 30.0
    }

    /// What a rule may do besides what the sender of a message may.
    public struct Grants: Equatable, RuleGrants {
        /// Topic filters.
        var publish: [[UInt8]] = []
        /// Filters for the ids of chats.
        var chat: [[UInt8]] = []
        var broadcast = false

        public func allow(_ action: AccessAction, _ subject: Bytes) -> Bool {
            switch action {
            case .publish: publish.contains { $0.withUnsafeBytes { TopicFilter.takes(subject, filter: $0) } }
            case .chat: chat.contains { $0.withUnsafeBytes { TopicFilter.takes(subject, filter: $0) } }
            case .broadcast: broadcast
            case .subscribe, .share: false
            }
        }
    }

    public var name: String
    public var priority: Int
    /// nil: nothing.
    public var grants: Grants?
    public var match = Match()
    public var nanoseconds: UInt64
    public var memory: Int
    /// nil: as `RuleHook.standardOnError` has it.
    public var onError: OnError?
    public var breaker = Breaker()
    /// Seconds between two calls of `on_tick`.
    public var tick = 60.0
    /// What the rule says of its settings; nil where it says nothing.
    public var schema: SettingsSchema?
    /// Where the configuration says nothing else.
    public var mode = RuleMode.live
    /// The names of the hooks that this version calls.
    public var hooks: Set<String> = []

    func onError(of hook: shunt_hook) -> OnError {
        onError ?? RuleHook(rawValue: String(cString: shunt_hook_name(hook)))?.standardOnError ?? .pass
    }

    func policy() -> shunt_rule_policy {
        var policy = shunt_rule_policy()
        policy.nanoseconds = nanoseconds
        policy.memory = memory
        withUnsafeMutableBytes(of: &policy.on_error) { bytes in
            let actions = bytes.bindMemory(to: shunt_on_error.self)
            for index in actions.indices {
                actions[index] =
                    switch onError(of: shunt_hook(UInt32(index))) {
                    case .pass: SHUNT_PASS_ON_ERROR
                    case .drop: SHUNT_DROP_ON_ERROR
                    case .reject: SHUNT_REJECT_ON_ERROR
                    }
            }
        }
        return policy
    }
}
