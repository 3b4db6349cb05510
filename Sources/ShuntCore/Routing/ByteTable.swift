import Glibc

/// A table from byte strings to small numbers that is asked with borrowed bytes, so that a look-up makes no string.
///
/// Open addressing with linear probing, five bytes a place. It holds no strings: the caller hashes them (`ByteHash`), and says whether the
/// string of a number is the one that is looked for.
public struct ByteTable: Sendable {
    /// The numbers, each at or behind the place that its hash means.
    private var numbers: ContiguousArray<UInt32>
    /// The state of each place: `free`, `removed`, or eight bits of its string's hash. A search compares strings only where these bits are
    /// equal.
    private var tags: ContiguousArray<UInt8>
    private var used = 0
    private(set) var count = 0

    private static let free: UInt8 = 0
    /// The place was taken once: a search goes on behind it.
    private static let removed: UInt8 = 1
    private static let smallest = 16

    public init() {
        numbers = ContiguousArray(repeating: 0, count: Self.smallest)
        tags = ContiguousArray(repeating: Self.free, count: Self.smallest)
    }

    @inline(__always)
    private static func tag(_ hash: UInt32) -> UInt8 { max(2, UInt8(truncatingIfNeeded: hash >> 24)) }

    /// The number that a string was entered with.
    /// - Parameter matches: whether the string of a number is the one that is looked for.
    @inline(__always)
    public func find(_ hash: UInt32, matches: (UInt32) -> Bool) -> UInt32? {
        let mask = tags.count - 1
        let wanted = Self.tag(hash)
        var at = Int(hash) & mask
        while tags[at] != Self.free {
            if tags[at] == wanted, matches(numbers[at]) { return numbers[at] }
            at = (at + 1) & mask
        }
        return nil
    }

    /// Enters the number of a string that is not in the table yet.
    /// - Parameter rehash: the hash of a number's string, asked for when the table grows.
    public mutating func insert(_ hash: UInt32, _ number: UInt32, rehash: (UInt32) -> UInt32) {
        if (used + 1) * 5 > tags.count * 4 { rebuild(rehash) }
        place(hash, number)
    }

    public mutating func remove(_ hash: UInt32, _ number: UInt32) {
        let mask = tags.count - 1
        var at = Int(hash) & mask
        while tags[at] != Self.free {
            if numbers[at] == number, tags[at] != Self.removed {
                tags[at] = Self.removed
                count -= 1
                return
            }
            at = (at + 1) & mask
        }
    }

    private mutating func place(_ hash: UInt32, _ number: UInt32) {
        let mask = tags.count - 1
        var at = Int(hash) & mask
        while tags[at] != Self.free { at = (at + 1) & mask }
        tags[at] = Self.tag(hash)
        numbers[at] = number
        used += 1
        count += 1
    }

    private mutating func rebuild(_ rehash: (UInt32) -> UInt32) {
        let (oldTags, oldNumbers) = (tags, numbers)
        var size = Self.smallest
        while size * 3 < (count + 1) * 5 { size *= 2 }
        tags = ContiguousArray(repeating: Self.free, count: size)
        numbers = ContiguousArray(repeating: 0, count: size)
        used = 0
        count = 0
        for at in oldTags.indices where oldTags[at] > Self.removed { place(rehash(oldNumbers[at]), oldNumbers[at]) }
    }
}

@inline(__always)
func equal(_ one: Bytes, _ other: Bytes) -> Bool {
    guard one.count == other.count else { return false }
    guard one.count > 0, let a = one.baseAddress, let b = other.baseAddress else { return true }
    return memcmp(a, b, one.count) == 0
}
