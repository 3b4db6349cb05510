import ShuntConfig
import ShuntCore
import Testing

@testable import ShuntWorker

@Suite("Answers that are kept")
struct LookupCacheTests {
    private let key = LookupKey(plugin: "vip", permit: 1, text: "http://host/time", headers: [])

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

    @Test("what was asked while a rule might ask other things, or trusted others, is another question; addresses are everybody's")
    func permits() throws {
        func key(_ what: RuleLookup.What, authorities: [UInt8]? = nil, _ change: (inout Configuration.Rules.Lookups) -> Void = { _ in }) throws
            -> LookupKey?
        {
            var settings = Configuration.Rules.Lookups()
            (settings.hosts, settings.names) = (["http://host"], ["name"])
            change(&settings)
            return try LookupService.Question(RuleLookup(what), LookupService.Permit(settings, authorities: authorities), "vip").key
        }
        let get = RuleLookup.What.get("http://host/time")
        #expect(try key(get) == key(get))
        #expect(try key(get) != key(get) { $0.answer = 1024 })
        #expect(try key(get) != key(get) { $0.hosts.append("http://other") })
        #expect(try key(get) != key(get, authorities: [1]))
        #expect(try key(get, authorities: [1]) != key(get, authorities: [2]))
        #expect(try key(.resolve("name")) == key(.resolve("name")) { $0.answer = 1024 })
    }
}
