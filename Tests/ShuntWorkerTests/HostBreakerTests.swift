import Testing

@testable import ShuntWorker

@Suite("Hosts that do not answer")
struct HostBreakerTests {
    /// Which of these questions, each of a network and at a time, are refused.
    private func refused(_ breaker: inout HostBreaker, _ questions: (UInt64, Double)...) -> [Bool] {
        questions.map { breaker.refuses(network: $0.0, now: $0.1) }
    }

    private func fail(_ breaker: inout HostBreaker, _ times: Int, from networks: [UInt64], now: Double = 0) {
        for number in 0..<times { breaker.ended(worked: false, network: networks[number % networks.count], now: now) }
    }

    @Test("one network's failures keep that network alone from asking")
    func one() {
        var breaker = HostBreaker()
        fail(&breaker, 100, from: [1])
        let first = refused(&breaker, (1, 1), (2, 1))
        #expect(first == [true, false])
        // An answer to another network is no reason to trust this one.
        breaker.ended(worked: true, network: 2, now: 1)
        let later = refused(&breaker, (1, 2), (1, 5.5), (1, 5.6))
        #expect(later == [true, false, true])
    }

    @Test("failures in a row of three networks keep all from asking, until one has tried and has its answer")
    func all() {
        var breaker = HostBreaker()
        fail(&breaker, 10, from: [1, 2, 3])
        let first = refused(&breaker, (4, 1), (4, 5.5), (5, 5.6))
        #expect(first == [true, false, true])
        breaker.ended(worked: true, network: 4, now: 6)
        let later = refused(&breaker, (5, 6))
        #expect(later == [false])
    }

    @Test("what says nothing of the host counts for nothing")
    func neither() {
        var breaker = HostBreaker()
        for _ in 0..<50 { breaker.ended(worked: nil, network: 1, now: 0) }
        let asked = refused(&breaker, (1, 1))
        #expect(asked == [false])
    }
}
