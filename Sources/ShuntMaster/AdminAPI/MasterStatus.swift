public import ShuntCore
public import ShuntRegistry

/// What the master says of itself.
public struct MasterStatus: Sendable {
    /// The software, e.g. `shunt 0.1.0`.
    public var version: String
    /// Seconds since 1970.
    public var startedAt: Double
    public var uptimeSeconds: Double
    public var writer: RegistryWriter.Figures
    /// Why the registry cannot be written; nil where it can.
    public var problem: ShuntError?
    /// Whether it serves; nil where it has no peers.
    public var role: MasterRoleRecord?
    public var certificates: [WorkerCondition.Certificate]

    /// By the master's clock, seconds since 1970.
    var now: Double { startedAt + uptimeSeconds }

    public init(
        version: String, startedAt: Double, uptimeSeconds: Double, writer: RegistryWriter.Figures, problem: ShuntError? = nil,
        role: MasterRoleRecord? = nil,
        certificates: [WorkerCondition.Certificate] = []
    ) {
        (self.role, self.certificates) = (role, certificates)
        self.version = version
        self.startedAt = startedAt
        self.uptimeSeconds = uptimeSeconds
        (self.writer, self.problem) = (writer, problem)
    }
}
