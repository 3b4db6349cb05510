import ShuntCore

/// What two topic filters take of each other's topics.
enum LintFilters {
    private static func levels(_ filter: String) -> [Substring] { filter.split(separator: "/", omittingEmptySubsequences: false) }

    /// Whether the first takes every topic that the second takes, and they differ.
    static func covers(_ wide: String, _ narrow: String) -> Bool {
        guard wide != narrow else { return false }
        return covers(levels(wide)[...], levels(narrow)[...], isFirst: true)
    }

    private static func covers(_ wide: ArraySlice<Substring>, _ narrow: ArraySlice<Substring>, isFirst: Bool) -> Bool {
        guard let want = wide.first else { return narrow.isEmpty }
        // Wildcards do not take what begins with a dollar.
        if isFirst, want == "#" || want == "+", narrow.first?.hasPrefix("$") == true { return false }
        if want == "#" { return true }
        guard let level = narrow.first else { return false }
        guard level != "#", want == level || want == "+" else { return false }
        return covers(wide.dropFirst(), narrow.dropFirst(), isFirst: false)
    }

    /// Whether a topic is there that both take.
    static func meet(_ one: String, _ other: String) -> Bool { meet(levels(one)[...], levels(other)[...], isFirst: true) }

    private static func meet(_ one: ArraySlice<Substring>, _ other: ArraySlice<Substring>, isFirst: Bool) -> Bool {
        if isFirst, let a = one.first, let b = other.first {
            if a == "#" || a == "+", b.hasPrefix("$") { return false }
            if b == "#" || b == "+", a.hasPrefix("$") { return false }
        }
        if one.first == "#" || other.first == "#" { return true }
        guard let a = one.first, let b = other.first else { return one.isEmpty && other.isEmpty }
        guard a == b || a == "+" || b == "+" else { return false }
        return meet(one.dropFirst(), other.dropFirst(), isFirst: false)
    }
}
