import ShuntCore
import Testing

@testable import ShuntHTTP

@Suite struct GuessDelaysTests {
    /// Guesses as soon as it may, all wrong. Returns the seconds that it took.
    private func guess(_ delays: inout GuessDelays, _ source: String, times: Int, from start: Double = 0) -> Double {
        var now = start
        for _ in 0..<times {
            guard let wait = delays.turn(of: source, now: now) else {
                now += GuessDelays.longest
                continue
            }
            now += wait
            delays.failed(source, now: now)
        }
        return now - start
    }

    @Test("The first wrong guesses cost nothing, a thousand more than an hour") func slow() {
        var delays = GuessDelays()
        #expect(guess(&delays, "10.0.0.1", times: GuessDelays.free) == 0)
        #expect(guess(&delays, "10.0.0.1", times: 1000) > 3600)
        #expect(delays.turn(of: "10.0.0.2", now: 0) == 0)
    }

    @Test("Guesses at the same time wait one after the other, and are refused where the last waits too long") func together() throws {
        var delays = GuessDelays()
        for _ in 0..<GuessDelays.free + 4 { delays.failed("10.0.0.1", now: 10) }
        let waits = (0..<100).map { _ in delays.turn(of: "10.0.0.1", now: 10) }
        let taken = waits.compactMap { $0 }
        #expect(taken == taken.sorted() && Set(taken).count == taken.count)
        let last = try #require(taken.last)
        #expect(last <= GuessDelays.longest)
        #expect(taken.count < 10 && waits.last == .some(nil))
    }

    @Test("Who has stopped guessing is forgotten") func forgotten() {
        var delays = GuessDelays()
        _ = guess(&delays, "10.0.0.1", times: 20)
        #expect(delays.turn(of: "10.0.0.1", now: 1000) == 0)
        #expect(delays.count == 0)
    }

    @Test("A network of IPv6 is one guesser") func networks() {
        var delays = GuessDelays()
        for host in 1...20 { delays.failed("2001:db8::\(host)", now: 0) }
        #expect(delays.turn(of: "2001:db8::ffff", now: 0) != 0)
        #expect(delays.turn(of: "2001:db8:1::1", now: 0) == 0)
    }

    @Test("The table is bounded: addresses beyond it share a place, until others are forgotten") func bounded() {
        var delays = GuessDelays()
        for number in 0..<GuessDelays.capacity * 2 { delays.failed("10.0.\(number / 256).\(number % 256)", now: 0) }
        #expect(delays.count <= GuessDelays.capacity + 1)
        #expect(delays.turn(of: "10.99.0.1", now: 0) != 0)
        delays.failed("10.99.0.1", now: GuessDelays.memory + 1)
        #expect(delays.count == 1)
    }
}
