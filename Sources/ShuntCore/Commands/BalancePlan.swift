/// Which workers have more clients than their share, and how many these are to give to others.
///
/// The share is the mean of all live workers, rounded up. A worker moves clients only if it has a tenth more than that, and ten more: counts of
/// connections are never quite the same.
public struct BalancePlan: Codable, Equatable, Sendable {
    public struct Worker: Codable, Equatable, Sendable {
        /// `host:port`.
        public var worker: String
        public var connections: Int
        /// Clients that are to move.
        public var move: Int
        /// Whether the worker is one of Shunt's own. The master tells one of message-channel the mean by BALANCE, and that worker closes what it may.
        public var isShunt: Bool
        /// Why it does not move them.
        public var error: WorkerAnswersRecord<DrainRecord>.Problem?
    }

    public var mean: Int
    /// Live ones, by name.
    public var workers: [Worker]

    public init(_ records: [WorkerRecord]) {
        let live = records.filter { $0.state == .live }.sorted { $0.name < $1.name }
        let sum = live.reduce(0) { $0 + $1.figures.connections }
        let mean = live.isEmpty ? 0 : (sum + live.count - 1) / live.count
        self.mean = mean
        workers = live.map { record in
            let excess = record.figures.connections - mean
            return Worker(
                worker: record.name, connections: record.figures.connections, move: excess > max(10, mean / 10) ? excess : 0, isShunt: record.isShunt)
        }
    }

    /// Clients that are to move.
    public var moves: Int { workers.reduce(0) { $0 + $1.move } }
}

extension WorkerRecord {
    /// Whether it is one of Shunt's own, which take commands.
    public var isShunt: Bool { version.hasPrefix("shunt ") }
}
