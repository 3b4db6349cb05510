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

/// Byte strings under small numbers, each kept once and counted.
struct BytePool {
    private struct Entry {
        var bytes: ContiguousArray<UInt8>
        var uses: UInt32
    }

    private var entries: ContiguousArray<Entry> = []
    private var free: [UInt32] = []
    private var table = ByteTable()

    var count: Int { table.count }

    func find(_ bytes: Bytes) -> UInt32? {
        table.find(ByteTable.hash(bytes)) { equal(entries[$0].bytes, bytes) }.map(UInt32.init)
    }

    /// Its number, entered if it is new, and used once more.
    mutating func enter(_ bytes: Bytes) -> (index: UInt32, isNew: Bool) {
        let hash = ByteTable.hash(bytes)
        if let index = table.find(hash, matches: { equal(entries[$0].bytes, bytes) }) {
            entries[index].uses += 1
            return (UInt32(index), false)
        }
        let entry = Entry(bytes: ContiguousArray(bytes), uses: 1)
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
        let hash = entries[Int(index)].bytes.withUnsafeBytes { ByteTable.hash($0) }
        table.remove(hash, Int(index))
        entries[Int(index)].bytes = []
        free.append(index)
        return true
    }

    func uses(of index: UInt32) -> Int { Int(entries[Int(index)].uses) }

    func text(_ index: UInt32) -> String { String(decoding: entries[Int(index)].bytes, as: UTF8.self) }

    func withBytes<Result>(_ index: UInt32, _ body: (Bytes) -> Result) -> Result {
        entries[Int(index)].bytes.withUnsafeBytes(body)
    }

}

/// Whether the held bytes are these.
@inline(__always)
func equal(_ held: ContiguousArray<UInt8>, _ bytes: Bytes) -> Bool {
    guard held.count == bytes.count else { return false }
    guard let start = bytes.baseAddress, !bytes.isEmpty else { return true }
    return held.withUnsafeBytes { memcmp($0.baseAddress.unsafelyUnwrapped, start, bytes.count) == 0 }
}
