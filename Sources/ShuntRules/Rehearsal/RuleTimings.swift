import CLuaHost
import Glibc
import ShuntCore

/// What a call of one hook of a rule costs.
public struct RuleTiming: Sendable {
    /// Of a call, over batches of calls.
    public struct Spread: Equatable, Sendable {
        public var median = 0.0
        public var p99 = 0.0

        init(_ nanoseconds: [Double]) {
            let sorted = nanoseconds.sorted()
            guard !sorted.isEmpty else { return }
            median = sorted[sorted.count / 2]
            p99 = sorted[min(sorted.count - 1, sorted.count * 99 / 100)]
        }
    }

    public var rule: String
    public var hook: String
    /// Nanoseconds of this hook, and of an empty one whose batches ran between its own.
    public var nanoseconds: Spread
    public var empty: Spread
    /// What a call asks the allocator for, on average.
    public var bytes: Double
    public var allocations: Double
    public var batches: Int
    public var callsPerBatch: Int
    /// What the calls decided; only verdicts that came up.
    public var verdicts: [String: UInt64]
    public var failures: UInt64
    /// The text of the first failure.
    public var failure: String?
}

/// Calls hooks of a rule many times, as the router does: budgets armed, messages and clients as a worker has them.
public struct RuleTimer {
    private let set: RuleSet
    private let limits: RuleLimits
    /// Batches of each hook, and the nanoseconds that one should take.
    private let batches: Int
    private let batchNanoseconds = 1_000_000.0

    /// - Parameters:
    ///   - set: one rule.
    ///   - batches: batches of each hook.
    public init(_ set: RuleSet, limits: RuleLimits, batches: Int = 200) {
        self.set = set
        self.limits = limits
        self.batches = batches
    }

    /// The hooks that can be timed.
    static let hooks: [shunt_hook] = [
        SHUNT_ON_MESSAGE, SHUNT_ON_BROADCAST, SHUNT_ON_CHAT, SHUNT_ON_DELIVER, SHUNT_ON_UNDELIVERED, SHUNT_ON_CONNECT, SHUNT_ON_SUBSCRIBE,
        SHUNT_ON_CHAT_OPEN, SHUNT_ON_CHAT_JOIN, SHUNT_ON_CHAT_CLOSE, SHUNT_ON_DISCONNECT, SHUNT_ON_TICK, SHUNT_ON_REGISTER, SHUNT_ON_UNSUBSCRIBE,
        SHUNT_ON_SELECT, SHUNT_ON_AUTH, SHUNT_ON_SESSION, SHUNT_ON_WILL, SHUNT_ON_ACKED,
    ]

    /// How many of these messages the rule is not called for: their topics are none that its `match` takes, or it has no hook about them.
    /// - Throws: `rule.*` where the rule does not load.
    public func untaken(_ messages: [RehearsedMessage]) throws(ShuntError) -> Int {
        let own = try TimedRules(set, limits)
        let hooks = Self.hooks.filter { own.has($0) && shunt_hook_kinds($0) != 0 }
        return hooks.isEmpty ? 0 : messages.count { message in !hooks.contains { own.takes(message, for: $0) } }
    }

    /// - Parameter messages: each hook gets, in turn, those that it is called for; where there is none, a small one that the rule's `match`
    ///   takes.
    /// - Throws: `rule.*` where the rule does not load.
    public func run(_ messages: [RehearsedMessage]) throws(ShuntError) -> [RuleTiming] {
        let own = try TimedRules(set, limits)
        var timings: [RuleTiming] = []
        for hook in Self.hooks where own.has(hook) {
            let name = String(cString: shunt_hook_name(hook))
            let empty = try TimedRules(RuleSet(plugins: [RulePlugin(name: "empty", rule: "return { \(name) = function() end }")]), limits)
            let taken = messages.filter { own.takes($0, for: hook) }
            let given = taken.isEmpty ? Self.small(for: hook, set.rules[0].definition.match) : taken
            timings.append(time(hook, name, own, empty, given))
        }
        return timings
    }

