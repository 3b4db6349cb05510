import ShuntCore
import Testing

@testable import ExchangeCodec

/// Takes a good frame (MESSAGE, text `v`, name `n`, key `k`) and spoils one thing.
@Suite("Decoder, §6: malformed and unusual frames")
struct MalformedFrameTests {
    static let good = Frame(.message, id: 7, text: "v", name: "n", key: "k").encoded()

    /// The good frame with some bytes replaced.
    private func spoiled(_ replacement: [UInt8], at offset: Int) -> [UInt8] {
        var frame = Self.good
        frame.replaceSubrange(offset..<offset + replacement.count, with: replacement)
        return frame
    }

    /// A frame whose body is these bytes.
    private func frame(body: [UInt8], status: UInt16 = 200) -> [UInt8] {
        [0x71, 0, 0, 0, 0, 0, 0, 0, 7, 3, 0, UInt8(status >> 8), UInt8(status & 0xFF), 0, 0, 0, UInt8(body.count)] + body
    }

    @Test("Any first byte but 0x71 is refused")
    func magic() {
        for byte in UInt8.min...UInt8.max where byte != 0x71 {
            #expect(decode(spoiled([byte], at: 0)) == .malformed(.magic))
        }
    }

    @Test("Exactly the types 0 to 10 and 13 are taken")
    func types() {
        for code in UInt8.min...UInt8.max {
            let isAssigned = code <= 10 || code == 13
            #expect((decode(spoiled([code], at: 9)) == .malformed(.type)) != isAssigned, "type \(code)")
            #expect(FrameType(rawValue: code) == FrameType.decoding(code))
            #expect(FrameType.decoding(code).map(\.code) == (isAssigned ? code : nil))
        }
    }

    @Test("Exactly the compressions 0 to 3 are taken")
    func compressions() {
        for code in UInt8.min...UInt8.max {
            #expect((decode(spoiled([code], at: 10)) == .malformed(.compression)) == (code > 3), "compression \(code)")
            #expect(PayloadCompression(rawValue: code) == PayloadCompression.decoding(code))
        }
    }

    @Test("Every negative status is refused, every other number taken")
    func statuses() {
        for status: UInt16 in [0, 1, 199, 201, 600, 0x7FFF] {
            guard case .frame(let view) = decode(spoiled([UInt8(status >> 8), UInt8(status & 0xFF)], at: 11)) else {
                Issue.record("status \(status) was refused")
                continue
            }
            #expect(view.status == Int16(status) && view.isError)
        }
        for status: UInt16 in [0x8000, 0xFF38, 0xFFFF] {
            #expect(decode(spoiled([UInt8(status >> 8), UInt8(status & 0xFF)], at: 11)) == .malformed(.status))
        }
    }

    @Test("With status 200 only text and JSON are taken; in an error frame any of the five formats")
    func formats() {
        for format in UInt8.min...UInt8.max {
            let body: [UInt8] = [format, 0, 0, 0, 1, 0x76]
            #expect((decode(frame(body: body)) == .malformed(.format)) == (format != 1 && format != 2))
            #expect((decode(frame(body: body, status: 500)) == .malformed(.format)) == (format > 4))
        }
    }

    @Test("A length above the limit is refused with the header, one at the limit is taken")
    func limit() {
        let size = Self.good.count
        #expect(decode(Array(Self.good.prefix(17)), limit: size - 1) == .malformed(.tooLarge))
        #expect(decode(Array(Self.good.prefix(16)), limit: size - 1) == .needMore(minimum: 17))
        #expect(decode(Array(Self.good.prefix(17)), limit: size) == .needMore(minimum: size))
        #expect(decode(Self.good, limit: size) == decode(Self.good))
    }

    @Test("No limit of ours is above message-channel's")
    func limitIsCapped() {
        let header = bytes(hex: "710000000000000001030000c807d00000")
        #expect(decode(header, limit: .max) == .malformed(.tooLarge))
    }

