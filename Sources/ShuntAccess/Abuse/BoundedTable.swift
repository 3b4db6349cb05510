import ShuntCore

/// Values by key, at most so many: a new key takes the place of the one that came first.
struct BoundedTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private var values: [Key: Value] = [:]
    /// The keys in the order in which they came, in a ring that begins at `oldest` once it is full.
    private var keys: ContiguousArray<Key> = []
    private var oldest = 0
    private let capacity: Int

    init(capacity: Int) { self.capacity = max(1, capacity) }

    var count: Int { values.count }

    subscript(key: Key) -> Value? { values[key] }

    mutating func set(_ key: Key, to value: Value) {
        guard values.updateValue(value, forKey: key) == nil else { return }
        guard keys.count == capacity else { return keys.append(key) }
        values[keys[oldest]] = nil
        keys[oldest] = key
        oldest = (oldest + 1) % capacity
    }

    /// Gives up the values that mean nothing any more. Takes time in proportion to the table.
    mutating func remove(where isIdle: (Value) -> Bool) {
        let inOrder = keys[oldest...] + keys[..<oldest]
        values = values.filter { !isIdle($0.value) }
        keys = ContiguousArray(inOrder.filter { values[$0] != nil })
        oldest = 0
    }
}

/// A name as a key of a table that strangers fill: a number under a secret of the process, so that long names take no memory.
struct NameKey: Hashable, Sendable {
    private let hash: Int

    init(_ kind: UInt8, _ name: String) {
        var hasher = Hasher()
        hasher.combine(kind)
        for byte in name.utf8 { hasher.combine(byte) }
        hash = hasher.finalize()
    }

    /// Of an IPv4 address, or of the 64-bit network of an IPv6 address.
    init(_ address: PeerAddress) {
        var hasher = Hasher()
        hasher.combine(ConnectionQuota.key(address))
        hash = hasher.finalize()
    }

    /// Of a name together with an address.
    init(_ name: String, at address: PeerAddress) {
        var hasher = Hasher()
        hasher.combine(ConnectionQuota.key(address))
        for byte in name.utf8 { hasher.combine(byte) }
        hash = hasher.finalize()
    }
}
