/// A subscription's topic: literal, or an MQTT topic filter (MQTT 5 §4.7) where a whole level is `+` or the last is `#`.
public enum TopicFilter {
    /// The most levels that a filter with wildcards may have.
    public static let maximumLevels = 128

    public static func levels(of filter: String) -> Int { filter.utf8.reduce(1) { $0 + ($1 == slash ? 1 : 0) } }

    /// Whether a message can have this topic: no wildcard character and no NUL in it (MQTT 5 §4.7.1, §4.7.3).
    public static func isTopic(_ topic: Bytes) -> Bool { isPlainTopic(topic) || !topic.contains { $0 == plus || $0 == hash || $0 == 0 } }

    /// Whether it is such a topic, and ASCII without control characters besides. Looks at eight bytes at once; every message of MQTT passes by here.
    @inlinable
    public static func isPlainTopic(_ topic: Bytes) -> Bool {
        var at = 0
        while at + 8 <= topic.count {
            guard arePlain(topic.loadUnaligned(fromByteOffset: at, as: UInt64.self)) else { return false }
            at += 8
        }
        guard at < topic.count else { return true }
        // The rest: the last eight bytes again, or bytes that are fewer, filled up with one that is plain.
        if topic.count >= 8 { return arePlain(topic.loadUnaligned(fromByteOffset: topic.count - 8, as: UInt64.self)) }
        var last: UInt64 = 0x6161_6161_6161_6161
        while at < topic.count {
            last = last << 8 | UInt64(topic[at])
            at += 1
        }
        return arePlain(last)
    }

    /// Whether none of eight bytes is a control character, `+`, `#` or beyond ASCII: a byte that is equal becomes 0, and only a 0 borrows into its
    /// highest bit; below a space, 32 less does.
    @inlinable @inline(__always)
    static func arePlain(_ word: UInt64) -> Bool {
        let (ones, highest) = (0x0101_0101_0101_0101 as UInt64, 0x8080_8080_8080_8080 as UInt64)
        let (pluses, hashes, deletes) = (word ^ 0x2B2B_2B2B_2B2B_2B2B, word ^ 0x2323_2323_2323_2323, word ^ 0x7F7F_7F7F_7F7F_7F7F)
        let controls = (word &- 0x2020_2020_2020_2020) & ~word | (deletes &- ones) & ~deletes
        let wildcards = (pluses &- ones) & ~pluses | (hashes &- ones) & ~hashes
        return (controls | wildcards | word) & highest == 0
    }

    /// Whether a subscription can have this filter: a wildcard fills its level, `#` the last one, and there is no NUL.
    public static func isFilter(_ filter: Bytes) -> Bool {
        guard !filter.contains(0) else { return false }
        var rest: Slice<Bytes>? = filter[...]
        while rest != nil {
            let level = nextLevel(&rest)
            guard level.contains(where: { $0 == plus || $0 == hash }) else { continue }
            if level.count > 1 || (level.first == hash && rest != nil) { return false }
        }
        return true
    }

    public static func isFilter(_ filter: String) -> Bool {
        var filter = filter
        return filter.withUTF8 { isFilter(Bytes($0)) }
    }

    /// Whether a filter takes a topic (MQTT 5 §4.7). The subscription index finds filters by itself; this is for a few of one client.
    public static func takes(_ topic: Bytes, filter: Bytes) -> Bool {
        var (levels, wanted) = (TopicLevels(topic), TopicLevels(filter))
        var isFirst = true
        while let want = wanted.next() {
            let isWild = want.count == 1 && (want[0] == plus || want[0] == hash)
            if isFirst, isWild, topic.first == dollar { return false }
            isFirst = false
            if want.count == 1, want[0] == hash { return true }
            guard let level = levels.next() else { return false }
            guard isWild || equal(level, want) else { return false }
            // `a/#` takes `a` too.
            var after = levels
            if after.next() == nil {
                var left = wanted
                guard let next = left.next() else { return true }
                return next.count == 1 && next[0] == hash
            }
        }
        return levels.next() == nil
    }

    /// Whether the text has a wildcard level; without one it matches literally.
    public static func isPattern(_ filter: Bytes) -> Bool {
        var rest: Slice<Bytes>? = filter[...]
        while true {
            let level = nextLevel(&rest)
            if level.count == 1, level.first == plus || (level.first == hash && rest == nil) { return true }
            if rest == nil { return false }
        }
    }

    public static func isPattern(_ filter: String) -> Bool {
        var filter = filter
        return filter.withUTF8 { isPattern(Bytes($0)) }
    }

    @usableFromInline static let slash = UInt8(ascii: "/")
    @usableFromInline static let plus = UInt8(ascii: "+")
    @usableFromInline static let hash = UInt8(ascii: "#")
    @usableFromInline static let dollar = UInt8(ascii: "$")

    /// Takes the next level off `rest`, which becomes nil after the last one.
    static func nextLevel(_ rest: inout Slice<Bytes>?) -> Slice<Bytes> {
        guard let text = rest else { return Bytes(start: nil, count: 0)[...] }
        if let end = text.firstIndex(of: slash) {
            rest = text[(end + 1)...]
            return text[..<end]
        }
        rest = nil
        return text
    }
}
