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
        /// Whether the client knows that the number means this topic.
        var isTold = true
        /// What the number meant before, and the packet that told it anew, by the clock; the last one last. As long as that packet waits in the
        /// client's buffer, so may others with the number as it was.
        var earlier: [(topic: [UInt8], until: UInt32)] = []

        /// So many are kept without a look at what waits.
        static let earlierKept = 8
    }

    /// As many as there may be.
    private let limit: Int
    private var named: [Named] = []
    /// Counts packets.
    private var clock: UInt32 = 0
    /// The topic without a number that came last.
    private var candidate: [UInt8] = []
    /// Of the last packet, if it tells a number: its place, and what stood there before.
    private var lastTold: (place: Int, before: Named?)?

    init(limit: UInt16) { self.limit = Int(limit) }

    var isUsed: Bool { limit > 0 }

    /// The last packet has not gone out. It may have told a number, which later packets would use: the client is told all numbers anew.
    mutating func forget() {
        if let lastTold {
            if let before = lastTold.before { named[lastTold.place] = before } else { named.removeLast() }
        }
        (lastTold, candidate) = (nil, [])
        clock &-= 1
        for place in named.indices { named[place].isTold = false }
    }

    /// What a number stood for before it was told so many times. nil: that is not known any more.
    func topic(_ alias: UInt16, before tellings: Int) -> [UInt8]? {
        guard alias > 0, Int(alias) <= named.count else { return nil }
        let number = named[Int(alias) - 1]
        guard tellings > 0 else { return number.topic }
        return tellings <= number.earlier.count ? number.earlier[number.earlier.count - tellings].topic : nil
    }

    /// Whether a number has been told more than once.
    func isToldAnew(_ alias: UInt16) -> Bool { alias > 0 && Int(alias) <= named.count && !named[Int(alias) - 1].earlier.isEmpty }

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
        let place = named.firstIndex { $0.topic.elementsEqual(topic) }
        if let place, named[place].isTold { return .known(UInt16(place + 1)) }
        guard mayTell else { return .none }
        if let place { return .first(UInt16(place + 1)) }
        if named.count < limit { return .first(UInt16(named.count + 1)) }
        if let place = named.firstIndex(where: { !$0.isTold }) { return .first(UInt16(place + 1)) }
        guard candidate.elementsEqual(topic) else { return .none }
        let age = { (named: Named) in clock &- named.usedAt }
        return named.indices.max { age(named[$0]) < age(named[$1]) }.map { .first(UInt16($0 + 1)) } ?? .none
    }

    /// A message of the topic goes out so.
    /// - Parameter waiting: how many packets wait for the client.
    mutating func took(_ use: Use, _ topic: Bytes, waiting: () -> Int) {
        guard limit > 0 else { return }
        clock &+= 1
        lastTold = nil
        switch use {
        case .none: candidate = Array(topic)
        case .known(let alias): named[Int(alias) - 1].usedAt = clock
        case .first(let alias): tell(Int(alias) - 1, topic, waiting)
        }
    }

    private mutating func tell(_ place: Int, _ topic: Bytes, _ waiting: () -> Int) {
        var new = Named(topic: Array(topic), usedAt: clock)
        guard place < named.count else {
            lastTold = (place, nil)
            return named.append(new)
        }
        let before = named[place]
        new.earlier = before.earlier
        if new.earlier.count >= Named.earlierKept {
            let most = waiting()
            new.earlier.removeAll { Int(clock &- $0.until) > most }
        }
        new.earlier.append((before.topic, clock))
        (named[place], candidate, lastTold) = (new, [], (place, before))
    }
}
