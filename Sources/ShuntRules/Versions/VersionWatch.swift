import CLuaHost
import ShuntCore

/// Who calls a new version of the rules, and for whom it fails, while a worker watches it: what one client sends alone must not bring the version
/// before back.
///
/// A client is known by its address, or by itself where the address is not known or this machine: else one that comes again and again would count
/// as many.
struct VersionWatch {
    /// The clients of a hook, and of those the ones for whom a rule failed, by the rule's place. Beyond so many they are not told apart.
    private struct Hook {
        var callers: Set<UInt64> = []
        var failing: [Int: Set<UInt64>] = [:]
    }

    /// Seconds since 1970.
    let until: Double
    private var hooks: [UInt32: Hook] = [:]
    private static let most = 1024

    init(until: Double) { self.until = until }

    mutating func called(_ hook: shunt_hook, by client: UInt64) {
        guard hooks[hook.rawValue]?.callers.count ?? 0 < Self.most else { return }
        hooks[hook.rawValue, default: Hook()].callers.insert(client)
    }

    mutating func failed(rule: Int, in hook: shunt_hook, by client: UInt64) {
        guard let failing = hooks[hook.rawValue]?.failing[rule, default: []], failing.count < Self.most else { return }
        hooks[hook.rawValue]?.failing[rule, default: []].insert(client)
    }

    /// How many clients have called a hook, and for how many of them a rule failed in it; zeros of hooks that no client calls.
    func clients(of rule: Int, in hook: shunt_hook) -> (callers: Int, failing: Int) {
        guard let hook = hooks[hook.rawValue] else { return (0, 0) }
        return (hook.callers.count, hook.failing[rule]?.count ?? 0)
    }
}

extension LoopRules {
    /// A client has caused a call of a hook.
    @inline(never)
    func noteCaller(_ hook: shunt_hook) {
        guard let until = watch?.until else { return }
        guard now < until else {
            watch = nil
            return
        }
        if let client { watch?.called(hook, by: identity(of: client)) }
    }

    func noteFailure(of rule: Int, in hook: shunt_hook) {
        guard watch != nil, let client else { return }
        watch?.failed(rule: rule, in: hook, by: identity(of: client))
    }

    private func identity(of client: ConnectionID) -> UInt64 { peers?.network(of: client) ?? client.raw }
}
