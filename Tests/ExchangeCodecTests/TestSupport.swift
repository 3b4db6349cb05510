import ShuntCore

@testable import ExchangeCodec

/// The bytes of a hex string.
func bytes(hex: String) -> [UInt8] {
    let digits = hex.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    precondition(digits.count == hex.utf8.count && digits.count.isMultiple(of: 2), "not hex: \(hex)")
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}

func decode(_ bytes: [UInt8], limit: Int = FrameLayout.maximumSize) -> DecodedFrame {
    bytes.withUnsafeBytes { FrameDecoder.decode($0, limit: limit) }
}

/// The frame at the start of the bytes, copied; nil if there is none.
func decodedFrame(_ bytes: [UInt8]) -> Frame? {
    bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress, case .frame(let view) = FrameDecoder.decode(buffer) else { return nil }
        return Frame(view, in: base)
    }
}

/// SplitMix64: the same numbers for the same seed, on every machine.
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

    mutating func text(upTo length: Int) -> String {
        let alphabet = Array("abcXYZ019 _-/*+#.'\"\\{}[]:,\u{0}\u{1}\n\r\t\u{8}\u{C}\u{7F}\u{2028}äß你😀")
        return String((0..<Int.random(in: 0...length, using: &self)).map { _ in alphabet.randomElement(using: &self) ?? "x" })
    }

    mutating func bytes(_ lengths: ClosedRange<Int>) -> [UInt8] {
        (0..<Int.random(in: lengths, using: &self)).map { _ in UInt8.random(in: 0...255, using: &self) }
    }
}
