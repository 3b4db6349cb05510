/// An event that a worker tells its master of, to be written down there.
public struct WorkerEvent: Equatable, Sendable {
    /// Counts the events of one run of the worker.
    public var number: Int64
    /// Seconds since 1970.
    public var at: Double
    public var kind: EventRecord.Kind
    /// A sentence; never anything of a message.
    public var detail: String

    public init(number: Int64, at: Double, kind: EventRecord.Kind, detail: String) {
        (self.number, self.at, self.kind, self.detail) = (number, at, kind, detail)
    }

    /// What a worker may say of itself; all else the master knows better.
    public static let kinds: Set<EventRecord.Kind> = [.rulesLoaded, .rulesRefused, .rulesRolledBack, .ruleOff, .ruleOn, .workerDrained]
}
