/// Which numbers of each flow have come: a flow's messages are numbered 0, 1, 2, …, and each shall come once.
///
/// Of each flow it remembers so many of the newest numbers as 64 MiB for all flows allow, at least 64 and at most 1,048,576 of them.
struct SequenceAccounts {
    enum Arrival: Equatable {
        case new
        /// For the first time, after a higher number.
        case late
        /// Not for the first time; or so late that nothing is remembered of it.
        case duplicate
    }

    /// Flows that there may be, for their memory.
    static let maximumFlows = 1 << 22

    private static let maximumWords = 1 << 23

    /// Of each flow, the number after the highest that has come.
    private var next: [Int]
    /// Of each flow, a bit for each remembered number.
    private var words: [UInt64]
    private let wordsOfEach: Int
    /// Numbers that a flow has bits for: a power of two.
    private let window: Int

    /// - Parameter flows: up to ``maximumFlows``.
    init(flows: Int) {
        var wordsOfEach = 1 << 14
        while wordsOfEach > 2, wordsOfEach * flows > Self.maximumWords { wordsOfEach /= 2 }
        self.wordsOfEach = wordsOfEach
        window = wordsOfEach * 64
        next = Array(repeating: 0, count: flows)
        words = Array(repeating: 0, count: flows * wordsOfEach)
    }

    /// - Parameter number: 0 or more.
    @inline(__always)
    mutating func note(_ number: Int, of flow: Int) -> Arrival {
        let expected = next[flow]
        let place = flow * wordsOfEach + (number & (window - 1)) >> 6
        let bit: UInt64 = 1 << UInt64(number & 63)
        if number >= expected {
            if number > expected || number & 63 == 0 { forget(expected...number, of: flow) }
            words[place] |= bit
            next[flow] = number + 1
            return .new
        }
        guard (expected - 1) >> 6 - number >> 6 < wordsOfEach, words[place] & bit == 0 else { return .duplicate }
        words[place] |= bit
        return .late
    }

    /// Clears the bits of numbers that enter the window: a word when its first number does.
    private mutating func forget(_ numbers: ClosedRange<Int>, of flow: Int) {
        let (first, last) = ((numbers.lowerBound + 63) >> 6, numbers.upperBound >> 6)
        guard first <= last else { return }
        for word in max(first, last - wordsOfEach + 1)...last { words[flow * wordsOfEach + word & (wordsOfEach - 1)] = 0 }
    }
}
