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

        /// 0: none.
        var alias: UInt16 {
            switch self {
            case .none: 0
            case .first(let alias), .known(let alias): alias
            }
        }
    }

    /// How a topic goes out next. Nothing changes before it has gone: see `took`.
    /// - Parameter mayTell: a topic may get a number.
    func use(of topic: Bytes, mayTell: Bool) -> Use {
        guard limit > 0 else { return .none }
        if let place = named.firstIndex(where: { $0.topic.elementsEqual(topic) }) { return .known(UInt16(place + 1)) }
        guard mayTell else { return .none }
        if named.count < limit { return .first(UInt16(named.count + 1)) }
        guard candidate.elementsEqual(topic) else { return .none }
        let age = { (named: Named) in clock &- named.usedAt }
        return named.indices.max { age(named[$0]) < age(named[$1]) }.map { .first(UInt16($0 + 1)) } ?? .none
    }

    /// A message of the topic goes out so.
    mutating func took(_ use: Use, _ topic: Bytes) {
        guard limit > 0 else { return }
        clock &+= 1
        switch use {
        case .none: candidate = Array(topic)
        case .known(let alias): named[Int(alias) - 1].usedAt = clock
        case .first(let alias):
            let new = Named(topic: Array(topic), usedAt: clock)
            if Int(alias) > named.count { named.append(new) } else { (named[Int(alias) - 1], candidate) = (new, []) }
        }
    }
}
