import CLuaHost
import ShuntCore

/// Who calls a rule that has just begun to decide, and for whom it fails, while a worker looks at it: what one client sends alone must not bring
/// the version before back.
struct RuleWatch {
    /// The clients of a hook, and of those the ones for whom the rule failed. Beyond so many they are not told apart.
    struct Hook {
        var callers: Set<UInt64> = []
        var failing: Set<UInt64> = []
    }

    /// Seconds since 1970.
    let since: Double
    private(set) var hooks: [UInt32: Hook] = [:]
    private static let most = 1024

    init(since: Double) { self.since = since }

    mutating func called(_ hook: shunt_hook, by client: UInt64) { Self.add(client, to: &hooks[hook.rawValue, default: Hook()].callers) }
    mutating func failed(in hook: shunt_hook, by client: UInt64) { Self.add(client, to: &hooks[hook.rawValue, default: Hook()].failing) }

    private static func add(_ client: UInt64, to clients: inout Set<UInt64>) {
        if clients.count < most { clients.insert(client) }
    }
}

extension LoopRules {
    /// A client has caused a call of a hook.
    @inline(never)
    func noteCaller(_ hook: shunt_hook) {
        isWatching = false
        let caller = caller(of: hook)
        for rule in rules {
            guard let since = rule.watch?.since else { continue }
            // A little longer than the worker looks.
            guard watchedFor > 0, now < since + watchedFor + 1 else {
                rule.watch = nil
                continue
            }
            isWatching = true
            if let caller, rule.has(hook) { rule.watch?.called(hook, by: caller) }
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
        // Of a delivery only the recipient is known, who may have done nothing.
        guard hook != SHUNT_ON_DELIVER, client != .none else { return nil }
        return peers?.network(of: client) ?? client.raw
    }
}
