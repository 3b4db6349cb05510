import Testing

@testable import ShuntWorker

@Suite("Hosts that do not answer")
struct HostBreakerTests {
    private func fail(_ breaker: inout HostBreaker, _ times: Int, from networks: [UInt64], now: Double = 0) {
        for number in 0..<times { breaker.ended(worked: false, network: networks[number % networks.count], now: now) }
    }

    @Test("one network's failures keep that network alone from asking")
    func one() {
        var breaker = HostBreaker()
        fail(&breaker, 100, from: [1])
        #expect(breaker.refuses(network: 1, now: 1))
        #expect(!breaker.refuses(network: 2, now: 1))
        // An answer to another network is no reason to trust this one.
        breaker.ended(worked: true, network: 2, now: 1)
        #expect(breaker.refuses(network: 1, now: 2))
        #expect(!breaker.refuses(network: 1, now: 5.5) && breaker.refuses(network: 1, now: 5.6))
    }

    @Test("failures in a row of three networks keep all from asking, until one has tried and has its answer")
    func all() {
        var breaker = HostBreaker()
        fail(&breaker, 10, from: [1, 2, 3])
        #expect(breaker.refuses(network: 4, now: 1))
        #expect(!breaker.refuses(network: 4, now: 5.5) && breaker.refuses(network: 5, now: 5.6))
        breaker.ended(worked: true, network: 4, now: 6)
        #expect(!breaker.refuses(network: 5, now: 6))
    }

    @Test("what says nothing of the host counts for nothing")
    func neither() {
        var breaker = HostBreaker()
        for _ in 0..<50 { breaker.ended(worked: nil, network: 1, now: 0) }
        #expect(!breaker.refuses(network: 1, now: 1))
    }
}
