/// The newest retained message of each topic that is at home on one loop (MQTT 5.0 §3.3.1.3), found by topic, or by a filter level after level.
public final class RetainedMessages {
    /// Where a message is, for as long as it is there.
    public struct Reference: Equatable, Sendable {
        fileprivate let slot: Int
        fileprivate let generation: UInt32
    }

    /// What became of a message that was to be kept.
    public enum Outcome: Equatable, Sendable {
        case kept
        /// There are as many as there may be, or as many bytes.
        case refused
    }

    private struct Slot {
        var topic: [UInt8] = []
        /// A PUBLISH of MQTT 5.0 without a packet identifier, topic included.
        var packet: [UInt8] = []
        var qos = QoS.atMostOnce
        /// Seconds since 1970.
        var storedAt = 0.0
        var expiresAt = Double.infinity
        var generation: UInt32 = 0
        /// nil: the slot is free.
        var node: Node?
    }

    private final class Node {
        let level: [UInt8]
        // A node is kept by its parent, and never outlives it.
        unowned(unsafe) let parent: Node?
        var children: [[UInt8]: Node] = [:]
        /// Its message's slot; -1 where only topics below it have one.
        var slot = -1

        init(_ level: [UInt8], below parent: Node?) {
            self.level = level
            self.parent = parent
        }
    }

    /// About what a level takes.
    private static let nodeBytes = 160

    private var limits: MQTTLimits
    private var slots: ContiguousArray<Slot> = []
    private var free: [Int] = []
    /// Slots by topic.
    private var topics = ByteTable()
    private let root = Node([], below: nil)
    private var sweepAt = 0
    public private(set) var count = 0
    /// Bytes of packets, topics, and their levels.
    public private(set) var bytes = 0

    public init(_ limits: MQTTLimits) { self.limits = limits }

    /// Smaller limits refuse new messages, and drop none.
    public func setLimits(_ new: MQTTLimits) { limits = new }

    // MARK: Changes

    /// Keeps a message in place of the one of its topic.
    /// - Parameter expiry: seconds; `MessageView.noExpiry`: the message does not expire.
    public func keep(topic: Bytes, packet: [UInt8], qos: QoS, expiry: UInt32, now: Double) -> Outcome {
        let hash = ByteHash.of(topic)
        let known = find(topic, hash)
        let size = topic.count + packet.count
        let before = known.map { slots[$0].topic.count + slots[$0].packet.count } ?? 0
        guard known != nil || count < limits.retainedMessages, bytes - before + size <= limits.retainedBytes else {
            // The old one is no longer the newest.
            if let known { forget(known) }
            return .refused
        }
        let slot = known ?? take()
        bytes += size - before
        slots[slot].generation &+= 1
        (slots[slot].packet, slots[slot].qos, slots[slot].storedAt) = (packet, qos, now)
        slots[slot].expiresAt = expiry == MessageView.noExpiry ? .infinity : now + Double(expiry)
        guard known == nil else { return .kept }
        slots[slot].topic = Array(topic)
        let node = node(of: topic)
        node.slot = slot
        slots[slot].node = node
        topics.insert(hash, UInt32(slot)) { [slots] in slots[Int($0)].topic.withUnsafeBytes { ByteHash.of($0) } }
        count += 1
        // Levels that no other topic has take memory too.
        guard bytes <= limits.retainedBytes else {
            forget(slot)
            return .refused
        }
        return .kept
    }

    /// - Returns: false where the topic has none.
    @discardableResult
    public func remove(topic: Bytes) -> Bool {
        guard let slot = find(topic, ByteHash.of(topic)) else { return false }
        forget(slot)
        return true
    }

    /// Forgets a message that `matching` has found.
    /// - Returns: false where it has been replaced, or has gone, meanwhile.
    public func remove(_ reference: Reference) -> Bool {
        guard slots[reference.slot].generation == reference.generation, slots[reference.slot].node != nil else { return false }
        forget(reference.slot)
        return true
    }

