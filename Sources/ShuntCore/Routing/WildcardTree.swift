/// The topic filters with wildcards, level by level. Literal filters are not in it.
struct WildcardTree {
    private struct Node {
        var parent: UInt32
        /// Its level's number in `levels`; `plusLevel` for `+`.
        var level: UInt32
        /// The node of the level `+` below this one; 0 is none.
        var plus: UInt32 = 0
        /// The filter that ends at this node, and the filter that ends in `#` below it.
        var filter = WildcardTree.none
        var hashFilter = WildcardTree.none
        /// The nodes of literal levels below this one.
        var literals: UInt32 = 0
    }

    private static let none = UInt32.max
    private static let plusLevel = UInt32.max

    private var nodes: ContiguousArray<Node> = [Node(parent: 0, level: 0)]
    private var free: ContiguousArray<UInt32> = []
    /// The literal levels, and how many nodes have each.
    private var levels = BytePool()
    /// The node below a parent for a literal level.
    private var edges = ByteTable()

    mutating func insert(_ pattern: Bytes, filter: UInt32) {
        var node: UInt32 = 0
        for level in TopicLevels(pattern) {
            if level.count == 1, level[0] == TopicFilter.hash {
                nodes[Int(node)].hashFilter = filter
                return
            }
            node = child(of: node, level)
        }
        nodes[Int(node)].filter = filter
    }

    mutating func remove(_ pattern: Bytes) {
        var node: UInt32 = 0
        for level in TopicLevels(pattern) {
            if level.count == 1, level[0] == TopicFilter.hash {
                nodes[Int(node)].hashFilter = Self.none
                return prune(node)
            }
            guard let below = find(level, below: node) else { return }
            node = below
        }
        nodes[Int(node)].filter = Self.none
        prune(node)
    }

    /// Appends every filter that takes the topic. Looks at each level of the topic once, and at a literal level only if a filter has a
    /// literal level at the same place.
    /// - Parameter reached: scratch, for the nodes that the topic leads to, level after level.
    func match(_ topic: Bytes, reached: inout ContiguousArray<UInt32>, into filters: inout ContiguousArray<UInt32>) {
        guard nodes.count > 1 || nodes[0].hashFilter != Self.none else { return }
        // A filter that starts with a wildcard takes no `$`-topic (MQTT 5 §4.7.2).
        var takesWildcards = topic.first != TopicFilter.dollar
        reached.removeAll(keepingCapacity: true)
        reached.append(0)
        var start = 0
        for level in TopicLevels(topic) {
            let end = reached.count
            var isLookedUp = false
            var number: UInt32?
            for at in start..<end {
                let node = nodes[Int(reached[at])]
                if takesWildcards {
                    if node.hashFilter != Self.none { filters.append(node.hashFilter) }
                    if node.plus != 0 { reached.append(node.plus) }
                }
                guard node.literals > 0 else { continue }
                if !isLookedUp {
                    number = levels.find(level)
                    isLookedUp = true
                }
                if let number, let below = edge(reached[at], number) { reached.append(below) }
            }
            guard reached.count > end else { return }
            start = end
            takesWildcards = true
        }
        for at in start..<reached.count {
            let node = nodes[Int(reached[at])]
            // `a/#` takes `a` too.
            if node.hashFilter != Self.none { filters.append(node.hashFilter) }
            if node.filter != Self.none { filters.append(node.filter) }
        }
    }

    private static func isPlus(_ level: Bytes) -> Bool { level.count == 1 && level[0] == TopicFilter.plus }

    private func find(_ level: Bytes, below node: UInt32) -> UInt32? {
        if Self.isPlus(level) {
            let plus = nodes[Int(node)].plus
            return plus == 0 ? nil : plus
        }
        return levels.find(level).flatMap { edge(node, $0) }
    }

    private func edge(_ parent: UInt32, _ level: UInt32) -> UInt32? {
        edges.find(Self.hash(parent, level)) { nodes[Int($0)].parent == parent && nodes[Int($0)].level == level }
    }

    private static func hash(_ parent: UInt32, _ level: UInt32) -> UInt32 { ByteHash.of(UInt64(parent) << 32 | UInt64(level)) }

    private mutating func child(of node: UInt32, _ level: Bytes) -> UInt32 {
        if let known = find(level, below: node) { return known }
        let isPlus = Self.isPlus(level)
        let added = Node(parent: node, level: isPlus ? Self.plusLevel : levels.retain(level).number)
        let index: UInt32
        if let reused = free.popLast() {
            index = reused
            nodes[Int(index)] = added
        } else {
            index = UInt32(nodes.count)
            nodes.append(added)
        }
        if isPlus {
            nodes[Int(node)].plus = index
        } else {
            nodes[Int(node)].literals += 1
            edges.insert(Self.hash(node, added.level), index) { [nodes] in
                Self.hash(nodes[Int($0)].parent, nodes[Int($0)].level)
            }
        }
        return index
    }

    /// Takes out nodes that lead to no filter, upwards from `node`.
    private mutating func prune(_ node: UInt32) {
        var node = node
        while node != 0 {
            let gone = nodes[Int(node)]
            guard gone.filter == Self.none, gone.hashFilter == Self.none, gone.literals == 0, gone.plus == 0 else { return }
            if gone.level == Self.plusLevel {
                nodes[Int(gone.parent)].plus = 0
            } else {
                nodes[Int(gone.parent)].literals -= 1
                edges.remove(Self.hash(gone.parent, gone.level), node)
                levels.release(gone.level)
            }
            free.append(node)
            node = gone.parent
        }
    }
}
