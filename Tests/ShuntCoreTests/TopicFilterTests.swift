import ShuntCore
import Testing

@Suite("Topic filters (MQTT 5 §4.7)")
struct TopicFilterTests {
    @Test(
        "A filter takes the topics that the specification says",
        arguments: [
            ("orders/1", "orders/1", true), ("orders/1", "orders/2", false), ("orders/1", "orders/1/x", false),
            ("orders/+", "orders/1", true), ("orders/+", "orders", false), ("orders/+", "orders/", true),
            ("orders/+", "orders/1/2", false), ("+/1", "orders/1", true), ("+", "orders", true), ("+", "/orders", false),
            ("+/+", "/orders", true), ("/+", "/orders", true), ("orders/#", "orders", true), ("orders/#", "orders/1/2", true),
            ("orders/#", "ordersx", false), ("#", "a/b/c", true), ("#", "$SYS/x", false), ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true), ("$SYS/+", "$SYS/x", true), ("a/+/c", "a/b/c", true), ("a/+/c", "a/b/d", false),
            ("a/+/#", "a/b", true), ("a/+/#", "a", false), ("a//b", "a//b", true), ("a/+/b", "a//b", true),
        ])
    func matches(filter: String, topic: String, expected: Bool) {
        #expect(takes(filter, topic) == expected)
        let index = Index()
        index.add(1, filter, "g")
        #expect(index.send(topic) == (expected ? [1] : []))
    }

    @Test(
        "A wildcard inside a level, or # before the last, means itself",
        arguments: [
            ("c++", false), ("a#b", false), ("#/a", false), ("a/b+", false), ("", false), ("orders", false),
            ("+", true), ("#", true), ("a/#", true), ("+/a", true), ("a/+/b", true), ("#/+", true),
        ])
    func patterns(filter: String, isPattern: Bool) {
        #expect(TopicFilter.isPattern(filter) == isPattern)
    }
}

/// Whether `topic` is one that `filter` takes, as the specification puts it, level by level.
func takes(_ filter: String, _ topic: String) -> Bool {
    guard TopicFilter.isPattern(filter) else { return filter == topic }
    let (filters, names) = (filter.levels, topic.levels)
    // No filter that starts with a wildcard takes a `$`-topic (MQTT 5 §4.7.2).
    if ["+", "#"].contains(filters[0]), topic.hasPrefix("$") { return false }
    // `#` also takes what is above it.
    let isOpen = filters.last == "#"
    let literal = isOpen ? filters.dropLast() : filters[...]
    guard isOpen ? names.count >= literal.count : names.count == literal.count else { return false }
    return zip(literal, names).allSatisfy { $0 == "+" || $0 == $1 }
}

extension String {
    fileprivate var levels: [Substring] { split(separator: "/", omittingEmptySubsequences: false) }

    func asBytes<Result>(_ body: (Bytes) -> Result) -> Result { Array(utf8).withUnsafeBytes(body) }

    @Test("A topic has no wildcard and no NUL, wherever in it these might be; a plain one is ASCII without control characters", arguments: 1...26)
    func topics(length: Int) {
        let plain = (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
        func isTopic(_ bytes: [UInt8]) -> (Bool, Bool) { bytes.withUnsafeBytes { (TopicFilter.isTopic($0), TopicFilter.isPlainTopic($0)) } }
        #expect(isTopic(plain) == (true, true))
        for place in 0..<length {
            for byte in UInt8.min...UInt8.max {
                var topic = plain
                topic[place] = byte
                let isRight = byte != 0 && byte != UInt8(ascii: "+") && byte != UInt8(ascii: "#")
                #expect(isTopic(topic) == (isRight, isRight && (0x20..<0x7F).contains(byte)))
            }
        }
    }
}
