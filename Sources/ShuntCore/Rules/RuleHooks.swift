/// The rules as the router sees them: one object a loop, called on that loop only.
///
/// Implemented by ShuntRules; tests of the router implement it in Swift.
public protocol RuleHooks: AnyObject {
    /// The rules that want messages of this kind and topic, tested natively.
    /// The router asks once a topic and keeps the answer with the route.
    func selection(for kind: MessageKind, topic: Bytes) -> RuleSelection

    /// Another message has come. All calls that it causes on this loop, of all rules and hooks, share one budget.
    func beginTurn()

    /// A client's bytes have come; the time that rules take for the messages in them is measured from here on.
    func beginRead()

    /// Whether the messages since `beginRead` have taken so long that other clients are to have their turn.
    var takesLong: Bool { get }

    /// Where the message that `answer` is about is written: rules read it there. nil: `answer` is not to be asked.
    var message: UnsafeMutablePointer<MessageView>? { get }

    /// Runs `on_message` of the selected rules about `message`, as `onMessage` does, and begins the message's turn. Rules have made nothing of it
    /// yet.
    ///
    /// The router asks this of each message that rules want. Most pass, and nothing more is asked; so the answer fits in a register.
    func answer(selection: RuleSelection, now: Double) -> RuleAnswer

    /// What `onMessage` would have returned where the last answer was `.decided`. Its buffers live until the next call of any hook.
    var decided: MessageOutcome { get }

    /// Runs `on_message` of the selected rules, highest priority first.
    /// - Parameter now: seconds since 1970.
    /// - Returns: the messages to send. Their buffers live until the next call of any hook.
    func onMessage(_ message: MessageView, selection: RuleSelection, now: Double) -> MessageOutcome

    /// The same while an operator follows the message: each rule's decision is told.
    func onMessage(_ message: MessageView, selection: RuleSelection, now: Double, telling tell: (TracedMessage.Step) -> Void) -> MessageOutcome

    /// Counts a message that a standing decision (`route.always`) of a rule has decided.
    func decided(by standing: StandingVerdict)

    /// A message that this rule sent on has passed `limits.hops` topics, and is dropped.
    func exceededHops(rule: Int, message: MessageView, now: Double)

    /// What a rule wanted to send goes nowhere: neither the sender of the message may send it, nor do the rule's grants have it.
    /// - Parameters:
    ///   - subject: a topic or a chat's id; empty for a broadcast.
    ///   - place: what keeps the sender from it; empty where the rule acts for nobody.
    func denied(rule: Int, _ action: AccessAction, _ subject: Bytes, by place: String, now: Double)

    /// What a rule may do besides what the sender of a message may; nil: nothing.
    func grants(of rule: Int) -> (any RuleGrants)?

    /// Runs `on_connect` for a client whose first request has come, before it is admitted.
    func onConnect(_ peer: Peer, now: Double) -> ConnectOutcome

