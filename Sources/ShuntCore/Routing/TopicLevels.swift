/// The levels of a topic or filter, from the first to the last: the texts between slashes, which may be empty.
struct TopicLevels: Sequence, IteratorProtocol {
    private var rest: Bytes?

    init(_ text: Bytes) { rest = text }

    @inline(__always)
    mutating func next() -> Bytes? {
        guard let text = rest else { return nil }
        var end = 0
        while end < text.count, text[end] != TopicFilter.slash { end += 1 }
        rest = end < text.count ? Bytes(rebasing: text[(end + 1)...]) : nil
        return Bytes(rebasing: text[..<end])
    }
}

/// Tells which routes a change of a pattern may have made stale, without a look at each of them.
///
/// A pattern takes only topics that have its literal levels, each at its place. So each level at each place has a counter (several share
/// one, by a hash). A change counts up the counter of one literal level of its pattern: the level that the fewest routes have. A topic's
/// version is the sum of the counters of its levels.
struct TopicVersions {
    /// The number of changes of patterns so far: while it stays the same, so do all versions.
    private(set) var changes: UInt32 = 0
    /// Changes of patterns without a literal level.
    private var ofAllTopics: UInt32 = 0
    private var counters = ContiguousArray(repeating: Counter(), count: Self.size)

    private struct Counter {
        var changes: UInt32 = 0
        /// Routes whose topics have the level.
        var routes: UInt32 = 0
    }

    private static let size = 2048
    /// Levels further down are not looked at.
    private static let depth = 16

    /// The version of a topic: if it is equal to an earlier one, no change has made the topic's route stale.
    func version(of topic: Bytes) -> UInt32 {
        var sum = ofAllTopics
        Self.forEachCounter(of: topic) { sum &+= counters[$0].changes }
        return sum
    }

    /// A subscription with this pattern has come or gone.
    mutating func changed(_ pattern: Bytes) {
        changes &+= 1
        var rarest: Int?
        for (place, level) in TopicLevels(pattern).prefix(Self.depth).enumerated() {
            if level.count == 1, level[0] == TopicFilter.plus || level[0] == TopicFilter.hash { continue }
            let counter = Self.counter(place, level)
            if rarest.map({ counters[counter].routes < counters[$0].routes }) ?? true { rarest = counter }
        }
        if let rarest { counters[rarest].changes &+= 1 } else { ofAllTopics &+= 1 }
    }

    /// All routes may be stale.
    mutating func changedAll() {
        changes &+= 1
        ofAllTopics &+= 1
    }

    /// A route of this topic is kept from now on, or no longer.
    mutating func count(_ topic: Bytes, isKept: Bool) {
        Self.forEachCounter(of: topic) { if isKept { counters[$0].routes += 1 } else { counters[$0].routes -= 1 } }
    }

    /// Calls `body` with the counter of each level.
    @inline(__always)
    private static func forEachCounter(of topic: Bytes, _ body: (Int) -> Void) {
        var place = 0
        var hash = start(place)
        for byte in topic {
            guard byte == TopicFilter.slash else {
                hash = add(byte, to: hash)
                continue
            }
            body(counter(hash))
            place += 1
            guard place < depth else { return }
            hash = start(place)
        }
        body(counter(hash))
    }

    // Not seeded: a client that chooses levels which share a counter makes routes stale, and to find them anew costs little.

    private static func counter(_ place: Int, _ level: Bytes) -> Int { counter(level.reduce(start(place)) { add($1, to: $0) }) }

    @inline(__always)
    private static func start(_ place: Int) -> UInt64 {
        0xcbf2_9ce4_8422_2325 ^ UInt64(truncatingIfNeeded: place) &* 0x9e37_79b9_7f4a_7c15
    }

    @inline(__always)
    private static func add(_ byte: UInt8, to hash: UInt64) -> UInt64 { (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }

    @inline(__always)
    private static func counter(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: ((hash ^ (hash >> 32)) &* 0x9e37_79b9_7f4a_7c15) >> 53) & (size - 1)
    }
}
