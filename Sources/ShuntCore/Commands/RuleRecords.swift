/// The rules of one worker: which version runs, and what it has done.
public struct RuleSetRecord: Codable, Equatable, Sendable {
    /// Counts the deployments since the worker started, from 1.
    public var version: Int
    /// Seconds since 1970.
    public var deployedAt: Double
    /// Whether there is a version before that can be brought back.
    public var canRollBack: Bool
    /// In the order in which they are called.
    public var rules: [RuleRecord]
    /// Why the worker has not taken the rules that it has read last; nil where it has.
    public var refusal: RefusalRecord?

    public init(version: Int, deployedAt: Double, canRollBack: Bool, rules: [RuleRecord], refusal: RefusalRecord? = nil) {
        self.refusal = refusal
        self.version = version
        self.deployedAt = deployedAt
        self.canRollBack = canRollBack
        self.rules = rules
    }
}

/// One rule of a worker, all its loops together.
public struct RuleRecord: Codable, Equatable, Sendable {
    public var name: String
    /// The folder of the plugin.
    public var plugin: String
    public var priority: Int
    /// The beginning of the SHA-256 of its files and settings: the same on all workers that run the same.
    public var digest: String
    /// When these files and settings began to run, in seconds since 1970.
    public var since: Double
    /// `live`, `shadow`, or `canary` with those to whom it applies.
    public var mode: String
    /// The loops on which its breaker has switched it off, and all.
    public var offLoops: Int
    public var loops: Int
    /// Bytes of its Lua states.
    public var memory: Int
    public var hooks: [RuleHookRecord]
    /// The latest first; at most ten.
    public var failures: [RuleFailureRecord]
    /// Of a shadow or a canary beside a live version: how often their decisions differed, and examples.
    public var differences: RuleDifferencesRecord?

    public init(
        name: String, plugin: String, priority: Int, digest: String, since: Double, mode: String = "live", offLoops: Int = 0, loops: Int,
        memory: Int, hooks: [RuleHookRecord], failures: [RuleFailureRecord] = [], differences: RuleDifferencesRecord? = nil
    ) {
        self.name = name
        self.plugin = plugin
        self.priority = priority
        self.digest = digest
        self.since = since
        self.mode = mode
        self.offLoops = offLoops
        self.loops = loops
        self.memory = memory
        self.hooks = hooks
        self.failures = failures
        self.differences = differences
    }
}

/// One hook of a rule: what this version of it has done since it began to run.
public struct RuleHookRecord: Codable, Equatable, Sendable {
    public var hook: String
    public var calls: Int
    /// By verdict; only those that came up.
    public var verdicts: [String: Int]
    /// By error code; only those that came up.
    public var errors: [String: Int]
    /// Seconds; nil where no call has been timed yet.
    public var p50: Double?
    public var p99: Double?

    public init(hook: String, calls: Int, verdicts: [String: Int], errors: [String: Int], p50: Double?, p99: Double?) {
        self.hook = hook
        self.calls = calls
        self.verdicts = verdicts
        self.errors = errors
        self.p50 = p50
        self.p99 = p99
    }
}

/// A call of a rule that failed. No payload is in it.
public struct RuleFailureRecord: Codable, Equatable, Sendable {
    /// Seconds since 1970.
    public var at: Double
    public var hook: String
    public var code: String
    public var message: String
    /// Empty where there is none.
    public var topic: String
    /// Who caused it: uid or address; empty where nobody did.
    public var client: String

    public init(at: Double, hook: String, code: String, message: String, topic: String, client: String) {
        self.at = at
        self.hook = hook
        self.code = code
        self.message = message
        self.topic = topic
        self.client = client
    }
}

/// How a shadow or canary decides otherwise than the live version beside it.
public struct RuleDifferencesRecord: Codable, Equatable, Sendable {
    public struct Example: Codable, Equatable, Sendable {
        /// Seconds since 1970.
        public var at: Double
        /// nil: a worker of an older version, which does not tell.
        public var hook: String?
        public var topic: String
        public var client: String
        /// What each has decided, with the parts of the message that differ; no payload.
        public var live: String
        public var other: String

        public init(at: Double, hook: String?, topic: String, client: String, live: String, other: String) {
            self.at = at
            self.hook = hook
            self.topic = topic
            self.client = client
            self.live = live
            self.other = other
        }
    }

    /// Messages that both have seen.
    public var compared: Int
    public var different: Int
    /// The latest first; at most ten.
    public var examples: [Example]

    public init(compared: Int, different: Int, examples: [Example]) {
        self.compared = compared
        self.different = different
        self.examples = examples
    }
}

/// What has come of a reload or a rollback at one worker.
public struct RuleDeploymentRecord: Codable, Equatable, Sendable {
    /// The version that runs now.
    public var version: Int
    /// Rules that are new, or have other files or settings; and those that run no more.
    public var anew: [String]
    public var gone: [String]
    /// Rules that go on as they are, in another mode or for other clients; nil: a worker of an older version, which does not tell.
    public var trials: [String]?

    public init(version: Int, anew: [String], trials: [String]?, gone: [String]) {
        self.version = version
        self.anew = anew
        self.trials = trials
        self.gone = gone
    }
}