    /// Runs `on_subscribe` for a subscription that a client asks for.
    func onSubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) -> SubscribeOutcome

    /// Runs `on_register` for a client that becomes a device, which the peer's uid, device, tags and alias tell.
    func onRegister(_ peer: Peer, now: Double) -> RegisterOutcome

    /// What the rules have sent of their own in the last hook, if that is not about a message: given once. Lives until the next call of any hook.
    var emitted: UnsafeBufferPointer<RoutedMessage> { get }

    /// Runs `on_disconnect`.
    func onDisconnect(_ peer: Peer, why: String, now: Double)

    /// The hooks below that at least one rule has; the others are not called.
    var wanted: RuleHookSet { get }

    /// Runs `on_broadcast`.
    /// - Parameters:
    ///   - push: kind `broadcast`; its payload is the text for the devices.
    ///   - filter: the device filter, a JSON object with the members of NOTIFY's (uid, device, match_tags, …).
    func onBroadcast(_ push: MessageView, filter: Bytes, now: Double) -> MessageOutcome

    /// Runs `on_chat_open`: a client creates a chat that is not open. Refused or redirected, it does not open.
    func onChatOpen(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome

    /// Runs `on_chat_join`: a client joins, or comes back to, a chat that is open.
    func onChatJoin(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome

    /// Runs `on_chat` for a member's message: kind `chat`, its topic is the chat's id.
    func onChat(_ message: MessageView, in chat: ChatView, now: Double) -> MessageOutcome

    /// Runs `on_chat_close`.
    /// - Parameter closer: the member that has ended the chat; nil where nobody has, or another worker.
    func onChatClose(_ chat: ChatView, why: String, by closer: ConnectionID?, now: Double)

    /// Runs `on_deliver`, once a recipient. The buffers that a message hook returned last stay valid: they may be the message that is
    /// delivered.
    /// - Parameters:
    ///   - filter: of a broadcast, the JSON object that it came with; empty otherwise.
    ///   - peer: is there.
    func onDeliver(_ message: MessageView, filter: Bytes, to peer: ConnectionID, now: Double) -> DeliverOutcome

    /// Runs `on_undelivered`. The buffers that a message hook returned last stay valid.
    func onUndelivered(_ message: MessageView, why: String, now: Double)

    /// Runs `on_unsubscribe`: a client that stays has given a subscription up, or may not have it any more.
    func onUnsubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double)

    /// Runs `on_tick` of the rules whose time has come, and hands over what each of them sends.
    func onTick(now: Double, sent: () -> Void)

    /// Runs `on_select`: a consumer group has several members who may get a message. The buffers that a message hook returned last stay valid.
    /// - Returns: the place of the member that a rule has chosen.
    func onSelect(_ group: String, _ members: [GroupMember], _ message: MessageView, now: Double) -> Int?

    /// Runs `on_will`: a will is about to be published, of a client who may have gone.
    func onWill(_ message: MessageView, of peer: Peer, now: Double) -> MessageOutcome

    /// Runs `on_session`.
    func onSession(_ event: SessionEvent, _ session: SessionView, now: Double)

    /// Runs `on_acked`: a recipient has acknowledged a message of QoS 1 or 2.
    func onAcked(_ message: MessageView, by peer: ConnectionID, now: Double)

    /// How many messages, and bytes of them, may still be delayed on this loop.
    func setDelayRoom(messages: Int, bytes: Int)

    /// The rule that has refused a client, a device or a subscription, in the last hook that did.
    var refusing: String? { get }
    /// Whether the reason that it gave may not be logged: it repeats what the rule has read of the client's will or of its authentication.
    func hidesReason(_ why: String) -> Bool

    /// The name of a rule, which it keeps when rules are loaded anew, and the rule that has a name. The name of a version that ran beside a rule,
    /// and does so no longer, is that rule's.
    func name(of rule: Int) -> String
    func rule(named name: String) -> Int?
    /// A rule, and the other version of it that runs beside it, if one does: what one of them has sent the other does not see.
    func versions(of rule: Int) -> RuleSelection

    /// Runs `on_auth` for a step of a client's authentication.
    /// - Parameter peer: who it is as far as it is known.
    func onAuth(_ peer: Peer, _ step: AuthStep, now: Double) -> AuthOutcome

    /// A client has gone for which a call waits.
    func abandon(_ peer: ConnectionID)
}

extension RuleHooks {
    public var message: UnsafeMutablePointer<MessageView>? { nil }
    public func answer(selection: RuleSelection, now: Double) -> RuleAnswer { .notAsked }
    public var decided: MessageOutcome { .pass }
    public func beginTurn() {}
    public func beginRead() {}
    public var takesLong: Bool { false }
    public func onMessage(
        _ message: MessageView, selection: RuleSelection, now: Double, telling tell: (TracedMessage.Step) -> Void
    ) -> MessageOutcome { onMessage(message, selection: selection, now: now) }
    public func decided(by standing: StandingVerdict) {}
    public func exceededHops(rule: Int, message: MessageView, now: Double) {}
    public func denied(rule: Int, _ action: AccessAction, _ subject: Bytes, by place: String, now: Double) {}
    public func grants(of rule: Int) -> (any RuleGrants)? { nil }
    public var wanted: RuleHookSet { [] }
    public func onBroadcast(_ push: MessageView, filter: Bytes, now: Double) -> MessageOutcome { .pass }
    public func onChatOpen(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome { .accept }
    public func onChatJoin(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome { .accept }
    public func onChat(_ message: MessageView, in chat: ChatView, now: Double) -> MessageOutcome { .pass }
    public func onChatClose(_ chat: ChatView, why: String, by closer: ConnectionID?, now: Double) {}
    public func onDeliver(_ message: MessageView, filter: Bytes, to peer: ConnectionID, now: Double) -> DeliverOutcome { .deliver }
    public func onUndelivered(_ message: MessageView, why: String, now: Double) {}
    public func onUnsubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) {}
    public func onTick(now: Double, sent: () -> Void) {}
    public func onRegister(_ peer: Peer, now: Double) -> RegisterOutcome { .accept }
    public var emitted: UnsafeBufferPointer<RoutedMessage> { UnsafeBufferPointer(start: nil, count: 0) }
    public func onSelect(_ group: String, _ members: [GroupMember], _ message: MessageView, now: Double) -> Int? { nil }
    public func onWill(_ message: MessageView, of peer: Peer, now: Double) -> MessageOutcome { .pass }
    public func onSession(_ event: SessionEvent, _ session: SessionView, now: Double) {}
    public func onAcked(_ message: MessageView, by peer: ConnectionID, now: Double) {}
    public func setDelayRoom(messages: Int, bytes: Int) {}
    public var refusing: String? { nil }
    public func hidesReason(_ why: String) -> Bool { false }
    public func name(of rule: Int) -> String { "" }
    public func rule(named name: String) -> Int? { nil }
    public func versions(of rule: Int) -> RuleSelection { rule < RuleSelection.capacity ? RuleSelection(mask: 1 << UInt64(rule)) : .none }
    public func onAuth(_ peer: Peer, _ step: AuthStep, now: Double) -> AuthOutcome { .unknown }
    public func abandon(_ peer: ConnectionID) {}
}

/// Hooks that are only called where a rule has them.
public struct RuleHookSet: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let broadcast = RuleHookSet(rawValue: 1)
    public static let chatOpen = RuleHookSet(rawValue: 2)
    public static let chatJoin = RuleHookSet(rawValue: 4)
    public static let chat = RuleHookSet(rawValue: 8)
    public static let chatClose = RuleHookSet(rawValue: 16)
    public static let deliver = RuleHookSet(rawValue: 32)
    public static let undelivered = RuleHookSet(rawValue: 64)
    public static let unsubscribe = RuleHookSet(rawValue: 128)
    public static let tick = RuleHookSet(rawValue: 256)
    public static let register = RuleHookSet(rawValue: 512)
    public static let select = RuleHookSet(rawValue: 1024)
    public static let will = RuleHookSet(rawValue: 2048)
    public static let session = RuleHookSet(rawValue: 4096)
    public static let acked = RuleHookSet(rawValue: 8192)
    public static let auth = RuleHookSet(rawValue: 1 << 14)
    /// Not a hook: some rule may look something up, and its hooks may wait.
    public static let lookups = RuleHookSet(rawValue: 1 << 15)
    /// Not a hook: some rule asks for the sessions of a user (`SessionDirectory`).
    public static let sessions = RuleHookSet(rawValue: 1 << 16)
}

