import ShuntCore
import Testing

@testable import PayloadCompression

@Suite("Compression, §5: what others write is read, and what is written is what others write")
struct InteroperationTests {
    struct Foreign: Sendable, CustomTestStringConvertible {
        var name: String
        var compression: PayloadCompression
        var hex: String
        var text: String
        var testDescription: String { name }

        init(_ name: String, _ compression: PayloadCompression, _ hex: String, _ text: String = "hello hello hello") {
            self.name = name
            self.compression = compression
            self.hex = hex
            self.text = text
        }
    }

    @Test("The packed values of §19.1 are read", arguments: packings)
    func readsNative(_ compression: PayloadCompression) throws {
        #expect(try unpack(#require(native[compression]), compression) == hello)
    }

    // Libsnappy finds other matches than Java's encoder does.
    @Test("The gzip and LZ4 values of §19.1 are written to the byte", arguments: [PayloadCompression.gzip, .lz4])
    func writesNative(_ compression: PayloadCompression) throws {
        #expect(try pack(hello, compression) == native[compression])
    }

    // Made by Python 3.11's gzip and zlib, python-lz4 and cramjam.
    @Test(
        "What other programs pack is read",
        arguments: [
            Foreign("gzip, Python", .gzip, "1f8b0800000000000203cb48cdc9c957c84090008088f9e511000000"),
            Foreign(
                "gzip with a file name and a time", .gzip,
                "1f8b0808009b445c02ff6e6f7465732e74787400cb48cdc9c957c84090008088f9e511000000"),
            Foreign(
                "gzip with extra field, comment, header checksum, stored block", .gzip,
                "1f8b08160000000000030400616263646e6f7465007587011100eeff68656c6c6f2068656c6c6f2068656c6c6f8088f9e511000000"),
            Foreign(
                "gzip, two members", .gzip,
                "1f8b0800000000000203cb48cdc9c9570000f6f981ed060000001f8b0800000000000203cb48cdc9c957c800910040a62d010b000000"),
            Foreign("gzip of nothing", .gzip, "1f8b080000000000020303000000000000000000", ""),
            Foreign(
                "LZ4 with a content size", .lz4, "04224d1868401100000000000000e81100008068656c6c6f2068656c6c6f2068656c6c6f00000000"),
            Foreign(
                "LZ4 with block checksums and a compressed block", .lz4,
                "04224d187c404400000000000000a6190000006768656c6c6f200600070b000217000f11000a5068656c6c6f295b43a30000000017cd76a0",
                String(repeating: "hello hello hello", count: 4)),
            Foreign(
                "LZ4, independent compressed block, no checksum", .lz4,
                "04224d18604082100000006f68656c6c6f200600d250656c6c6f2000000000", String(repeating: "hello ", count: 40)),
            Foreign(
                "LZ4, two frames", .lz4,
                "04224d1868400600000000000000590600008068656c6c6f2000000000"
                    + "04224d1868400b00000000000000580b00008068656c6c6f2068656c6c6f00000000"),
            Foreign(
                "LZ4 after a skippable frame", .lz4,
                "502a4d180300000061626304224d186040821100008068656c6c6f2068656c6c6f2068656c6c6f00000000"),
            Foreign(
                "Snappy with an uncompressed chunk", .snappy,
                "ff060000734e6150705901150000ab04b51d68656c6c6f2068656c6c6f2068656c6c6f"),
            Foreign(
                "Snappy with long copies", .snappy,
                "ff060000734e61507059001900009c516ba4f0011468656c6c6f20fe0600fe0600fe0600a60600",
                String(repeating: "hello ", count: 40)),
        ])
    func readsForeign(_ foreign: Foreign) throws {
        #expect(try String(decoding: unpack(bytes(hex: foreign.hex), foreign.compression), as: UTF8.self) == foreign.text)
    }

    @Test("Two streams one after the other are read as one", arguments: packings)
    func concatenation(_ compression: PayloadCompression) throws {
        let stream = try #require(native[compression])
        #expect(try unpack(stream + stream + stream, compression) == hello + hello + hello)
    }

    // Java's encoder begins a value above 64 KiB with an empty chunk, and its readers take that for the end (Q32).
    @Test("An empty Snappy chunk is read, and none is ever written")
    func emptySnappyChunks() throws {
        let stream = try #require(native[.snappy])
        let empty = bytes(hex: "00050000d8ea82a200")
        #expect(try unpack(stream.prefix(10) + empty + stream.dropFirst(10), .snappy) == hello)
        let packed = try pack([UInt8](repeating: 7, count: 70_000), .snappy)
        #expect(!packed.dropFirst(10).starts(with: empty))
    }

    @Test("Snappy padding, skippable chunks and repeated identifiers are passed over")
    func skippableSnappyChunks() throws {
        let stream = try #require(native[.snappy])
        let padding = bytes(hex: "fe030000000000"), later = bytes(hex: "8001000042")
        #expect(try unpack(stream + padding + later + stream.prefix(10) + later, .snappy) == hello)
    }

    @Test("Any length is read back as it was written", arguments: packings)
    func roundTrips(_ compression: PayloadCompression) throws {
        var state: UInt32 = 1
        for length in [0, 1, 2, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 200_000] {
            let repetitive = [UInt8](repeating: 0x61, count: length)
            let noise = (0..<length).map { _ -> UInt8 in
                state = state &* 1_664_525 &+ 1_013_904_223
                return UInt8(state >> 24)
            }
            #expect(try unpack(pack(repetitive, compression), compression) == repetitive)
            #expect(try unpack(pack(noise, compression), compression) == noise)
        }
    }

    @Test("A value of several LZ4 blocks is read")
    func severalLZ4Blocks() throws {
        let plain = [UInt8](repeating: 0x61, count: 9 << 20)
        #expect(try unpack(pack(plain, .lz4), .lz4, limit: 16 << 20) == plain)
    }

    @Test("What is not packed is copied")
    func uncompressed() throws {
        #expect(try unpack(hello, .none) == hello)
        #expect(try pack(hello, .none) == hello)
    }

    @Test("The checksum is CRC-32C, masked")
    func checksum() {
        Array("123456789".utf8).withUnsafeBytes { #expect(CRC32C.checksum($0) == 0xE306_9283) }
        hello.withUnsafeBytes { #expect(CRC32C.masked($0) == 0x1DB5_04AB) }
    }
}
