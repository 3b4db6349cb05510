import ShuntCore
import Testing

@testable import ShuntWorker

@Suite("Answers that are kept")
struct LookupCacheTests {
    private let key = LookupKey(plugin: "vip", text: "http://host/time", headers: [])

    private func bytes(_ answer: LookupAnswer?) -> String? {
        guard case .response(_, _, let body) = answer else { return nil }
        return String(decoding: body, as: UTF8.self)
    }

    @Test("an asker gets no answer that is older than its own time allows, however long others would keep it")
    func age() {
        var cache = LookupCache()
        cache.keep(.response(status: 500, headers: [:], body: Array("old".utf8)), for: key, now: 100)
        #expect(bytes(cache.answer(to: key, within: 3600, now: 103)) == "old")
        #expect(bytes(cache.answer(to: key, within: 1, now: 100.5)) == "old")
        #expect(cache.answer(to: key, within: 1, now: 103) == nil)
        cache.keep(.response(status: 200, headers: [:], body: Array("new".utf8)), for: key, now: 103)
        #expect(bytes(cache.answer(to: key, within: 3600, now: 200)) == "new")
        #expect(cache.count == 1)
    }
}
