import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("Encoder, §19.1: what message-channel's own encoder writes")
struct EncoderVectorTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var name: String
        var frame: Frame
        var hex: String
        var testDescription: String { name }
    }

    static let vectors: [Vector] = [
        Vector(name: "PING", frame: Frame(.ping, id: 1), hex: "710000000000000001000000c800000000"),
        Vector(
            name: "ACK 200", frame: Frame(acknowledging: 0x0102_0304_0506_0708),
            hex: "7101020304050607080d0000c800000000"),
        Vector(
            name: "ACK 400", frame: Frame(acknowledging: 2, status: 400, text: FrameStatus.phrase(400)),
            hex: "7100000000000000020d00019000000010010000000b4261642052657175657374"),
        Vector(
            name: "ACK 500 with a reason of its own",
            frame: Frame(acknowledging: 3, status: 500, text: ErrorCode.workerNone.exchangeText ?? ""),
            hex: "7100000000000000030d0001f40000001501000000106e6f7420666f756e6420736572766572"),
        Vector(
            name: "ACK 307", frame: Frame(acknowledging: 4, status: 307, text: "127.0.0.1:4091"),
            hex: "7100000000000000040d00013300000013010000000e3132372e302e302e313a34303931"),
        Vector(
            name: "ACK 503", frame: Frame(acknowledging: 4, status: 503, text: FrameStatus.phrase(503)),
            hex: "7100000000000000040d0001f70000001801000000135365727669636520556e617661696c61626c65"),
        Vector(
            name: "ALLOCATION all", frame: Frame(.allocation, id: 5, text: "true"),
            hex: "710000000000000005060000c800000009010000000474727565"),
        Vector(name: "ALLOCATION one", frame: Frame(.allocation, id: 6), hex: "710000000000000006060000c800000000"),
        Vector(
            name: "ACK with a worker list", frame: Frame(acknowledging: 5, text: "127.0.0.1:4091,127.0.0.1:4092"),
            hex: "7100000000000000050d0000c800000022010000001d3132372e302e302e313a343039312c3132372e302e302e313a34303932"),
        Vector(
            name: "MESSAGE with topic and key",
            frame: Frame(.message, id: 9, text: "value_1", name: "ddx", key: "key_1"),
            hex: "710000000000000009030000c80000001c010000000776616c75655f3100000003646478000000056b65795f31"),
        Vector(
            name: "MESSAGE with a topic", frame: Frame(.message, id: 10, text: "v", name: "ddx"),
            hex: "71000000000000000a030000c80000000d01000000017600000003646478"),
        Vector(
            name: "MESSAGE with an empty key", frame: Frame(.message, id: 10, text: "v", name: "ddx", key: ""),
            hex: "71000000000000000a030000c80000000d01000000017600000003646478"),
        Vector(
            name: "MESSAGE without topic", frame: Frame(.message, id: 11, text: "v"),
            hex: "71000000000000000b030000c800000006010000000176"),
        Vector(
            name: "MESSAGE with an empty text", frame: Frame(.message, id: 13, text: "", name: "ddx", key: "k"),
            hex: "71000000000000000d030000c800000000"),
        Vector(
            name: "MESSAGE in JSON and UTF-8", frame: Frame(.message, id: 14, json: #"{"v":"你"}"#, name: "ddx", key: "k"),
            hex: "71000000000000000e030000c80000001c020000000b7b2276223a22e4bda0227d00000003646478000000016b"),
        Vector(
            name: "MESSAGE in gzip",
            frame: Frame(
                .message, id: 15, compression: .gzip,
                value: bytes(hex: "1f8b08000000000000ffcb48cdc9c957c84090008088f9e511000000"), name: "ddx", key: "k"),
            hex: "71000000000000000f030100c80000002d010000001c1f8b08000000000000ffcb48cdc9c957c84090008088f9e511000000"
                + "00000003646478000000016b"),
        Vector(
            name: "MESSAGE in LZ4",
            frame: Frame(
                .message, id: 16, compression: .lz4,
                value: bytes(hex: "04224d186470b91100008068656c6c6f2068656c6c6f2068656c6c6f00000000b1cd9b87"),
                name: "ddx", key: "k"),
            hex: "710000000000000010030200c8000000350100000024"
                + "04224d186470b91100008068656c6c6f2068656c6c6f2068656c6c6f00000000b1cd9b87" + "00000003646478000000016b"),
        Vector(
            name: "MESSAGE in Snappy",
            frame: Frame(
                .message, id: 17, compression: .snappy,
                value: bytes(hex: "ff060000734e61507059000e0000ab04b51d111468656c6c6f201d06"), name: "ddx", key: "k"),
            hex: "710000000000000011030300c80000002d010000001cff060000734e61507059000e0000ab04b51d111468656c6c6f201d06"
                + "00000003646478000000016b"),
        Vector(
            name: "CHAT create", frame: Frame(.chat, id: 18, text: "131415678", name: "131415678", key: "CREATE"),
            hex: "710000000000000012020000c8000000250100000009313331343135363738000000093133313431353637380000000643"
                + "5245415445"),
        Vector(
            name: "BALANCE 5", frame: Frame(.balance, id: 19, text: "5"),
            hex: "710000000000000013070000c800000006010000000135"),
    ]

    @Test("Every frame of the list has the bytes that message-channel gives it", arguments: vectors)
    func writesTheVector(_ vector: Vector) {
        #expect(hex(vector.frame.encoded()) == vector.hex)
    }

    @Test("The short way to write an acknowledgement gives the same 17 bytes")
    func writesTheShortAcknowledgement() {
        let written = [UInt8](unsafeUninitializedCapacity: FrameEncoder.acknowledgementSize) { buffer, count in
            if let start = buffer.baseAddress {
                FrameEncoder.writeAcknowledgement(id: 0x0102_0304_0506_0708, to: UnsafeMutableRawPointer(start))
                count = FrameEncoder.acknowledgementSize
            }
        }
        #expect(hex(written) == "7101020304050607080d0000c800000000")
    }

    // Message-channel announces 11 bytes of body here and writes 6, and the stream is out of step (§3, Q10).
    @Test("A key without a name is left out, and the body length says so")
    func leavesOutAKeyWithoutAName() {
        let frame = Frame(.message, id: 12, text: "v", key: "k")
        #expect(hex(frame.encoded()) == "71000000000000000c030000c800000006010000000176")
    }

    @Test("An empty name takes the key with it")
    func leavesOutAnEmptyName() {
        let frame = Frame(.message, id: 12, text: "v", name: "", key: "k")
        #expect(hex(frame.encoded()) == "71000000000000000c030000c800000006010000000176")
    }

    @Test("A format that Java peers can not read is written as text", arguments: [PayloadFormat.none, .image, .video])
    func writesOnlyTextAndJSON(_ format: PayloadFormat) {
        let frame = Frame(.message, id: 11, format: format, value: [0x76])
        #expect(hex(frame.encoded()) == "71000000000000000b030000c800000006010000000176")
    }

    @Test("Line breaks and other control characters in an error text become spaces")
    func sanitisesErrorTexts() {
        let frame = Frame(acknowledging: 1, status: 500, text: "a\r\nb\u{0}\tc\u{7F}é")
        #expect(decodedFrame(frame.encoded())?.text == "a  b  c é")
    }

    @Test("An error frame has neither name, key nor compression")
    func errorFramesAreBareText() {
        var frame = Frame(.acknowledgement, id: 1, compression: .gzip, format: .json, value: [0x61], name: "n", key: "k")
        frame.status = 500
        frame.format = .text
        #expect(hex(frame.encoded()) == "7100000000000000010d0001f400000006010000000161")
    }
}
