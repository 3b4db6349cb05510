import ShuntCore
import Testing

@testable import PayloadCompression

@Suite("Compression: bombs, cut and broken input")
struct HostileInputTests {
    @Test("A value at the limit is unpacked, one byte more is refused", arguments: packings + [.none])
    func limit(_ compression: PayloadCompression) throws {
        for length in [1, 17, 300, 65_536, 100_000] {
            let plain = [UInt8](repeating: 0x61, count: length)
            let packed = try pack(plain, compression)
            #expect(try unpack(packed, compression, limit: length) == plain)
            for limit in [length - 1, 0, -1] {
                let error = #expect(throws: ShuntError.self) { try unpack(packed, compression, limit: limit) }
                #expect(error?.code == .memoryLimit)
            }
        }
    }

    @Test("The largest limit that there is does no harm", arguments: packings)
    func largestLimit(_ compression: PayloadCompression) throws {
        #expect(try unpack(#require(native[compression]), compression, limit: .max) == hello)
    }

    @Test("Unpacking ends where the check says so, before much more is unpacked", arguments: packings)
    func check(_ compression: PayloadCompression) throws {
        let bomb = try pack([UInt8](repeating: 0, count: 8 << 20), compression)
        var pieces = 0
        let error = #expect(throws: ShuntError.self) {
            try bomb.withUnsafeBytes {
                try inflate($0, compression, limit: .max) { () throws(ShuntError) in
                    pieces += 1
                    if pieces == 3 { throw ShuntError(.ruleTime, "enough") }
                }
            }
        }
        #expect(error?.code == .ruleTime)
        #expect(pieces == 3)
        pieces = 0
        _ = try bomb.withUnsafeBytes { try inflate($0, compression, limit: .max) { pieces += 1 } }
        #expect(pieces >= (8 << 20) / 65_536)
    }

    @Test("A bomb is refused at the limit", arguments: packings)
    func bombs(_ compression: PayloadCompression) throws {
        let bomb = try pack([UInt8](repeating: 0, count: 32 << 20), compression)
        #expect(bomb.count < 2 << 20)
        let error = #expect(throws: ShuntError.self) { try unpack(bomb, compression, limit: 100_000) }
        #expect(error?.code == .memoryLimit)
    }

    @Test("A stream that is cut at any byte is refused", arguments: packings)
    func truncation(_ compression: PayloadCompression) throws {
        let stream = try #require(native[compression])
        for length in 0..<stream.count {
            // A Snappy stream may end after its identifier: nothing tells how many chunks there are to be.
            if compression == .snappy, length == 10 {
                #expect(try unpack(Array(stream.prefix(length)), compression) == [])
                continue
            }
            let error = #expect(throws: ShuntError.self) { try unpack(Array(stream.prefix(length)), compression) }
            #expect(error?.code == .frameMalformed, "cut at \(length)")
        }
    }

    @Test("A stream with a wrong bit is refused, or the bit did not matter", arguments: packings)
    func corruption(_ compression: PayloadCompression) throws {
        let stream = try #require(native[compression])
        var refused = 0
        for bit in 0..<stream.count * 8 {
            var broken = stream
            broken[bit / 8] ^= 1 << UInt8(bit % 8)
            do {
                let plain = try unpack(broken, compression)
                // Bit 7 of a Snappy chunk's type makes it one to be skipped.
                #expect(plain == hello || (compression == .snappy && bit == 87 && plain.isEmpty), "bit \(bit)")
            } catch let error as ShuntError {
                #expect(error.code == .frameMalformed, "bit \(bit)")
                refused += 1
            }
        }
        // What does not matter: gzip's time, extra flags, system and text flag (49 bits), and the last block's padding.
        #expect(refused >= stream.count * 8 - 56)
    }

    @Test("Bytes after the stream that are none are refused", arguments: packings)
    func trailingBytes(_ compression: PayloadCompression) throws {
        let stream = try #require(native[compression])
        #expect(throws: ShuntError.self) { try unpack(stream + [0x42], compression) }
        #expect(throws: ShuntError.self) { try unpack(stream + [UInt8](repeating: 0x42, count: 100), compression) }
    }

    @Test("A stream of another format is refused", arguments: packings)
    func otherFormats(_ compression: PayloadCompression) throws {
        for other in packings where other != compression {
            #expect(throws: ShuntError.self) { try unpack(#require(native[other]), compression) }
        }
        #expect(throws: ShuntError.self) { try unpack(hello, compression) }
        #expect(throws: ShuntError.self) { try unpack([], compression) }
    }

    @Test(
        "Snappy chunks that the format does not allow are refused",
        arguments: [
            ("02000000", "a type that may not be skipped"), ("7f000000", "the last of those"),
            ("00030000aabbcc", "no checksum"), ("01000000", "no checksum, uncompressed"),
            ("ff060000734e61507058", "another identifier"), ("ff00000000", "an empty identifier"),
            ("000800000000000080800400", "a plain length of 65,536 that is not there"),
            ("0008000000000000818004ff", "a plain length above 65,536"),
            ("000900000000000080808080" + "08", "a plain length of 2 GiB"),
            ("0104000000000000", "a wrong checksum of nothing"), ("00ffffff", "a length beyond the input"),
        ])
    func refusesChunks(_ chunk: String, _ what: String) {
        let error = #expect(throws: ShuntError.self, "\(what)") {
            try unpack(bytes(hex: "ff060000734e61507059" + chunk), .snappy)
        }
        #expect(error?.code == .frameMalformed)
    }

    @Test("An uncompressed Snappy chunk above 65,536 bytes is refused")
    func largeUncompressedChunk() {
        let plain = [UInt8](repeating: 0, count: 65_537)
        let checksum = plain.withUnsafeBytes { CRC32C.masked($0) }
        let length = plain.count + 4
        var stream = bytes(hex: "ff060000734e61507059") + [0x01]
        stream += [UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length >> 16)]
        withUnsafeBytes(of: checksum.littleEndian) { stream += $0 }
        #expect(throws: ShuntError.self) { try unpack(stream + plain, .snappy) }
    }
}
