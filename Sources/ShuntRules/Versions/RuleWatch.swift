import CLuaHost
import ShuntCore

/// For whom a rule that has just begun to decide is called, and for whom it fails, while a worker looks at it: what one client sends alone must not
/// bring the version before back.
struct RuleWatch {
    /// The clients for whom a hook was called, and of those the ones for whom the rule failed. Beyond so many they are not told apart.
    struct Hook {
        var callers: Set<UInt64> = []
        var failing: Set<UInt64> = []
    }

    /// Seconds since 1970.
    let since: Double
    private(set) var hooks: [UInt32: Hook] = [:]
    /// The client that has caused a hook last, and how often the rule had been called for that hook before: whether the rule is called for the
    /// client depends on its `match`, on the rules before it, and on its breaker.
    var caused: (hook: shunt_hook, client: UInt64, calls: UInt64)?
    private static let most = 1024

    init(since: Double) { self.since = since }

    mutating func called(_ hook: shunt_hook, by client: UInt64) { Self.add(client, to: &hooks[hook.rawValue, default: Hook()].callers) }
    mutating func failed(in hook: shunt_hook, by client: UInt64) {
        called(hook, by: client)
        Self.add(client, to: &hooks[hook.rawValue, default: Hook()].failing)
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
            if let hook, let caller, rule.has(hook) { rule.watch?.caused = (hook, caller, rule.calls(of: hook)) }
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

extension LoadedRule {
    /// The hook that began last has ended: its client counts where the rule was called.
    func settleCaller() {
        guard let caused = watch?.caused else { return }
        watch?.caused = nil
        if calls(of: caused.hook) > caused.calls { watch?.called(caused.hook, by: caused.client) }
    }

    // The host has figures of every hook of its table.
    func calls(of hook: shunt_hook) -> UInt64 { shunt_rule_figures(pointer, hook).unsafelyUnwrapped.pointee.calls }
}
extension shunt_hook {
    /// Whether only the recipient of the message is known, who may have done nothing, and not who has sent it.
    var isOfRecipient: Bool { self == SHUNT_ON_DELIVER || self == SHUNT_ON_ACKED }
}

