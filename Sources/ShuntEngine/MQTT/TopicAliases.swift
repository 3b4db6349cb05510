import ShuntCore

/// The topics that a client has given numbers, on one connection (5.0 §3.3.2.3.4).
struct IncomingAliases {
    /// By number, from 1 on; empty where the client has not named it yet.
    private var topics: [[UInt8]] = []

    mutating func name(_ alias: UInt16, _ topic: Bytes) {
        while topics.count < Int(alias) { topics.append([]) }
        if !topics[Int(alias) - 1].elementsEqual(topic) { topics[Int(alias) - 1] = Array(topic) }
    }

    /// - Returns: nil where the client has not named it.
    func topic(_ alias: UInt16) -> [UInt8]? {
        guard Int(alias) <= topics.count, !topics[Int(alias) - 1].isEmpty else { return nil }
        return topics[Int(alias) - 1]
    }
}

/// The numbers that the worker has given topics towards a client: the topics that it gets most (5.0 §3.3.2.3.4).
///
/// A topic that has no number takes the one of the topic that has not been used for longest, once it has come twice while that was not used.
struct OutgoingAliases {
    private struct Named {
        var topic: [UInt8]
        var usedAt: UInt32
    }

    /// As many as there may be.
    private let limit: Int
    private var named: [Named] = []
    private var clock: UInt32 = 0
    /// The topic without a number that came last.
    private var candidate: [UInt8] = []

    init(limit: UInt16) { self.limit = Int(limit) }

    var isUsed: Bool { limit > 0 }

    /// The client may not know what it was told: it is told anew.
    mutating func forget() { (named, candidate) = ([], []) }

    enum Use: Equatable {
        /// No number: the topic is written.
        case none
        /// The topic is written with a number that it gets from now on.
        case first(UInt16)
        /// The number alone.
        case known(UInt16)
    }

    mutating func use(_ topic: Bytes) -> Use {
        guard limit > 0 else { return .none }
        clock &+= 1
        if let place = named.firstIndex(where: { $0.topic.elementsEqual(topic) }) {
            named[place].usedAt = clock
            return .known(UInt16(place + 1))
        }
        if named.count < limit {
            named.append(Named(topic: Array(topic), usedAt: clock))
            return .first(UInt16(named.count))
        }
        guard candidate.elementsEqual(topic), let oldest = named.indices.min(by: { clock &- named[$0].usedAt > clock &- named[$1].usedAt })
        else {
            candidate = Array(topic)
            return .none
        }
        candidate = []
        named[oldest] = Named(topic: Array(topic), usedAt: clock)
        return .first(UInt16(oldest + 1))
    }
}