/// A chat as rules see it.
public struct ChatView: Equatable, Sendable {
    public struct Member: Equatable, Sendable {
        public var uid: String
        public var isOnline: Bool

        public init(uid: String, isOnline: Bool) {
            self.uid = uid
            self.isOnline = isOnline
        }
    }

    public var id: String
    public var members: [Member]
    /// Seconds since 1970; 0 where it is not open yet.
    public var createdAt: Double

    public init(id: String, members: [Member], createdAt: Double) {
        self.id = id
        self.members = members
        self.createdAt = createdAt
    }
}

/// The rules' decision about one recipient of a message.
public enum DeliverOutcome {
    case deliver
    /// With another payload. Lives until the next call of any hook.
    case replace(RoutedMessage)
    case drop(why: String)
}

/// A set of rules, by their place in the order of priority (0 runs first). At most 64 rules run in a worker.
public struct RuleSelection: Equatable, Sendable {
    public var mask: UInt64
    public static let none = RuleSelection(mask: 0), all = RuleSelection(mask: .max)
    /// The most rules that a worker can run.
    public static let capacity = 64

    @inlinable
    public init(mask: UInt64) { self.mask = mask }

    @inlinable public var isEmpty: Bool { mask == 0 }
    @inlinable public func contains(_ rule: Int) -> Bool { mask & (1 << UInt64(rule)) != 0 }
    /// The one that runs first.
    @inlinable public var first: Int? { mask == 0 ? nil : mask.trailingZeroBitCount }
    @inlinable public func removing(_ rule: Int) -> RuleSelection { RuleSelection(mask: mask & ~(1 << UInt64(rule))) }
    @inlinable public func subtracting(_ other: RuleSelection) -> RuleSelection { RuleSelection(mask: mask & ~other.mask) }
    @inlinable public mutating func insert(_ rule: Int) { mask |= 1 << UInt64(rule) }
    /// With a rule that has a place among them.
    @inlinable public func inserting(_ rule: Int) -> RuleSelection { RuleSelection(mask: rule < Self.capacity ? mask | 1 << UInt64(rule) : mask) }
    @inlinable public func union(_ other: RuleSelection) -> RuleSelection { RuleSelection(mask: mask | other.mask) }
    @inlinable public mutating func formUnion(_ other: RuleSelection) { mask |= other.mask }
    /// The rules among them that run after one.
    @inlinable public func after(_ rule: Int) -> RuleSelection { RuleSelection(mask: mask & ~((2 << UInt64(rule)) &- 1)) }
    /// All of them, in order.
    public var places: [Int] { (0..<Self.capacity).filter { contains($0) } }
}