    private static func small(for hook: shunt_hook, _ match: RuleDefinition.Match) -> [RehearsedMessage] {
        let kinds = MessageKind.allCases.filter { hook.isAbout($0) }
        let kind = kinds.first(where: match.kinds.contains) ?? kinds.first ?? .topic
        let topic = match.filters?.first.map(Self.topic) ?? "bench/topic"
        var fields: [String: SettingValue] = [
            "kind": .string("\(kind)"), "payload": #"{"id":1}"#, "format": "json", "sender": ["uid": "u1", "device": "d1"],
        ]
        if kind == .broadcast { fields["filter"] = #"{"uid":"u1"}"# } else { fields["topic"] = .string(topic) }
        // These fields are right.
        return (try? RehearsedMessage(.object(fields))).map { [$0] } ?? []
    }

    /// A topic that a filter takes.
    private static func topic(of filter: String) -> String {
        filter.split(separator: "/", omittingEmptySubsequences: false).map { $0 == "+" || $0 == "#" ? "1" : String($0) }.joined(separator: "/")
    }

    private func time(
        _ hook: shunt_hook, _ name: String, _ own: TimedRules, _ empty: TimedRules, _ messages: [RehearsedMessage]
    ) -> RuleTiming {
        let count = callsPerBatch(hook, own, messages)
        let emptyCount = callsPerBatch(hook, empty, messages)
        let before = own.figures(of: hook)
        var (times, emptyTimes): ([Double], [Double]) = ([], [])
        for _ in 0..<batches {
            emptyTimes.append(batch(hook, empty, messages, emptyCount))
            times.append(batch(hook, own, messages, count))
        }
        let after = own.figures(of: hook)
        let (bytes, allocations) = own.measureMemory { batch(hook, own, messages, count) }
        return RuleTiming(
            rule: set.rules[0].definition.name, hook: name, nanoseconds: .init(times), empty: .init(emptyTimes),
            bytes: Double(bytes) / Double(count), allocations: Double(allocations) / Double(count), batches: batches, callsPerBatch: count,
            verdicts: after.verdicts.merging(before.verdicts) { $0 - $1 }.filter { $0.value > 0 },
            failures: after.failures - before.failures, failure: own.failure)
    }

    /// So many that a batch is long against the clock, found while the rule warms up.
    private func callsPerBatch(_ hook: shunt_hook, _ rules: TimedRules, _ messages: [RehearsedMessage]) -> Int {
        var count = 16
        while count < 100_000 {
            let nanoseconds = batch(hook, rules, messages, count) * Double(count)
            if nanoseconds >= batchNanoseconds { break }
            count *= 2
        }
        return count
    }

    /// - Returns: the nanoseconds of a call.
    @discardableResult
    private func batch(_ hook: shunt_hook, _ rules: TimedRules, _ messages: [RehearsedMessage], _ count: Int) -> Double {
        var total: UInt64 = 0
        let each = max(1, count / messages.count)
        for message in messages {
            total += rules.measure(hook, message, each)
        }
        return Double(total) / Double(each * messages.count)
    }
}

/// One rule in a loop of its own, called without a router.
private final class TimedRules {
    private let rules: LoopRules
    private let clients = TestClients()
    private let client: Peer
    /// Of the group that on_select chooses from.
    private let members: [GroupMember]

    init(_ set: RuleSet, _ limits: RuleLimits) throws(ShuntError) {
        var limits = limits
        limits.failuresPerSecond = 1
        limits.logsPayloads = true
        rules = try LoopRules(
            set: set, worker: "bench", loop: 0, limits: limits, shared: try SharedStore(limits: limits), log: { _ in },
            inflate: { _, _, _, _ in [] }, now: TimedRules.clock(CLOCK_REALTIME) / 1e9)
        client = clients.client(["uid": "u1", "device": "d1"])
        let other = clients.client(["uid": "u2", "device": "d2"])
        members = [GroupMember(id: client.id, delivered: 1), GroupMember(id: other.id, delivered: 0)]
        rules.peers = clients
    }

    func has(_ hook: shunt_hook) -> Bool { rules.rules[0].has(hook) }
    var failure: String? { rules.failure.map(rules.set.rules[0].plugin.placed) }

    /// Whether a worker calls the hook for the message. Hooks that are about none get the topics and the senders.
    func takes(_ message: RehearsedMessage, for hook: shunt_hook) -> Bool {
        guard shunt_hook_kinds(hook) != 0 else { return message.kind == .topic }
        guard hook.isAbout(message.kind) else { return false }
        return message.message.withView { view, _ in !rules.selection(hook, for: message.kind, view.topic).isEmpty }
    }

    func figures(of hook: shunt_hook) -> (verdicts: [String: UInt64], failures: UInt64) {
        let figures = RuleFigures.Hook(shunt_rule_figures(rules.rules[0].pointer, hook).pointee)
        return (figures.verdicts, figures.errors.values.reduce(0, +))
    }

    func measureMemory(_ body: () -> Void) -> (bytes: UInt64, allocations: UInt64) {
        let pointer = rules.rules[0].pointer
        shunt_rule_set_metered(pointer, true)
        let before = shunt_rule_meter(pointer)
        body()
        let after = shunt_rule_meter(pointer)
        shunt_rule_set_metered(pointer, false)
        return (after.bytes - before.bytes, after.allocations - before.allocations)
    }

    private static func clock(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }

