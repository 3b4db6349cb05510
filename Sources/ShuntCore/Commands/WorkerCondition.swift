/// How a worker is at this moment: what no heartbeat tells.
public struct WorkerCondition: Codable, Equatable, Sendable {
    public struct Certificate: Codable, Equatable, Sendable {
        /// What stands for a listener where a certificate is for the other processes of the cluster, and for a master's admin API.
        public static let (cluster, admin) = ("cluster", "admin")

        /// Its listener, `cluster` or `admin`.
        public var listener: String
        public var file: String
        /// Seconds since 1970.
        public var expiresAt: Double

        public init(listener: String, file: String, expiresAt: Double) {
            (self.listener, self.file, self.expiresAt) = (listener, file, expiresAt)
        }
    }

    /// A hook of a rule beside what a call of it may take.
    public struct Hook: Codable, Equatable, Sendable {
        public var rule: String
        public var hook: String
        /// Seconds.
        public var p99: Double
        /// Seconds: the rule's `budget.time`.
        public var budget: Double

        public init(rule: String, hook: String, p99: Double, budget: Double) {
            (self.rule, self.hook, self.p99, self.budget) = (rule, hook, p99, budget)
        }
    }

    /// By the worker's clock, seconds since 1970.
    public var now: Double
    public var clients: Int
    /// As many clients as the worker has room for.
    public var clientLimit: Int
    public var certificates: [Certificate]
    public var hooks: [Hook]
    /// Why the worker has not taken the configuration that it has read last; nil where it has.
    public var refusal: RefusalRecord?

    public init(
        now: Double, clients: Int, clientLimit: Int, certificates: [Certificate] = [], hooks: [Hook] = [], refusal: RefusalRecord? = nil
    ) {
        self.refusal = refusal
        (self.now, self.clients, self.clientLimit) = (now, clients, clientLimit)
        (self.certificates, self.hooks) = (certificates, hooks)
    }
}
