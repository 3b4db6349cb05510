import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("Decoder, §19.2: what message-channel's own decoder makes of unusual input")
struct DecoderVectorTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var name: String
        var hex: String
        var outcome: Outcome
        var testDescription: String { name }
    }

    enum Outcome: Equatable, Sendable {
        case message(String, name: String?, key: String?)
        case error(Int16, String)
        case close(FrameFault)
        case waits(Int)
    }

    static let vectors: [Vector] = [
        Vector(
            name: "name length 0, then a key", hex: "710000000000000001030000c80000000f01000000017600000000000000016b",
            outcome: .message("v", name: nil, key: nil)),
        Vector(
            name: "name, key length 0", hex: "710000000000000001030000c80000000f010000000176000000016e00000000",
            outcome: .message("v", name: "n", key: "")),
        Vector(
            name: "value length 0, no name", hex: "710000000000000001030000c8000000050100000000", outcome: .close(.emptyValue)),
        Vector(
            name: "value length 0, name", hex: "710000000000000001030000c80000000a0100000000000000016e",
            outcome: .close(.emptyValue)),
        Vector(
            name: "bytes after the key", hex: "710000000000000001030000c800000012010000000176000000016e000000016bffff",
            outcome: .message("v", name: "n", key: "k")),
        Vector(name: "format 0", hex: "710000000000000001030000c800000006000000000176", outcome: .close(.format)),
        Vector(name: "format 3", hex: "710000000000000001030000c800000006030000000176", outcome: .close(.format)),
        Vector(name: "format 9", hex: "710000000000000001030000c800000006090000000176", outcome: .close(.format)),
        Vector(name: "compress 7", hex: "710000000000000001030700c800000000", outcome: .close(.compression)),
        Vector(name: "type 11", hex: "7100000000000000010b0000c800000000", outcome: .close(.type)),
        Vector(
            name: "status 600, no body", hex: "7100000000000000010300025800000000",
            outcome: .error(600, "Unknown Status (600)")),
        Vector(name: "status -1", hex: "7100000000000000010300ffff00000000", outcome: .close(.status)),
        Vector(
            name: "status 500, no body", hex: "710000000000000001030001f400000000",
            outcome: .error(500, "Internal Server Error")),
        Vector(name: "status 500, text", hex: "710000000000000001030001f400000006010000000161", outcome: .error(500, "a")),
        Vector(
            name: "status 500, text with a line break", hex: "710000000000000001030001f4000000070100000002610a",
            outcome: .close(.errorText)),
        Vector(
            name: "status 500, JSON, name", hex: "710000000000000001030001f40000000b020000000161000000016e",
            outcome: .error(500, "a")),
        Vector(name: "status 201, text", hex: "710000000000000001030000c900000006010000000161", outcome: .error(201, "a")),
        Vector(
            name: "status 500, value length 0", hex: "710000000000000001030001f4000000050100000000",
            outcome: .close(.emptyValue)),
        Vector(
            name: "status 500, format 9", hex: "710000000000000001030001f400000006090000000161", outcome: .close(.format)),
        Vector(
            name: "value length beyond the body", hex: "710000000000000001030000c800000006010000000976",
            outcome: .close(.valueLength)),
        Vector(
            name: "name length beyond the body", hex: "710000000000000001030000c80000000b010000000176000000096e",
            outcome: .close(.nameLength)),
        Vector(
            name: "negative value length", hex: "710000000000000001030000c80000000601ffffffff76",
            outcome: .close(.valueLength)),
        Vector(
            name: "negative name length", hex: "710000000000000001030000c80000000b010000000176ffffffff6e",
            outcome: .close(.nameLength)),
        Vector(name: "body length negative", hex: "710000000000000001030000c8ffffffff", outcome: .close(.tooLarge)),
        Vector(name: "body of 1 byte", hex: "710000000000000001030000c80000000101", outcome: .close(.bodyTooShort)),
        Vector(name: "body length above the largest", hex: "710000000000000001030000c807d00000", outcome: .close(.tooLarge)),
        Vector(name: "the largest body length", hex: "710000000000000001030000c807cfffef", outcome: .waits(131_072_000)),
        Vector(name: "magic 0x70", hex: "700000000000000001030000c800000000", outcome: .close(.magic)),
        Vector(
            name: "magic 0x70, body announced, not sent", hex: "700000000000000001030000c800000005", outcome: .waits(22)),
        Vector(
            name: "name that is not UTF-8", hex: "710000000000000001030000c80000000b01000000017600000001ff",
            outcome: .message("v", name: "\u{FFFD}", key: nil)),
    ]

    @Test("Every input of the list is decided as message-channel decides it", arguments: vectors)
    func decides(_ vector: Vector) {
        #expect(outcome(bytes(hex: vector.hex)) == vector.outcome)
    }

    private func outcome(_ input: [UInt8]) -> Outcome {
        input.withUnsafeBytes { buffer in
            switch FrameDecoder.decode(buffer, limit: FrameLayout.maximumSize) {
            case .needMore(let minimum): return .waits(minimum)
            case .malformed(let fault): return .close(fault)
            case .frame(let view):
                guard let base = buffer.baseAddress else { return .waits(0) }
                let frame = Frame(view, in: base)
                #expect(frame.id == 1 && frame.type == .message && Int(view.size) == input.count && frame.format != .json)
                return frame.isError
                    ? .error(frame.status, frame.text) : .message(frame.text, name: frame.name, key: frame.key)
            }
        }
    }
}
