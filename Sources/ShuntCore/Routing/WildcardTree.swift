/// The topic filters with wildcards, level by level. Literal filters are not in it.
struct WildcardTree {
    private struct Edge: Hashable {
        var parent: UInt32
        var level: [UInt8]
    }

    private struct Node {
        var parent: UInt32
        /// Bytes, since texts are equal in ways that topics are not.
        var level: [UInt8]
        /// The node of the level `+` below this one; 0 is none.
        var plus: UInt32 = 0
        /// The filter that ends here, and the one that ends in `#` below here.
        var filter: UInt32?
        var hashFilter: UInt32?
        var children: UInt32 = 0
    }

    private var nodes: [Node] = [Node(parent: 0, level: [])]
    private var free: [UInt32] = []
    private var edges: [Edge: UInt32] = [:]

    mutating func insert(_ bytes: Bytes, filter: UInt32) {
        var rest: Slice<Bytes>? = bytes[...]
        var node: UInt32 = 0
        while rest != nil {
            let level = TopicFilter.nextLevel(&rest)
            if rest == nil, level.count == 1, level.first == TopicFilter.hash {
                nodes[Int(node)].hashFilter = filter
                return
            }
            node = child(of: node, level: level)
        }
        nodes[Int(node)].filter = filter
    }

    mutating func remove(_ bytes: Bytes) {
        var rest: Slice<Bytes>? = bytes[...]
        var node: UInt32 = 0
        while rest != nil {
            let level = TopicFilter.nextLevel(&rest)
            if rest == nil, level.count == 1, level.first == TopicFilter.hash {
                nodes[Int(node)].hashFilter = nil
                return prune(node)
            }
            guard let next = find(level, below: node) else { return }
            node = next
        }
        nodes[Int(node)].filter = nil
        prune(node)
    }

    /// Calls `body` with every filter that takes the topic.
    func match(_ topic: Bytes, _ body: (UInt32) -> Void) {
        guard nodes.count > 1 || nodes[0].hashFilter != nil else { return }
        let isDollar = topic.first == TopicFilter.dollar
        match(topic[...], node: 0, wildcards: !isDollar, body)
    }

    private func match(_ rest: Slice<Bytes>?, node: UInt32, wildcards: Bool, _ body: (UInt32) -> Void) {
        let here = nodes[Int(node)]
        if wildcards, let filter = here.hashFilter { body(filter) }
        guard rest != nil else {
            if let filter = here.filter { body(filter) }
            return
        }
        var below = rest
        let level = TopicFilter.nextLevel(&below)
        if wildcards, here.plus != 0 { match(below, node: here.plus, wildcards: true, body) }
        let isWildcardName = level.count == 1 && (level.first == TopicFilter.plus)
        if !isWildcardName, let next = find(level, below: node) { match(below, node: next, wildcards: true, body) }
    }

    private func find(_ level: Slice<Bytes>, below node: UInt32) -> UInt32? {
        if level.count == 1, level.first == TopicFilter.plus {
            let plus = nodes[Int(node)].plus
            return plus == 0 ? nil : plus
        }
        return edges[Edge(parent: node, level: Array(level))]
    }

    private mutating func child(of node: UInt32, level: Slice<Bytes>) -> UInt32 {
        if let known = find(level, below: node) { return known }
        let text = Array(level)
        let index: UInt32
        if let reused = free.popLast() {
            index = reused
            nodes[Int(index)] = Node(parent: node, level: text)
        } else {
            index = UInt32(nodes.count)
            nodes.append(Node(parent: node, level: text))
        }
        nodes[Int(node)].children += 1
        if text == [TopicFilter.plus] {
            nodes[Int(node)].plus = index
        } else {
            edges[Edge(parent: node, level: text)] = index
        }
        return index
    }

    /// Takes out nodes that lead nowhere, upwards from `node`.
    private mutating func prune(_ node: UInt32) {
        var node = node
        while node != 0 {
            let gone = nodes[Int(node)]
            guard gone.filter == nil, gone.hashFilter == nil, gone.children == 0 else { return }
            if gone.level == [TopicFilter.plus] {
                nodes[Int(gone.parent)].plus = 0
            } else {
                edges[Edge(parent: gone.parent, level: gone.level)] = nil
            }
            nodes[Int(gone.parent)].children -= 1
            free.append(node)
            node = gone.parent
        }
    }
}
