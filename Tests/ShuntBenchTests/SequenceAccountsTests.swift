import SeededRandom
import Testing

@testable import ShuntBench

@Suite("The numbers of a flow")
struct SequenceAccountsTests {
    @Test("are new once, late after a higher one, and duplicates after that")
    func arrivals() {
        var accounts = SequenceAccounts(flows: 2)
        #expect(
            [0, 1, 1, 4, 3, 3, 2, 5, 0].map { accounts.note($0, of: 1) } == [
                .new, .new, .duplicate, .new, .late, .duplicate, .late, .new, .duplicate,
            ])
        #expect(accounts.note(0, of: 0) == .new, "flows do not touch one another")
    }

    @Test("are judged as by a set, over the ends of words and of the window", arguments: [1, 1 << 17, 1 << 22])
    func asBySet(flows: Int) {
        var random = SplitMix(seed: UInt64(flows))
        var accounts = SequenceAccounts(flows: flows)
        let flow = flows - 1
        var (seen, highest) = (Set<Int>(), -1)
        for _ in 0..<20_000 {
            // 64 numbers back are remembered, however many flows there are.
            let number = max(0, highest + Int.random(in: -63...Int.random(in: 1...200, using: &random), using: &random))
            let expected: SequenceAccounts.Arrival = seen.contains(number) ? .duplicate : number > highest ? .new : .late
            #expect(accounts.note(number, of: flow) == expected)
            seen.insert(number)
            highest = max(highest, number)
        }
    }

    @Test("that are too old to be remembered count as duplicates")
    func tooOld() {
        var accounts = SequenceAccounts(flows: 1)
        #expect(accounts.note(2_000_000, of: 0) == .new)
        #expect(accounts.note(1_999_999 - 1_000_000, of: 0) == .late)
        #expect(accounts.note(10, of: 0) == .duplicate)
        // A number that a broker has made up costs no time.
        #expect(accounts.note(1 << 40 - 1, of: 0) == .new)
        #expect(accounts.note(1 << 40 - 2, of: 0) == .late)
    }
}

@Suite("The window of unacknowledged messages")
struct InflightWindowTests {
    @Test("of QoS 1 takes as many as it holds, and has room after each PUBACK")
    func qos1() {
        var window = InflightWindow(.atLeastOnce, capacity: 2)
        #expect([window.take(due: 10), window.take(due: 20), window.take(due: 30)] == [1, 2, nil])
        #expect(window.count == 2)
        #expect(window.answered(.publishAcknowledgement, 1, isError: false) == .done(due: 10))
        #expect(window.answered(.publishAcknowledgement, 1, isError: false) == .unexpected)
        #expect(window.take(due: 40) == 1)
        #expect(window.answered(.publishAcknowledgement, 2, isError: true) == .done(due: 20))
        #expect(window.count == 1)
    }

    @Test("of QoS 2 goes by PUBREC and PUBCOMP; an error in PUBREC ends it")
    func qos2() {
        var window = InflightWindow(.exactlyOnce, capacity: 2)
        #expect([window.take(due: 1), window.take(due: 2)] == [1, 2])
        #expect(window.answered(.publishComplete, 1, isError: false) == .unexpected)
        #expect(window.answered(.publishReceived, 1, isError: false) == .release)
        #expect(window.answered(.publishReceived, 1, isError: false) == .unexpected)
        #expect(window.answered(.publishComplete, 1, isError: false) == .done(due: 1))
        #expect(window.answered(.publishReceived, 2, isError: true) == .done(due: 2))
        #expect(window.count == 0)
    }

    @Test("expects no answer of another QoS, and none for identifiers that it never gave")
    func unexpected() {
        var window = InflightWindow(.atLeastOnce, capacity: 1)
        _ = window.take(due: 1)
        #expect(window.answered(.publishReceived, 1, isError: false) == .unexpected)
        #expect(window.answered(.publishAcknowledgement, 2, isError: false) == .unexpected)
        #expect(window.answered(.publishAcknowledgement, 65_535, isError: false) == .unexpected)
    }
}