/// A message that a rule made. Borrowed: it lives until the next call of any hook.
public struct RoutedMessage {
    /// The parts that differ from the message that the rules were given. If none does, its frame can be relayed as it is.
    public struct Changes: OptionSet, Sendable {
        public let rawValue: UInt16
        @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
        public static let kind = Changes(rawValue: 1)
        public static let topic = Changes(rawValue: 2)
        public static let key = Changes(rawValue: 4)
        public static let payload = Changes(rawValue: 8)
        public static let format = Changes(rawValue: 16)
        /// The device filter of a broadcast.
        public static let filter = Changes(rawValue: 32)
        public static let qos = Changes(rawValue: 64)
        public static let retain = Changes(rawValue: 128)
        /// The properties of MQTT 5.0, and the expiry among them.
        public static let properties = Changes(rawValue: 256)
        /// It goes out later.
        public static let delayed = Changes(rawValue: 512)
    }

    public var kind: MessageKind
    public var changes: Changes
    /// The topic, or the chat id.
    public var topic: Bytes
    public var key: Bytes?
    public var payload: Bytes
    public var format: PayloadFormat
    /// `.none` once a rule has replaced the payload.
    public var compression: PayloadCompression
    /// The device filter of a broadcast as JSON; empty for other kinds.
    public var filter: Bytes
    public var qos = QoS.atLeastOnce
    public var isRetained = false
    /// Milliseconds after which it goes out.
    public var delay: UInt32 = 0
    /// As `MessageView.properties`.
    public var properties = Bytes.none
    /// The rule that made it, by its place in the order of priority.
    public var rule: UInt8
    /// The rule that gave it its topic, and whose grants count. It is another one where a rule sends what one before has renamed.
    public var topicRule: UInt8
    /// The rules that have sent it on, these two among them: they do not see it again.
    public var sentOn: RuleSelection
    /// The rules that do not see it under its topic: those that have seen it there already, or all, since one has ended the chain (`route.done()`).
    public var seenBy = RuleSelection.none

    @inlinable
    public init(
        kind: MessageKind, changes: Changes, topic: Bytes, key: Bytes?, payload: Bytes, format: PayloadFormat,
        compression: PayloadCompression, filter: Bytes = Bytes(start: nil, count: 0), rule: UInt8
    ) {
        self.kind = kind
        self.changes = changes
        self.topic = topic
        self.key = key
        self.payload = payload
        self.format = format
        self.compression = compression
        self.filter = filter
        self.rule = rule
        topicRule = rule
        sentOn = RuleSelection.none.inserting(Int(rule))
    }
}

/// What rules say of a message at first.
public enum RuleAnswer: Sendable {
    /// All let it pass as it came, and send nothing.
    case passes
    /// The same, and `takesLong` holds.
    case passesLate
    /// There is more to do: see `RuleHooks.decided`.
    case decided
    /// They have not been asked; `onMessage` is to be.
    case notAsked
}

/// The rules' decision about a message.
public struct MessageOutcome {
    public enum Verdict: Equatable, Sendable {
        /// Deliver the message as it came; then `messages`.
        case pass
        /// Deliver `messages` instead of it.
        case send
        /// Deliver it to nobody; the sender is told nothing.
        case drop
        /// Deliver it to nobody; the sender is told why.
        case reject
        /// Of a chat's message: the sender is told to go to the worker `host:port` that `why` names.
        case redirect
    }

    public var verdict: Verdict
    /// Why it was dropped or rejected, or where it is redirected to. Lives until the next call of any hook.
    public var why: Bytes
    /// What is sent besides (`ctx:emit`), or instead. Lives until the next call of any hook.
    public var messages: UnsafeBufferPointer<RoutedMessage>
    /// The rule that decided, by its place in the order of priority; nil when all of them passed.
    public var rule: UInt8?
    /// Whether the decision of `rule` holds for all messages of the topic until the rules change (`route.always`).
    public var isStanding = false
    /// The rules that pass all messages of the topic until the rules change.
    public var passing = RuleSelection.none
    /// Of a will: no other rule sees it (`route.done`).
    public var isFinal = false

    @inlinable
    public init(
        _ verdict: Verdict, why: Bytes = Bytes(start: nil, count: 0),
        messages: UnsafeBufferPointer<RoutedMessage> = UnsafeBufferPointer(start: nil, count: 0), rule: UInt8? = nil
    ) {
        self.verdict = verdict
        self.why = why
        self.messages = messages
        self.rule = rule
    }

    /// Nothing to change.
    @inlinable public static var pass: MessageOutcome { MessageOutcome(.pass) }

    /// Whether there is nothing to do but to deliver the message as it came.
    @inlinable public var isPlainPass: Bool { verdict == .pass && messages.isEmpty && passing.isEmpty && !isStanding }

    /// `why` as a text, for what outlives it.
    public var reason: String { String(decoding: why, as: UTF8.self) }
}