    @Test("The limit is 10 MiB unless told otherwise")
    func defaultLimit() {
        #expect(FrameLayout.defaultLimit == 10_485_760)
        // 10,485,760 - 17 = 0x9FFFEF
        let largest = bytes(hex: "710000000000000001030000c8009fffef")
        let larger = bytes(hex: "710000000000000001030000c8009ffff0")
        #expect(largest.withUnsafeBytes { FrameDecoder.decode($0) } == .needMore(minimum: 10_485_760))
        #expect(larger.withUnsafeBytes { FrameDecoder.decode($0) } == .malformed(.tooLarge))
    }

    @Test("A body of 1 to 4 bytes is refused", arguments: 1...4)
    func shortBodies(_ length: Int) {
        #expect(decode(frame(body: [UInt8](repeating: 1, count: length))) == .malformed(.bodyTooShort))
    }

    @Test(
        "A length that does not fit, or is negative, is refused",
        arguments: [
            ([0, 0, 0, 12], 18, FrameFault.valueLength), ([0x80, 0, 0, 0], 18, .valueLength),
            ([0xFF, 0xFF, 0xFF, 0xFF], 18, .valueLength),
            ([0, 0, 0, 0], 18, .emptyValue),
            ([0, 0, 0, 7], 23, .nameLength), ([0x80, 0, 0, 1], 23, .nameLength), ([0xFF, 0xFF, 0xFF, 0xFF], 23, .nameLength),
            ([0, 0, 0, 2], 28, .keyLength), ([0x80, 0, 0, 0], 28, .keyLength), ([0xFF, 0xFF, 0xFF, 0xFF], 28, .keyLength),
        ] as [([UInt8], Int, FrameFault)])
    func lengths(_ replacement: [UInt8], _ offset: Int, _ fault: FrameFault) {
        #expect(decode(spoiled(replacement, at: offset)) == .malformed(fault))
    }

    @Test("One to three bytes where a length should be are refused", arguments: 1...3)
    func cutLengths(_ count: Int) {
        let cut = [UInt8](repeating: 0, count: count)
        #expect(decode(frame(body: [1, 0, 0, 0, 1, 0x76] + cut)) == .malformed(.nameLength))
        #expect(decode(frame(body: [1, 0, 0, 0, 1, 0x76, 0, 0, 0, 1, 0x6E] + cut)) == .malformed(.keyLength))
        #expect(decode(frame(body: [1, 0, 0, 0, 1, 0x76, 0, 0, 0, 0] + cut)) == .malformed(.keyLength))
    }

    @Test("The key after a name of length 0 is skipped, whatever its length says")
    func skippedKey() {
        let input = frame(body: [1, 0, 0, 0, 1, 0x76, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
        #expect(decodedFrame(input).map { [$0.name, $0.key] } == [nil, nil])
    }

    @Test("Nothing after the text of an error frame is looked at")
    func errorFrameRest() {
        let input = frame(body: [2, 0, 0, 0, 1, 0x61, 0xFF, 0xFF], status: 500)
        #expect(decodedFrame(input)?.text == "a")
    }

    @Test("A compressed error frame reads as an uncompressed one")
    func errorFrameCompression() {
        var input = frame(body: [1, 0, 0, 0, 1, 0x61], status: 500)
        input[10] = 1
        #expect(decodedFrame(input)?.compression == PayloadCompression.none)
    }

    @Test("CR and LF in the text of an error frame are refused, anywhere in it", arguments: [UInt8(0x0A), 0x0D])
    func errorTextLineBreaks(_ lineBreak: UInt8) {
        for place in 0..<3 {
            var text: [UInt8] = [0x61, 0x62, 0x63]
            text[place] = lineBreak
            #expect(decode(frame(body: [1, 0, 0, 0, 3] + text, status: 500)) == .malformed(.errorText))
            #expect(decodedFrame(frame(body: [1, 0, 0, 0, 3] + text))?.value == text, "fine in a message")
        }
    }

    @Test("Every fault has a code of the list, and says what is wrong and what would be right")
    func faultsExplainThemselves() {
        for fault in FrameFault.allCases {
            let error = fault.error(at: "10.0.0.1:5000")
            #expect(error.code == (fault == .tooLarge ? .frameTooLarge : .frameMalformed))
            #expect(!error.message.isEmpty && error.help?.isEmpty == false && error.location == "10.0.0.1:5000")
        }
        #expect(Set(FrameFault.allCases.map { $0.error().message }).count == FrameFault.allCases.count)
    }
}
