import Glibc

/// A table from byte strings to small numbers that is asked with borrowed bytes, so that a look-up makes no string.
///
/// Open addressing with linear probing. The hash is the standard library's, which is seeded per process:
/// a sender can't choose topics that collide.
struct ByteTable {
    private struct Place {
        var hash: UInt32
        /// Index + 1; 0 is free, `removed` was taken once.
        var value: UInt32
    }

    private static let removed = UInt32.max
    private var places: ContiguousArray<Place>
    private var used = 0
    private(set) var count = 0

    init(capacity: Int = 16) {
        var size = 16
        while size * 3 < capacity * 4 { size *= 2 }
        places = ContiguousArray(repeating: Place(hash: 0, value: 0), count: size)
    }

    static func hash(_ bytes: Bytes) -> UInt32 {
        var hasher = Hasher()
        hasher.combine(bytes: bytes)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    /// The index that `bytes` was entered with; `matches` says whether the entry at an index has these bytes.
    func find(_ hash: UInt32, matches: (Int) -> Bool) -> Int? {
        let mask = places.count - 1
        var at = Int(hash) & mask
        while true {
            let place = places[at]
            if place.value == 0 { return nil }
            if place.hash == hash, place.value != Self.removed, matches(Int(place.value) - 1) {
                return Int(place.value) - 1
            }
            at = (at + 1) & mask
        }
    }

    /// Enters an index that is not in the table yet.
    mutating func insert(_ hash: UInt32, _ index: Int) {
        if (used + 1) * 4 > places.count * 3 { rebuild() }
        let mask = places.count - 1
        var at = Int(hash) & mask
        while places[at].value != 0 { at = (at + 1) & mask }
        places[at] = Place(hash: hash, value: UInt32(index) + 1)
        used += 1
        count += 1
    }

    mutating func remove(_ hash: UInt32, _ index: Int) {
        let mask = places.count - 1
        var at = Int(hash) & mask
        while places[at].value != 0 {
            if places[at].hash == hash, places[at].value == UInt32(index) + 1 {
                places[at].value = Self.removed
                count -= 1
                return
            }
            at = (at + 1) & mask
        }
    }

    mutating func removeAll() {
        self = ByteTable()
    }

    private mutating func rebuild() {
        let old = places
        var size = 16
        while size * 3 < (count + 1) * 8 { size *= 2 }
        places = ContiguousArray(repeating: Place(hash: 0, value: 0), count: size)
        used = 0
        count = 0
        for place in old where place.value != 0 && place.value != Self.removed {
            insert(place.hash, Int(place.value) - 1)
        }
    }
}

/// Byte strings under small numbers, each kept once and counted. All lie in one block: a worker has millions of them.
struct BytePool {
    private struct Entry {
        var offset: UInt32
        var length: UInt32
        var uses: UInt32
    }

    private var block: ContiguousArray<UInt8> = []
    /// Bytes of the block that belong to strings which have gone.
    private var wasted = 0
    private var entries: ContiguousArray<Entry> = []
    private var free: ContiguousArray<UInt32> = []
    private var table = ByteTable()

    var count: Int { table.count }

    func find(_ bytes: Bytes) -> UInt32? { find(bytes, ByteTable.hash(bytes)).map(UInt32.init) }

    /// Its number, entered if it is new, and used once more.
    mutating func enter(_ bytes: Bytes) -> (index: UInt32, isNew: Bool) {
        let hash = ByteTable.hash(bytes)
        if let index = find(bytes, hash) {
            entries[index].uses += 1
            return (UInt32(index), false)
        }
        let entry = Entry(offset: UInt32(block.count), length: UInt32(bytes.count), uses: 1)
        block.append(contentsOf: bytes)
        let index: UInt32
        if let reused = free.popLast() {
            index = reused
            entries[Int(index)] = entry
        } else {
            index = UInt32(entries.count)
            entries.append(entry)
        }
        table.insert(hash, Int(index))
        return (index, true)
    }

    /// Used once less; true when it is gone.
    mutating func leave(_ index: UInt32) -> Bool {
        entries[Int(index)].uses -= 1
        guard entries[Int(index)].uses == 0 else { return false }
        table.remove(withBytes(index, ByteTable.hash), Int(index))
        wasted += Int(entries[Int(index)].length)
        entries[Int(index)].length = 0
        free.append(index)
        if wasted > 4096, wasted > block.count / 2 { compact() }
        return true
    }

    func uses(of index: UInt32) -> Int { Int(entries[Int(index)].uses) }

    func text(_ index: UInt32) -> String { withBytes(index) { String(decoding: $0, as: UTF8.self) } }

    func withBytes<Result>(_ index: UInt32, _ body: (Bytes) -> Result) -> Result {
        let entry = entries[Int(index)]
        return block.withUnsafeBytes { body(Bytes(rebasing: $0[Int(entry.offset)..<Int(entry.offset + entry.length)])) }
    }

    private func find(_ bytes: Bytes, _ hash: UInt32) -> Int? {
        table.find(hash) { index in withBytes(UInt32(index)) { equal($0, bytes) } }
    }

    private mutating func compact() {
        var packed: ContiguousArray<UInt8> = []
        packed.reserveCapacity(block.count - wasted)
        for index in entries.indices where entries[index].uses > 0 {
            let offset = UInt32(packed.count)
            packed.append(contentsOf: block[Int(entries[index].offset)..<Int(entries[index].offset + entries[index].length)])
            entries[index].offset = offset
        }
        block = packed
        wasted = 0
    }
}

func equal(_ one: Bytes, _ other: Bytes) -> Bool {
    guard one.count == other.count else { return false }
    guard one.count > 0, let a = one.baseAddress, let b = other.baseAddress else { return true }
    return memcmp(a, b, one.count) == 0
}

/// Whether the held bytes are these.
@inline(__always)
func equal(_ held: ContiguousArray<UInt8>, _ bytes: Bytes) -> Bool {
    guard held.count == bytes.count else { return false }
    guard let start = bytes.baseAddress, !bytes.isEmpty else { return true }
    return held.withUnsafeBytes { memcmp($0.baseAddress.unsafelyUnwrapped, start, bytes.count) == 0 }
}
