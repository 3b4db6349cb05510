import Testing

@testable import ShuntCore

@Suite("Lists of retained messages")
struct RetainedPageTests {
    private func records(_ topics: [String], at worker: String = "") -> [RetainedRecord] {
        topics.map { RetainedRecord(topic: $0, worker: worker, bytes: 1, qos: 0, storedAt: 1) }
    }

    @Test("Beginnings of several lists make the beginning of one: nothing stands behind a place that one of them does not reach")
    func merges() {
        var page = RetainedPage(limit: 10, bytes: 1 << 20)
        page.add(records(["a", "c"]), total: 5, hasMore: true)
        page.add(records(["b", "c", "d"]), total: 3, hasMore: false)
        #expect(page.messages.map(\.topic) == ["a", "b", "c", "c"])
        #expect(page.end == RetainedPlace(topic: "c") && page.total == 8)
        page.add(records(["aa"]), total: 2, hasMore: true)
        #expect(page.messages.map(\.topic) == ["a", "aa"])
        #expect(page.end == RetainedPlace(topic: "aa"))
    }

    @Test("A page has no more messages and bytes than it may, and always one")
    func bounded() {
        var page = RetainedPage(limit: 2, bytes: 1 << 20)
        page.add(records(["a", "b", "c"]), total: .max, hasMore: false)
        page.add([], total: 1, hasMore: false)
        #expect(page.messages.map(\.topic) == ["a", "b"] && page.end?.topic == "b" && page.total == .max)
        var small = RetainedPage(limit: 10, bytes: 400)
        small.add(records(["a", "b", String(repeating: "\u{1}", count: 100)]), total: 3, hasMore: false)
        #expect(small.messages.count == 1 && small.end != nil)
        var tiny = RetainedPage(limit: 0, bytes: 0)
        tiny.add(records(["a"]), total: 1, hasMore: false)
        #expect(tiny.messages.count == 1 && tiny.end == nil)
    }

    @Test("Places are in the order of bytes, and read as they are written")
    func places() {
        let places = [("A", "w:2"), ("a", "w:1"), ("a", "w:2"), ("a b", "w:1"), ("a/b", ""), ("e\u{301}", "w"), ("\u{E9}", "w")]
            .map { RetainedPlace(topic: $0.0, worker: $0.1) }
        #expect(places.shuffled().sorted() == places)
        #expect(Set(places.map { Array($0.description.utf8) }).count == places.count)
        for place in places { #expect(RetainedPlace(place.description) == place) }
        #expect(RetainedPlace("nowhere") == nil)
    }

    @Test("The first messages behind a topic are found, whatever the order in which they are kept")
    func first() {
        let kept = RetainedMessages(MQTTLimits())
        let topics = (0..<300).map { "t/\($0)" }
        for topic in topics.shuffled() {
            let outcome = Array(topic.utf8).withUnsafeBytes {
                kept.keep(topic: $0, packet: [1], qos: .atMostOnce, expiry: MessageView.noExpiry, now: 1)
            }
            #expect(outcome == .kept)
        }
        func list(_ limit: Int, after: String?, includes: Bool = false) -> ([String], Bool) {
            let found = Array("t/#".utf8).withUnsafeBytes { kept.matching($0, now: 1) }
            let after = after.map { Array($0.utf8) }
            let (first, hasMore) = (after ?? []).withUnsafeBytes {
                kept.first(limit, of: found, after: after == nil ? nil : $0, includesTopic: includes)
            }
            return (first.compactMap { kept.message($0, now: 1) }.map { String(decoding: $0.topic, as: UTF8.self) }, hasMore)
        }
        let sorted = topics.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        #expect(list(7, after: nil) == (Array(sorted[..<7]), true))
        #expect(list(300, after: nil) == (sorted, false))
        #expect(list(5, after: sorted[100]) == (Array(sorted[101..<106]), true))
        #expect(list(5, after: sorted[100], includes: true) == (Array(sorted[100..<105]), true))
        #expect(list(5, after: sorted[295]) == (Array(sorted[296...]), false))
        let reference = Array("t/1".utf8).withUnsafeBytes { kept.matching($0, now: 1) }[0]
        #expect(kept.remove(reference) && !kept.remove(reference) && kept.count == 299)
    }

    @Test("What is no topic filter is refused", arguments: ["", "a/#/b", "a+", "#a", "a\0", String(repeating: "a/", count: 200)])
    func filters(filter: String) {
        #expect(throws: ShuntError.self) { try RetainedRequest.check(filter) }
    }
}
