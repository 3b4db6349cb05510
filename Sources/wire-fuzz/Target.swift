import ShuntCore

/// A reader under test, and how far it has come.
struct Target {
    let name: String
    let check: (Bytes) throws(BrokenInvariant) -> Bool
    var mutator: Mutator
    var inputs = 0
    var accepted = 0

    init(
        _ name: String, seed: UInt64, corpus: [[UInt8]], tokens: [[UInt8]] = [],
        check: @escaping (Bytes) throws(BrokenInvariant) -> Bool
    ) {
        self.name = name
        self.check = check
        mutator = Mutator(seed: seed, corpus: corpus, tokens: tokens)
    }

    /// Tries one input.
    /// - Returns: the input and the promise that it broke; nil if all holds.
    mutating func step() -> (input: [UInt8], promise: String)? {
        let input = mutator.next()
        inputs += 1
        let start = ContinuousClock.now
        // A copy of just this size, so that a read beyond it is one beyond an allocation.
        let result = Result { () throws(BrokenInvariant) in
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
            defer { copy.deallocate() }
            copy.copyBytes(from: input)
            return try check(Bytes(copy))
        }
        if start.duration(to: .now) > .seconds(2) { return (input, "no input takes two seconds") }
        switch result {
        case .failure(let broken): return (input, broken.promise)
        case .success(let isAccepted):
            if isAccepted {
                accepted += 1
                if inputs.isMultiple(of: 50) { mutator.keep(input) }
            }
            return nil
        }
    }
}
