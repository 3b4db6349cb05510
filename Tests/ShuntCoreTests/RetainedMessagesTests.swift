import SeededRandom
import ShuntCore
import Testing

@Suite("Retained messages: found by topic and by filter, bounded, forgotten")
struct RetainedMessagesTests {
    private func keep(_ topic: String, _ size: Int, _ messages: RetainedMessages, expiry: UInt32 = MessageView.noExpiry, at now: Double = 0)
        -> RetainedMessages.Outcome
    {
        Array(topic.utf8).withUnsafeBytes {
            messages.keep(topic: $0, packet: Array(repeating: 1, count: size), qos: .atLeastOnce, expiry: expiry, now: now)
        }
    }

    private func topics(_ filter: String, _ messages: RetainedMessages, at now: Double = 0) -> Set<String> {
        Array(filter.utf8).withUnsafeBytes { filter in
            Set(
                messages.matching(filter, now: now).compactMap { messages.message($0, now: now) }.map {
                    String(decoding: $0.topic, as: UTF8.self)
                })
        }
    }

    @Test("Whatever comes and goes, a filter finds the topics that it takes (5.0 §4.7)")
    func filters() {
        var random = SplitMix(seed: 4)
        let levels = ["", "a", "b", "$x", "c"]
        let messages = RetainedMessages(MQTTLimits())
        var kept: Set<String> = []
        for _ in 0..<3000 {
            let topic = (0..<Int.random(in: 1...4, using: &random)).map { _ in levels.randomElement(using: &random)! }.joined(separator: "/")
            if Bool.random(using: &random), !topic.isEmpty {
                #expect(keep(topic, 10, messages) == .kept)
                kept.insert(topic)
            } else {
                #expect(Array(topic.utf8).withUnsafeBytes { messages.remove(topic: $0) } == (kept.remove(topic) != nil))
            }
            var words = (0..<Int.random(in: 1...4, using: &random)).map { _ in (levels + ["+", "+"]).randomElement(using: &random)! }
            if Bool.random(using: &random) { words.append("#") }
            let filter = words.joined(separator: "/")
            let expected = kept.filter { topic in
                Array(topic.utf8).withUnsafeBytes { topic in Array(filter.utf8).withUnsafeBytes { TopicFilter.takes(topic, filter: $0) } }
            }
            #expect(topics(filter, messages) == expected, "\(filter)")
            #expect(messages.count == kept.count)
        }
        for topic in kept { _ = Array(topic.utf8).withUnsafeBytes { messages.remove(topic: $0) } }
        #expect(messages.bytes == 0, "levels that no topic has are given back")
    }

    @Test(
        "A filter takes a topic (5.0 §4.7.1)",
        arguments: [
            ("a/b", "a/b", true), ("a/b", "a/+", true), ("a/b", "+/+", true), ("a/b", "+", false), ("a", "a/#", true), ("a/b/c", "a/#", true),
            ("a", "a/+", false), ("a/", "a/+", true), ("/a", "+/a", true), ("/a", "#", true), ("$SYS/a", "#", false), ("$SYS/a", "+/a", false),
            ("$SYS/a", "$SYS/#", true), ("$SYS", "$SYS/#", true), ("a", "b", false), ("a/b", "a", false), ("a", "a/b", false), ("a/b", "#", true),
        ])
    func takes(topic: String, filter: String, isTaken: Bool) {
        #expect(
            Array(topic.utf8).withUnsafeBytes { topic in Array(filter.utf8).withUnsafeBytes { TopicFilter.takes(topic, filter: $0) } } == isTaken,
            "\(filter) \(topic)")
    }

    @Test("Messages and bytes are bounded; what cannot be kept takes the old one's place by nothing")
    func bounds() {
        let few = RetainedMessages(MQTTLimits(retainedMessages: 2, retainedBytes: 10_000))
        #expect(keep("a", 10, few) == .kept)
        #expect(keep("b", 10, few) == .kept)
        #expect(keep("c", 10, few) == .refused)
        #expect(keep("a", 100, few) == .kept)
        #expect(keep("a", 20_000, few) == .refused)
        #expect(topics("#", few) == ["b"])
        // A topic of many levels takes memory by its levels.
        let deep = String(repeating: "x/", count: 200)
        #expect(keep(deep, 10, few) == .refused)
        #expect(few.count == 1)
    }

    @Test("A message ends with its expiry, or with its age")
    func time() {
        let messages = RetainedMessages(MQTTLimits(retainedAge: 100))
        _ = keep("short", 10, messages, expiry: 10)
        _ = keep("long", 10, messages, expiry: 1000)
        #expect(topics("#", messages, at: 9) == ["short", "long"])
        #expect(topics("#", messages, at: 10) == ["long"])
        #expect(topics("#", messages, at: 100) == [])
        messages.sweep(now: 100)
        #expect(messages.count == 0)
        #expect(messages.bytes == 0)
    }

    @Test("A reference does not find what has taken its message's place")
    func references() {
        let messages = RetainedMessages(MQTTLimits())
        _ = keep("a", 10, messages)
        let found = Array("a".utf8).withUnsafeBytes { messages.matching($0, now: 0) }
        #expect(found.count == 1)
        _ = Array("a".utf8).withUnsafeBytes { messages.remove(topic: $0) }
        _ = keep("b", 10, messages)
        #expect(messages.message(found[0], now: 0) == nil)
    }

    @Test("More messages than are wanted at once are found in parts")
    func parts() {
        let messages = RetainedMessages(MQTTLimits())
        for number in 0..<1000 { _ = keep(number % 2 == 0 ? "a/\(number)" : "b/\(number)", 10, messages) }
        Array("a/+".utf8).withUnsafeBytes { filter in
            for (looks, count) in [(499, nil), (500, 500), (5000, 500)] as [(Int, Int?)] {
                var left = looks
                #expect(messages.matching(filter, now: 0, looks: &left)?.count == count)
            }
            var (place, found, rounds) = (0, 0, 0)
            while messages.scan(filter, from: &place, looks: 64, now: 0, { _ in found += 1 }) { rounds += 1 }
            #expect((found, rounds) == (500, 15))
        }
    }
}
