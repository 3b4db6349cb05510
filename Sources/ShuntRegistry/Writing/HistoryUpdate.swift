import ShuntCore

/// What a point of the history becomes.
struct HistoryUpdate: RowUpdate {
    /// In the order of the tables: those who write a step write at its end.
    struct Key: Hashable, Comparable {
        var step: HistoryStep
        var at: Int
        /// nil: the sum of all workers.
        var worker: ExactText?

        init(_ point: HistoryPoint) { (step, at, worker) = (point.step, point.at, point.worker.map { ExactText($0) }) }

        static func < (one: Key, other: Key) -> Bool {
            (one.step, one.at) != (other.step, other.at)
                ? (one.step, one.at) < (other.step, other.at) : (one.worker ?? ExactText("")) < (other.worker ?? ExactText(""))
        }
    }

    var point: HistoryPoint

    var worker: String? { nil }

    func followed(by newer: HistoryUpdate) -> HistoryUpdate {
        newer.point.heartbeats >= point.heartbeats ? newer : self
    }

    func followedByLoss(at time: Double) -> HistoryUpdate { self }
}

extension PendingRows<HistoryUpdate> {
    mutating func add(_ point: HistoryPoint) { add(HistoryUpdate(point: point), to: .init(point)) }
}
