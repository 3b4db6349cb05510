public import ShuntCore

/// The answer to `/api/v1/status`: how a master is.
public struct StatusDocument: Codable, Equatable, Sendable {
    public struct Registry: Codable, Equatable, Sendable {
        public var path: String
        public var writer: RegistryWriter.Figures
        /// Why it cannot be written; nil where it can.
        public var problem: String?

        public init(path: String, writer: RegistryWriter.Figures, problem: String? = nil) {
            (self.path, self.writer, self.problem) = (path, writer, problem)
        }
    }

    public var version: String
    /// Seconds since 1970.
    public var startedAt: Double
    public var uptimeSeconds: Double
    /// By state.
    public var workers: [String: Int]
    public var events: Int
    /// Sessions, offline ones too.
    public var devices: Int
    public var chats: Int
    /// Client sessions, those whose client is away too.
    public var clients: Int
    public var registry: Registry
    /// Whether it serves; nil where it has no peers.
    public var master: MasterRoleRecord?
    /// Of the admin API and for the cluster; nil: a master of before does not tell.
    public var certificates: [WorkerCondition.Certificate]?

    /// Whether this master serves its cluster: one without peers always does.
    public var isServing: Bool { master.map { $0.role == "serving" } ?? true }

    /// By the master's clock, seconds since 1970.
    public var now: Double { startedAt + uptimeSeconds }

    public init(
        version: String, startedAt: Double, uptimeSeconds: Double, workers: [String: Int], events: Int, devices: Int, chats: Int, clients: Int,
        registry: Registry, master: MasterRoleRecord? = nil, certificates: [WorkerCondition.Certificate]? = nil
    ) {
        (self.master, self.certificates) = (master, certificates)
        (self.version, self.startedAt, self.uptimeSeconds, self.workers) = (version, startedAt, uptimeSeconds, workers)
        (self.events, self.devices, self.chats, self.clients, self.registry) = (events, devices, chats, clients, registry)
    }
}
