import Testing

@testable import ShuntConfig

/// SplitMix64: the same seed always damages in the same way.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

@Suite("Damaged configurations")
struct DamagedInputTests {
    private static let bits = Array("{}[]:,#&*!|>'\"%@`?-~ \n\t\\0aZ\u{0}\u{85}é🙂".unicodeScalars)

    private func damaged(_ text: String, _ generator: inout SeededGenerator) -> String {
        var scalars = Array(text.unicodeScalars)
        for _ in 0...Int.random(in: 0..<4, using: &generator) {
            let place = Int.random(in: 0..<scalars.count, using: &generator)
            let bit = Self.bits[Int.random(in: 0..<Self.bits.count, using: &generator)]
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: scalars[place] = bit
            case 1: scalars.insert(bit, at: place)
            case 2: scalars.removeSubrange(place..<min(scalars.count, place + 1 + place % 7))
            default: scalars.insert(contentsOf: scalars[place..<min(scalars.count, place + 20)], at: scalars.count / 2)
            }
            if scalars.isEmpty { scalars = ["x"] }
        }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The text without its comments, so that damage hits something.
    private static let reference = ConfigReference.yaml().split(separator: "\n")
        .filter { !$0.drop { $0 == " " }.hasPrefix("#") }.joined(separator: "\n")

    @Test("a damaged file either loads within its ranges or is told with a place", arguments: [1, 2, 3] as [UInt64])
    func files(seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        var refused = 0
        for _ in 0..<700 {
            let text = damaged(Self.reference, &generator)
            do throws(ConfigurationErrors) {
                let configuration = try Configuration.parse(text)
                #expect((1...255).contains(configuration.limits.hops) && !configuration.worker.listeners.isEmpty)
            } catch {
                refused += 1
                #expect(error.errors.allSatisfy { $0.location != nil && $0.code.exitCode == 78 }, "\(error)")
            }
        }
        #expect(refused > 100)
    }

    @Test("a damaged --set or variable does the same")
    func overrides() {
        var generator = SeededGenerator(state: 4)
        for _ in 0..<200 {
            for key in Configuration.keys.shuffled(using: &generator).prefix(5) {
                let path = key.path.joined(separator: ".")
                let set = damaged("\(path)=\(key.text(.unnamed))", &generator)
                let variable = [ConfigVariables.name(key.path): damaged(key.text(.unnamed) + " ", &generator)]
                do throws(ConfigurationErrors) {
                    _ = try Configuration.load(file: nil, environment: variable, sets: [set], hostName: "h")
                } catch {
                    #expect(error.errors.allSatisfy { $0.location != nil && $0.code.exitCode == 78 }, "\(error)")
                }
            }
        }
    }
}
