import ShuntCore
import Testing

@Suite("Topic filters (MQTT 5 §4.7)")
struct TopicFilterTests {
    @Test("A filter takes the topics that the specification says", arguments: [
        ("orders/1", "orders/1", true), ("orders/1", "orders/2", false), ("orders/1", "orders/1/x", false),
        ("orders/+", "orders/1", true), ("orders/+", "orders", false), ("orders/+", "orders/", true),
        ("orders/+", "orders/1/2", false), ("+/1", "orders/1", true), ("+", "orders", true), ("+", "/orders", false),
        ("+/+", "/orders", true), ("/+", "/orders", true), ("orders/#", "orders", true), ("orders/#", "orders/1/2", true),
        ("orders/#", "ordersx", false), ("#", "a/b/c", true), ("#", "$SYS/x", false), ("+/x", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true), ("$SYS/+", "$SYS/x", true), ("a/+/c", "a/b/c", true), ("a/+/c", "a/b/d", false),
        ("a/+/#", "a/b", true), ("a/+/#", "a", false), ("a//b", "a//b", true), ("a/+/b", "a//b", true),
    ])
    func matches(filter: String, topic: String, expected: Bool) {
        #expect(filter.asBytes { filter in topic.asBytes { TopicFilter.matches(filter, topic: $0) } } == expected)
    }

    @Test("A wildcard inside a level, or # before the last, means itself", arguments: [
        ("c++", false), ("a#b", false), ("#/a", false), ("a/b+", false), ("", false), ("orders", false),
        ("+", true), ("#", true), ("a/#", true), ("+/a", true), ("a/+/b", true), ("#/+", true),
    ])
    func patterns(filter: String, isPattern: Bool) {
        #expect(TopicFilter.isPattern(filter) == isPattern)
    }
}

extension String {
    func asBytes<Result>(_ body: (Bytes) -> Result) -> Result { Array(utf8).withUnsafeBytes(body) }
}