    /// - Returns: this thread's processor time for the calls, in nanoseconds.
    func measure(_ hook: shunt_hook, _ message: RehearsedMessage, _ count: Int) -> UInt64 {
        let now = message.at ?? Self.clock(CLOCK_REALTIME) / 1e9
        let chat = ChatView(id: message.topic, members: message.members, createdAt: now)
        let sender = clients.client(Self.fields(of: message.sender, hook))
        return message.message.withView { view, filter in
            var view = view
            view.sender = sender.id
            let start = Self.clock(CLOCK_THREAD_CPUTIME_ID)
            switch hook {
            case SHUNT_ON_MESSAGE:
                for _ in 0..<count {
                    rules.beginTurn()
                    _ = rules.onMessage(view, selection: RuleSelection(mask: 1), now: now)
                }
            default: for _ in 0..<count { call(hook, view, filter, chat, sender, now) }
            }
            return UInt64(max(0, Self.clock(CLOCK_THREAD_CPUTIME_ID) - start))
        }
    }

    /// The sender as a test would describe it. on_auth is a hook of MQTT 5.0.
    private static func fields(of sender: Peer, _ hook: shunt_hook) -> LuaValue {
        var fields: [String: LuaValue] = [
            "uid": .string(sender.uid), "device": .string(sender.device), "tags": .array(sender.tags.map(LuaValue.string)),
            "alias": .array(sender.alias.map(LuaValue.string)),
        ]
        guard sender.mqtt != nil || hook == SHUNT_ON_AUTH else { return .object(fields) }
        fields.merge(["protocol": "mqtt", "version": "5.0", "client_id": .string(sender.device), "auth_method": "bench"]) { own, _ in own }
        return .object(fields)
    }

    private func call(_ hook: shunt_hook, _ view: MessageView, _ filter: Bytes, _ chat: ChatView, _ sender: Peer, _ now: Double) {
        rules.beginTurn()
        switch hook {
        case SHUNT_ON_BROADCAST: _ = rules.onBroadcast(view, filter: filter, now: now)
        case SHUNT_ON_CHAT: _ = rules.onChat(view, in: chat, now: now)
        case SHUNT_ON_DELIVER: _ = rules.onDeliver(view, filter: filter, to: client.id, now: now)
        case SHUNT_ON_UNDELIVERED: rules.onUndelivered(view, why: "no subscriber", now: now)
        case SHUNT_ON_CONNECT: _ = rules.onConnect(sender, now: now)
        case SHUNT_ON_SUBSCRIBE:
            _ = rules.onSubscribe(SubscriptionRequest(topic: String(decoding: view.topic, as: UTF8.self), group: "group"), from: sender.id, now: now)
        case SHUNT_ON_CHAT_OPEN: _ = rules.onChatOpen(chat, by: sender, now: now)
        case SHUNT_ON_CHAT_JOIN: _ = rules.onChatJoin(chat, by: sender, now: now)
        case SHUNT_ON_DISCONNECT: rules.onDisconnect(sender, why: "closed", now: now)
        case SHUNT_ON_CHAT_CLOSE: rules.onChatClose(chat, why: "closed", by: nil, now: now)
        case SHUNT_ON_TICK: shunt_on_tick(rules.host.pointer, 1, now)
        default: callMore(hook, view, sender, now)
        }
    }

    private func callMore(_ hook: shunt_hook, _ view: MessageView, _ sender: Peer, _ now: Double) {
        switch hook {
        case SHUNT_ON_REGISTER: _ = rules.onRegister(sender, now: now)
        case SHUNT_ON_UNSUBSCRIBE:
            rules.onUnsubscribe(SubscriptionRequest(topic: String(decoding: view.topic, as: UTF8.self), group: "group"), from: sender.id, now: now)
        case SHUNT_ON_SELECT: _ = rules.onSelect("group", members, view, now: now)
        case SHUNT_ON_AUTH: _ = rules.onAuth(sender, AuthStep(method: "bench", data: Array(view.payload), number: 1), now: now)
        case SHUNT_ON_SESSION:
            rules.onSession(.created, SessionView(clientID: sender.device, uid: sender.uid, version: "5.0", expiry: 60), now: now)
        case SHUNT_ON_WILL: _ = rules.onWill(view, of: sender, now: now)
        case SHUNT_ON_ACKED: rules.onAcked(view, by: client.id, now: now)
        default: break
        }
    }
}

extension shunt_hook {
    /// Whether it may be called for messages of a kind.
    fileprivate func isAbout(_ kind: MessageKind) -> Bool { shunt_hook_kinds(self) & 1 << kind.rawValue != 0 }
}

extension RulePlugin {
    /// A plugin that is in no file.
    init(name: String, rule: String) {
        self.name = name
        directory = name
        sources = [Source(path: "rule.lua", text: Array(rule.utf8))]
        test = nil
    }
}

extension LuaValue: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral elements: (String, LuaValue)...) { self = .object(Dictionary(elements) { _, last in last }) }
}
