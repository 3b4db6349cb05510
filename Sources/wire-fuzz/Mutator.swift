/// SplitMix64: the same run for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(next() % UInt64(bound)) }
}

/// Makes inputs out of a pool: a few small changes to one of its inputs, now and then nothing but noise.
struct Mutator {
    /// Inputs above this size are cut: what is slow finds little.
    private static let maximumSize = 4096
    /// Lengths that decoders stumble over.
    private static let lengths: [UInt32] = [
        0, 1, 2, 3, 4, 5, 0x10, 0x7F, 0x80, 0xFF, 0xFFFF, 0x1_0000, 0x1_0001, 0x7FF_FFFF, 0x7CF_FFEF, 0x7D0_0000, 0x7FFF_FFFF,
        0x8000_0000, 0xFFFF_FFFB, 0xFFFF_FFFF,
    ]

    private var random: SeededGenerator
    private var pool: [[UInt8]]
    private let seeds: Int
    private let tokens: [[UInt8]]

    init(seed: UInt64, corpus: [[UInt8]], tokens: [[UInt8]]) {
        random = SeededGenerator(seed: seed)
        pool = corpus
        seeds = corpus.count
        self.tokens = tokens
    }

    mutating func next() -> [UInt8] {
        if random.below(50) == 0 { return noise(random.below(80)) }
        var input = pool[random.below(pool.count)]
        for _ in 0...random.below(8) { change(&input) }
        return Array(input.prefix(Self.maximumSize))
    }

    /// Takes an input that got far into the pool, in place of another one that is no seed.
    mutating func keep(_ input: [UInt8]) {
        if pool.count < seeds + 256 { pool.append(input) } else { pool[seeds + random.below(256)] = input }
    }

    private mutating func change(_ input: inout [UInt8]) {
        let place = random.below(input.count + 1)
        switch random.below(10) {
        case 0 where place < input.count: input[place] ^= 1 << UInt8(random.below(8))
        case 1 where place < input.count: input[place] = UInt8(random.below(256))
        case 2: input.insert(contentsOf: noise(1 + random.below(4)), at: place)
        case 3: input.removeSubrange(place..<min(input.count, place + 1 + random.below(8)))
        case 4: input.removeSubrange(place...)
        case 5: overwrite(&input, at: place, with: Self.lengths[random.below(Self.lengths.count)])
        case 6: input.insert(contentsOf: slice(of: input), at: place)
        case 7: input.insert(contentsOf: slice(of: pool[random.below(pool.count)]), at: place)
        case 8 where !tokens.isEmpty: input.insert(contentsOf: tokens[random.below(tokens.count)], at: place)
        case 9: input += pool[random.below(pool.count)]
        default: overwrite(&input, at: place, with: UInt32(truncatingIfNeeded: random.below(64)))
        }
    }

    private func overwrite(_ input: inout [UInt8], at place: Int, with number: UInt32) {
        guard place + 4 <= input.count else { return }
        for index in 0..<4 { input[place + index] = UInt8(truncatingIfNeeded: number >> UInt32(24 - 8 * index)) }
    }

    private mutating func slice(of input: [UInt8]) -> [UInt8] {
        let start = random.below(input.count)
        return Array(input[start..<min(input.count, start + random.below(64))])
    }

    private mutating func noise(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(random.below(256)) } }
}
