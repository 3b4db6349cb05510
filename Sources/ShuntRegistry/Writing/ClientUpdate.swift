import ShuntCore

/// What a client's row becomes.
enum ClientUpdate: RowUpdate {
    struct Key: Hashable, Comparable {
        var worker: ExactText
        var session: ExactText

        init(_ worker: String, _ session: String) { (self.worker, self.session) = (ExactText(worker), ExactText(session)) }

        static func < (one: Key, other: Key) -> Bool { (one.worker, one.session) < (other.worker, other.session) }
    }

    case put(ClientRecord, list: Int64)
    case gone

    /// The loss of a worker is the beginning of no list: all of its clients are of another.
    static let noList: Int64 = -1

    var worker: String? {
        guard case .put(let record, _) = self else { return nil }
        return record.worker
    }

    func followed(by newer: ClientUpdate) -> ClientUpdate { newer }

    /// - Parameter time: the number of the list whose clients stay; 2^53 and more are no numbers of lists.
    func followedByLoss(at time: Double) -> ClientUpdate {
        guard case .put(_, let list) = self, list != Int64(exactly: time) else { return self }
        return .gone
    }
}

extension PendingRows<ClientUpdate> {
    mutating func add(_ change: ClientChange) {
        switch change {
        case .client(let record, let list): add(.put(record, list: list), to: .init(record.worker, record.session))
        case .gone(let worker, let session): add(.gone, to: .init(worker, session))
        case .listed(let worker, let list): lose(worker, at: Double(list))
        case .workerLost(let worker): lose(worker, at: Double(ClientUpdate.noList))
        }
    }
}
