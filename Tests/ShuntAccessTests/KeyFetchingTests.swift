import Testing

@testable import ShuntAccess

@Suite("when keys for tokens are fetched")
struct KeyFetchingTests {
    private func fetching() -> KeyFetching {
        var settings = KeyFetching.Settings()
        (settings.refresh, settings.keep) = (300, 3600)
        return KeyFetching(settings)
    }

    /// A fetch that begins when it is due, and works or fails.
    private func turn(_ fetching: inout KeyFetching, _ now: Double, works: Bool) -> KeyFetching.Change? {
        let isDue = fetching.isDue(now: now)
        #expect(isDue, "at \(now)")
        return works ? fetching.fetched(now: now) : fetching.failed(now: now)
    }

    @Test("at once, then again and again")
    func refresh() {
        var fetching = fetching()
        #expect(!fetching.mayUse(now: 0) && fetching.age(now: 0) == nil)
        same(turn(&fetching, 0, works: true), .works)
        same(fetching.isDue(now: 299), false)
        #expect(fetching.mayUse(now: 299) && fetching.age(now: 299) == 299)
        same(turn(&fetching, 300, works: true), nil)
        #expect(fetching.age(now: 310) == 10)
    }

    @Test("one fetch at a time")
    func single() {
        var fetching = fetching()
        let due = [fetching.isDue(now: 0), fetching.isDue(now: 100)]
        #expect(due == [true, false])
        same(fetching.keyIsMissing(now: 100), .wait)
    }

    @Test("keys stay while the source is down, and lapse; each change is told once")
    func outage() {
        var fetching = fetching()
        _ = turn(&fetching, 0, works: true)
        same(turn(&fetching, 300, works: false), .down(3300))
        // Pauses double up to half a minute.
        for now in [301.0, 303, 307, 315, 331, 361, 391] { same(turn(&fetching, now, works: false), nil) }
        same(fetching.tick(now: 3599), nil)
        #expect(fetching.mayUse(now: 3599))
        same(fetching.tick(now: 3600), .lapsed)
        #expect(!fetching.mayUse(now: 3600))
        same(fetching.tick(now: 3601), nil)
        same(turn(&fetching, 3601, works: false), nil)
        same(turn(&fetching, 3700, works: true), .works)
        #expect(fetching.mayUse(now: 3700))
        same(turn(&fetching, 4000, works: false), .down(3300))
        same(turn(&fetching, 4001, works: true), .works)
    }

    @Test("a source that is down at the start is told, and gives nothing")
    func start() {
        var fetching = fetching()
        same(turn(&fetching, 0, works: false), .down(0))
        same(turn(&fetching, 1, works: false), nil)
        same(fetching.tick(now: 10_000), nil)
        #expect(!fetching.mayUse(now: 10_000))
        same(turn(&fetching, 10_000, works: true), .works)
    }

    @Test("an unknown key leads to one fetch in ten seconds")
    func unknownKey() {
        var fetching = fetching()
        _ = turn(&fetching, 0, works: true)
        same(fetching.keyIsMissing(now: 1), .fetch)
        same(fetching.keyIsMissing(now: 1), .wait)
        _ = fetching.fetched(now: 2)
        same(fetching.keyIsMissing(now: 10.9), .none)
        same(fetching.keyIsMissing(now: 11), .fetch)
        _ = fetching.failed(now: 12)
        same(fetching.isDue(now: 12), false)
        same(fetching.isDue(now: 13), true)
    }
}
