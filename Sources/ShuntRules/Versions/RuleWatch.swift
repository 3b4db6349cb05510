import CLuaHost
import ShuntCore

/// For whom a rule that has just begun to decide is called, and for whom it fails, while a worker looks at it: what one client sends alone must not
/// bring the version before back.
struct RuleWatch {
    /// The clients for whom a hook was called, and of those the ones for whom the rule failed. Beyond so many they are not told apart.
    struct Hook {
        var callers: Set<UInt64> = []
        var failing: Set<UInt64> = []
        /// How long the calls took that were timed.
        var times: [UInt64: CallerTimes] = [:]
    }

    /// A hook that a client has caused, and what had been counted before.
    struct Caused {
        let hook: shunt_hook
        let client: UInt64
        let calls: UInt64
        let sampled: UInt64
        let nanoseconds: UInt64

        init(_ hook: shunt_hook, by client: UInt64, _ figures: UnsafePointer<shunt_figures>) {
            (self.hook, self.client) = (hook, client)
            (calls, sampled, nanoseconds) = (figures.pointee.calls, figures.pointee.sampled, figures.pointee.sampled_nanoseconds)
        }
    }

    /// Seconds since 1970.
    let since: Double
    private(set) var hooks: [UInt32: Hook] = [:]
    /// The hook that began last: whether the rule is called for its client depends on its `match`, on the rules before it, and on its breaker.
    var caused: Caused?
    private static let most = 1024

    init(since: Double) { self.since = since }

    mutating func called(_ hook: shunt_hook, by client: UInt64) { Self.add(client, to: &hooks[hook.rawValue, default: Hook()].callers) }
    mutating func failed(in hook: shunt_hook, by client: UInt64) {
        called(hook, by: client)
        Self.add(client, to: &hooks[hook.rawValue, default: Hook()].failing)
    }

    /// A call was timed, which stands for several.
    mutating func timed(_ hook: shunt_hook, by client: UInt64, nanoseconds: UInt64, calls: UInt64) {
        let count = hooks[hook.rawValue]?.times.count ?? 0
        guard count < Self.most || hooks[hook.rawValue]?.times[client] != nil else { return }
        hooks[hook.rawValue, default: Hook()].times[client, default: CallerTimes()].add(nanoseconds: nanoseconds, calls: calls)
    }

    private static func add(_ client: UInt64, to clients: inout Set<UInt64>) {
        if clients.count < most { clients.insert(client) }
    }
}

extension LoopRules {
    /// A hook begins that a client may have caused.
    /// - Parameter hook: nil where it counts for nobody.
    @inline(never)
    func noteCaller(_ hook: shunt_hook?) {
        isWatching = false
        let caller = hook.flatMap { self.caller(of: $0) }
        for rule in rules {
            guard let since = rule.watch?.since else { continue }
            // A little longer than the worker looks.
            guard watchedFor > 0, now < since + watchedFor + 1 else {
                rule.watch = nil
                continue
            }
            isWatching = true
            rule.settleCaller()
            if let hook, let caller, rule.has(hook) { rule.watch?.caused = RuleWatch.Caused(hook, by: caller, rule.counted(hook)) }
        }
    }

    func noteFailure(of rule: Int, in hook: shunt_hook) {
        guard isWatching, rules[rule].watch != nil, let caller = caller(of: hook) else { return }
        rules[rule].watch?.failed(in: hook, by: caller)
    }

    /// What tells the client who has caused the call from others: its address, or itself where that is not known or this machine; else one that
    /// comes again and again would count as many. nil where the client is not known.
    private func caller(of hook: shunt_hook) -> UInt64? {
        guard let client else { return hook == SHUNT_ON_TICK ? ConnectionID.none.raw : nil }
        guard !hook.isOfRecipient else { return nil }
        return peers?.network(of: client) ?? (client == .none ? nil : client.raw)
    }
}

extension shunt_hook {
    /// Whether only the recipient of the message is known, who may have done nothing, and not who has sent it.
    var isOfRecipient: Bool { self == SHUNT_ON_DELIVER || self == SHUNT_ON_ACKED }
}

extension LoadedRule {
    /// The hook that began last has ended: its client counts where the rule was called.
    func settleCaller() {
        guard let caused = watch?.caused else { return }
        watch?.caused = nil
        let figures = counted(caused.hook)
        guard figures.pointee.calls > caused.calls else { return }
        watch?.called(caused.hook, by: caused.client)
        guard figures.pointee.sampled > caused.sampled else { return }
        let calls = figures.pointee.sampled - caused.sampled
        let time = (figures.pointee.sampled_nanoseconds - caused.nanoseconds) / calls
        watch?.timed(caused.hook, by: caused.client, nanoseconds: time, calls: calls)
    }

    // The host has figures of every hook of its table.
    func counted(_ hook: shunt_hook) -> UnsafePointer<shunt_figures> { UnsafePointer(shunt_rule_figures(pointer, hook).unsafelyUnwrapped) }
}
