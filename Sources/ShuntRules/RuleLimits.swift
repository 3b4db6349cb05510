/// What rules may use, whatever they ask for.
public struct RuleLimits: Equatable, Sendable {
    /// The budget of a hook call where its rule asks for none: processor time in nanoseconds, and bytes of growth.
    public var callNanoseconds: UInt64 = 2_000_000
    public var callMemory = 1 << 20
    /// The most that a rule's `budget` can ask for.
    public var callNanosecondsCap: UInt64 = 100_000_000
    public var callMemoryCap = 64 << 20
    /// Of all calls that one message causes on a loop, in budgets of a call.
    public var turnBudgets: UInt64 = 10
    var turnNanoseconds: UInt64 { callNanoseconds * turnBudgets }
    /// For loading a file, `on_load` and `on_unload`.
    public var loadNanoseconds: UInt64 = 1_000_000_000
    /// The names of the hooks that have so long, whatever the budget of a call is.
    public static let loadHooks: Set<String> = [RuleHook.onLoad.rawValue, RuleHook.onUnload.rawValue]
    public var loadMemory = 32 << 20
    /// All of a loop's rules together, in bytes. Each has an equal share that the others can't take.
    public var stateMemory = 128 << 20
    /// A compressed payload, inflated, in bytes.
    public var inflatedBytes = 16 << 20
    public var jsonDepth = 64
    /// Messages in one `route.fanout`.
    public var fanout = 1000
    /// A topic that a rule gives to a message, in bytes.
    public var topicBytes = 1024
    /// Messages by `ctx:emit` in one call.
    public var emits = 100
    /// `kv` of a rule in a loop, and `shared` of a worker.
    public var kvEntries = 10_000
    public var kvBytes = 8 << 20
    public var sharedEntries = 100_000
    public var sharedBytes = 64 << 20
    /// Counters of a rule in a loop.
    public var counters = 1000
    /// What each rule of a loop logs of each level, and its failures that are told.
    public var logLinesPerSecond = 100
    public var failuresPerSecond = 10
    /// A plugin's file and all of its files, in bytes.
    public var fileBytes = 256 << 10
    public var pluginBytes = 1 << 20
    /// For how long a worker watches a new version of the rules (`DeployGuard`).
    public var watchedSeconds = 60.0

    /// Whether what rules log, and their errors, may repeat a payload.
    public var logsPayloads = false

    public init() {}
}
