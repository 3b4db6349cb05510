/// The routes that were found, by topic, in bounded number.
///
/// A full table gives up routes that no message has taken for a while (second chance). It takes a new topic in only when the topic comes a
/// second time within a while: a topic of one message has a route for that message alone, which takes no memory of its own.
struct RouteTable {
    static let noTopic = UInt32.max

    /// The routes, by the place in a reference. Not a subscript, which would copy a route to read one of its fields.
    var routes: ContiguousArray<Route> = []
    /// What the topics of the routes carry. It stays when groups and rules are found anew.
    let counters = TopicCounters()
    private var free: ContiguousArray<UInt32> = []
    private var topics = ByteArena()
    private var table = ByteTable()
    /// The routes for one message, until the next `trim`.
    private var passing: ContiguousArray<UInt32> = []
    /// Hash bits of topics that came while the table was full, each at a place that other bits of the hash give. Empty until then.
    private var seen: ContiguousArray<UInt16> = []
    /// The place where the next search for a route to give up begins.
    private var hand = 0
    /// What the topics carried whose routes were given up, and those that had none.
    private(set) var past = TrafficCount()
    /// Routes kept from one event to the next.
    let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { table.count }

    /// Whether an earlier reference still means the route of this topic.
    @inline(__always)
    func holds(_ topic: Bytes, at index: Int) -> Bool {
        index < routes.count && routes[index].topic != Self.noTopic && topics.holds(topic, at: routes[index].topic)
    }

    func find(_ topic: Bytes, _ hash: UInt32) -> UInt32? {
        table.find(hash) { topics.holds(topic, at: routes[Int($0)].topic) }
    }

    /// Whether a topic that is not in the table is to be taken in.
    mutating func deserves(_ hash: UInt32) -> Bool {
        guard table.count >= capacity else { return true }
        if seen.isEmpty { seen = ContiguousArray(repeating: 0, count: 1 << 16) }
        let (place, mark) = (Int(hash & 0xFFFF), UInt16(truncatingIfNeeded: hash >> 16) | 1)
        if seen[place] == mark { return true }
        seen[place] = mark
        return false
    }

    /// Makes an empty route for a topic that is not in the table.
    mutating func keep(_ topic: Bytes, _ hash: UInt32) -> UInt32 {
        let index = place()
        routes[Int(index)].topic = topics.append(topic)
        table.insert(hash, index) { [routes, topics] in topics.withBytes(at: routes[Int($0)].topic, { ByteHash.of($0) }) }
        return index
    }

    /// Makes an empty route that is held until the next `trim`.
    mutating func pass() -> UInt32 {
        let index = place()
        passing.append(index)
        return index
    }

    var hasToTrim: Bool { !passing.isEmpty || table.count > capacity }

    /// Removes the routes that were made for one message, and old routes while there are more than `capacity`. References are not valid
    /// afterwards.
    /// - Parameter body: gets the topic of each route that is given up.
    mutating func trim(_ body: (Bytes) -> Void) {
        for index in passing { giveUp(index) }
        passing.removeAll(keepingCapacity: true)
        while table.count > capacity {
            hand = hand + 1 < routes.count ? hand + 1 : 0
            if routes[hand].topic == Self.noTopic { continue }
            if routes[hand].isUsed {
                routes[hand].isUsed = false
                continue
            }
            let hash = topics.withBytes(at: routes[hand].topic) { topic in
                body(topic)
                return ByteHash.of(topic)
            }
            table.remove(hash, UInt32(hand))
            topics.remove(at: routes[hand].topic)
            routes[hand].topic = Self.noTopic
            giveUp(UInt32(hand))
        }
        if topics.isWasteful { compact() }
    }

    private mutating func giveUp(_ index: UInt32) {
        routes[Int(index)].removeAll()
        past += counters[Int(index)].total
        counters[Int(index)] = TopicTraffic()
        free.append(index)
    }

    /// Calls `body` with the topic of a route that is kept.
    func withTopic(of index: Int, _ body: (Bytes) -> Void) { topics.withBytes(at: routes[index].topic, body) }

    private mutating func place() -> UInt32 {
        if let reused = free.popLast() { return reused }
        routes.append(Route())
        counters.room(for: routes.count)
        return UInt32(routes.count - 1)
    }

    private mutating func compact() {
        var packed = ByteArena()
        for at in routes.indices where routes[at].topic != Self.noTopic { topics.move(&routes[at].topic, to: &packed) }
        topics = packed
    }
}