    /// Forgets messages that have expired. Each call looks at some of all.
    public func sweep(now: Double) {
        guard count > 0 else { return }
        for _ in 0..<min(slots.count, slots.count / 64 + 64) {
            sweepAt = sweepAt + 1 < slots.count ? sweepAt + 1 : 0
            if slots[sweepAt].node != nil, isOver(sweepAt, now) { forget(sweepAt) }
        }
    }

    private func isOver(_ slot: Int, _ now: Double) -> Bool { now >= end(of: slot) }

    /// When a message goes by itself, seconds since 1970.
    private func end(of slot: Int) -> Double {
        let aged = limits.retainedAge > 0 ? slots[slot].storedAt + Double(limits.retainedAge) : .infinity
        return min(slots[slot].expiresAt, aged)
    }

    private func forget(_ slot: Int) {
        guard var node = slots[slot].node else { return }
        slots[slot].topic.withUnsafeBytes { topics.remove(ByteHash.of($0), UInt32(slot)) }
        bytes -= slots[slot].topic.count + slots[slot].packet.count
        slots[slot] = Slot(generation: slots[slot].generation &+ 1)
        free.append(slot)
        count -= 1
        node.slot = -1
        while node.slot < 0, node.children.isEmpty, let parent = node.parent {
            parent.children.removeValue(forKey: node.level)
            bytes -= Self.nodeBytes
            node = parent
        }
    }

    private func find(_ topic: Bytes, _ hash: UInt32) -> Int? {
        topics.find(hash) { number in slots[Int(number)].topic.withUnsafeBytes { equal($0, topic) } }.map(Int.init)
    }

    private func take() -> Int {
        if let slot = free.popLast() { return slot }
        slots.append(Slot())
        return slots.count - 1
    }

    private func node(of topic: Bytes) -> Node {
        var node = root
        for level in TopicLevels(topic) {
            let level = Array(level)
            if let below = node.children[level] {
                node = below
            } else {
                let below = Node(level, below: node)
                node.children[level] = below
                bytes += Self.nodeBytes
                node = below
            }
        }
        return node
    }

    // MARK: Questions

    /// The messages that a filter takes.
    public func matching(_ filter: Bytes, now: Double) -> [Reference] {
        var looks = Int.max
        return matching(filter, now: now, looks: &looks) ?? []
    }

    /// The messages that a filter takes, if that takes no more than so many looks at levels of topics.
    /// - Parameter looks: what is left of them.
    /// - Returns: nil where it takes more: `scan` finds them in parts.
    public func matching(_ filter: Bytes, now: Double, looks: inout Int) -> [Reference]? {
        guard count > 0 else { return [] }
        var found: [Int] = []
        if TopicFilter.isPattern(filter) {
            collect(Array(TopicLevels(filter)), looks: &looks, into: &found)
        } else if let slot = find(filter, ByteHash.of(filter)) {
            looks -= 1
            found.append(slot)
        }
        guard looks >= 0 else { return nil }
        return found.filter { !isOver($0, now) }.map { Reference(slot: $0, generation: slots[$0].generation) }
    }

    /// Looks at some messages, and gives the ones that a filter takes.
    /// - Parameters:
    ///   - place: where to begin; 0 at first. Moves on.
    ///   - looks: how many messages are looked at.
    /// - Returns: whether there is more to look at.
    public func scan(_ filter: Bytes, from place: inout Int, looks: Int, now: Double, _ body: (Reference) -> Void) -> Bool {
        let end = min(slots.count, place + looks)
        while place < end {
            if slots[place].node != nil, !isOver(place, now), slots[place].topic.withUnsafeBytes({ TopicFilter.takes($0, filter: filter) }) {
                body(Reference(slot: place, generation: slots[place].generation))
            }
            place += 1
        }
        return place < slots.count
    }

    /// A level of the tree that is being gone through.
    private struct Step {
        var children: Dictionary<[UInt8], Node>.Values.Iterator
        /// The level of the filter that the children are held against.
        var level: Int
    }

