import ShuntCore

/// How topic filters relate to topics and to each other (MQTT 5 §4.7).
///
/// - Parameters: `hidesDollar` says whether wildcards at the first level leave out what begins with `$`, as in topics, unlike in the
///   identifiers of chats.
enum FilterRelation {
    /// Whether a filter takes a topic.
    static func takes(_ filter: Bytes, topic: Bytes, hidesDollar: Bool = true) -> Bool {
        var (wanted, levels) = (Levels(filter), Levels(topic))
        if hidesDollar, isDollar(topic), wanted.isWild { return false }
        while wanted.hasLevel {
            if wanted.isHash { return true }
            guard levels.hasLevel, wanted.isPlus || wanted.equals(levels) else { return false }
            wanted.advance()
            levels.advance()
        }
        return !levels.hasLevel
    }

    /// Whether a filter takes each topic that another filter takes.
    static func covers(_ filter: Bytes, _ other: Bytes, hidesDollar: Bool = true) -> Bool {
        var (wide, narrow) = (Levels(filter), Levels(other))
        if hidesDollar, isDollar(other), wide.isWild { return false }
        // At the first level `#` takes one level and more, as `+/#` does; further down it takes none as well.
        if narrow.isHash, wide.isPlus {
            wide.advance()
            return wide.isHash
        }
        while wide.hasLevel {
            if wide.isHash { return true }
            guard narrow.hasLevel, !narrow.isHash else { return false }
            guard wide.isPlus || (!narrow.isPlus && wide.equals(narrow)) else { return false }
            wide.advance()
            narrow.advance()
        }
        return !narrow.hasLevel
    }

    /// Whether there is a topic that both filters take.
    static func overlap(_ one: Bytes, _ other: Bytes, hidesDollar: Bool = true) -> Bool {
        var (left, right) = (Levels(one), Levels(other))
        if hidesDollar, isDollar(one) ? right.isWild : isDollar(other) && left.isWild { return false }
        while left.hasLevel, right.hasLevel {
            if left.isHash || right.isHash { return true }
            guard left.isPlus || right.isPlus || left.equals(right) else { return false }
            left.advance()
            right.advance()
        }
        return left.hasLevel ? left.isHash : !right.hasLevel || right.isHash
    }

    private static func isDollar(_ text: Bytes) -> Bool { text.first == UInt8(ascii: "$") }

    /// A place among the levels of a text.
    private struct Levels {
        private let text: Bytes
        private var start = 0
        private var end = 0

        @inline(__always)
        init(_ text: Bytes) {
            self.text = text
            findEnd()
        }

        /// False after the last level.
        var hasLevel: Bool { start <= text.count }
        var isPlus: Bool { end - start == 1 && text[start] == UInt8(ascii: "+") }
        var isHash: Bool { end - start == 1 && text[start] == UInt8(ascii: "#") }
        var isWild: Bool { isPlus || isHash }

        @inline(__always)
        mutating func advance() {
            start = end + 1
            findEnd()
        }

        @inline(__always)
        private mutating func findEnd() {
            end = start
            while end < text.count, text[end] != UInt8(ascii: "/") { end += 1 }
        }

        @inline(__always)
        func equals(_ other: Levels) -> Bool {
            guard end - start == other.end - other.start else { return false }
            var at = 0
            while at < end - start {
                guard text[start + at] == other.text[other.start + at] else { return false }
                at += 1
            }
            return true
        }
    }
}