    /// Goes through the tree without recursion, as a topic may have 65,535 levels, and a child at a time, as a level may have as many as there
    /// are topics.
    /// - Parameter looks: at children that are left; below 0 it ends.
    private func collect(_ levels: [Bytes], looks: inout Int, into found: inout [Int]) {
        var steps: [Step] = []
        enter(root, 0, levels, &steps, &found)
        while let last = steps.indices.last {
            guard let child = steps[last].children.next() else {
                steps.removeLast()
                continue
            }
            looks -= 1
            guard looks >= 0 else { return }
            // A filter that starts with a wildcard takes no `$`-topic (MQTT 5.0 §4.7.2).
            guard child.parent !== root || child.level.first != TopicFilter.dollar else { continue }
            let level = steps[last].level
            enter(child, Self.isHash(levels[level]) ? level : level + 1, levels, &steps, &found)
        }
    }

    /// A node is there, with so many levels of the filter taken.
    private func enter(_ start: Node, _ first: Int, _ levels: [Bytes], _ steps: inout [Step], _ found: inout [Int]) {
        var (node, level) = (start, first)
        while true {
            guard level < levels.count else {
                if node.slot >= 0 { found.append(node.slot) }
                return
            }
            if Self.isHash(levels[level]) {
                if node !== root, node.slot >= 0 { found.append(node.slot) }
                if !node.children.isEmpty { steps.append(Step(children: node.children.values.makeIterator(), level: level)) }
                return
            }
            if levels[level].count == 1, levels[level][0] == TopicFilter.plus {
                if !node.children.isEmpty { steps.append(Step(children: node.children.values.makeIterator(), level: level)) }
                return
            }
            guard let child = node.children[Array(levels[level])] else { return }
            (node, level) = (child, level + 1)
        }
    }

    private static func isHash(_ level: Bytes) -> Bool { level.count == 1 && level[0] == TopicFilter.hash }

    /// A message that `matching` has found.
    public struct Retained {
        public var topic: [UInt8]
        public var packet: [UInt8]
        public var qos: QoS
        /// Seconds since 1970.
        public var storedAt: Double
        /// Seconds that are left; `MessageView.noExpiry` where it does not expire.
        public var expiry: UInt32
        /// When it goes by itself, seconds since 1970; infinite where it stays.
        public var endsAt: Double
    }

    /// Of the messages that `matching` has found the first ones in the order of their topics' bytes.
    /// - Parameters:
    ///   - topic: only those behind this topic.
    ///   - includesTopic: whether this topic's own message counts.
    ///   - limit: at least 1.
    public func first(_ limit: Int, of found: [Reference], after topic: Bytes?, includesTopic: Bool) -> (first: [Reference], hasMore: Bool) {
        var first: [Reference] = []
        var hasMore = false
        for reference in found {
            guard topic.map({ isBehind(reference, $0, orAt: includesTopic) }) ?? true else { continue }
            guard first.count < limit || precedes(reference, first[first.count - 1]) else {
                hasMore = true
                continue
            }
            var (low, high) = (0, first.count)
            while low < high {
                let middle = (low + high) / 2
                if precedes(first[middle], reference) { low = middle + 1 } else { high = middle }
            }
            first.insert(reference, at: low)
            if first.count > limit {
                first.removeLast()
                hasMore = true
            }
        }
        return (first, hasMore)
    }

    private func precedes(_ one: Reference, _ other: Reference) -> Bool {
        slots[one.slot].topic.lexicographicallyPrecedes(slots[other.slot].topic)
    }

    private func isBehind(_ reference: Reference, _ topic: Bytes, orAt includesTopic: Bool) -> Bool {
        if topic.lexicographicallyPrecedes(slots[reference.slot].topic) { return true }
        return includesTopic && topic.elementsEqual(slots[reference.slot].topic)
    }

    /// - Returns: nil where it has been replaced, or has gone, meanwhile.
    public func message(_ reference: Reference, now: Double) -> Retained? {
        let slot = slots[reference.slot]
        guard slot.generation == reference.generation, slot.node != nil, !isOver(reference.slot, now) else { return nil }
        let left = slot.expiresAt.isInfinite ? MessageView.noExpiry : UInt32(max(0, min(slot.expiresAt - now, 4_294_967_294)).rounded(.up))
        return Retained(
            topic: slot.topic, packet: slot.packet, qos: slot.qos, storedAt: slot.storedAt, expiry: left, endsAt: end(of: reference.slot))
    }
}
