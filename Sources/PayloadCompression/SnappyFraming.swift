import CSnappy
import ShuntCore

/// The Snappy framing format: chunks of a type byte, a 24-bit little-endian length and a body. The blocks inside are
/// libsnappy's.
enum SnappyFraming {
    private static let identifier: [UInt8] = [0xFF, 0x06, 0x00, 0x00, 0x73, 0x4E, 0x61, 0x50, 0x70, 0x59]
    /// The most plain bytes in a chunk.
    private static let chunkSize = 65_536

    static func inflate(_ bytes: Bytes, into output: inout InflatedBuffer) throws(ShuntError) {
        guard bytes.starts(with: identifier) else { throw ShuntError.broken("Snappy", "the stream identifier is missing") }
        var rest = Bytes(rebasing: bytes[identifier.count...])
        while rest.count > 0 {
            try output.check()
            guard rest.count >= 4 else { throw ShuntError.broken("Snappy", "the stream is cut off") }
            let length = Int(rest[1]) | Int(rest[2]) << 8 | Int(rest[3]) << 16
            guard rest.count - 4 >= length else { throw ShuntError.broken("Snappy", "the stream is cut off") }
            try inflateChunk(type: rest[0], Bytes(rebasing: rest[4..<4 + length]), into: &output)
            rest = Bytes(rebasing: rest[(4 + length)...])
        }
    }

    private static func inflateChunk(type: UInt8, _ body: Bytes, into output: inout InflatedBuffer) throws(ShuntError) {
        switch type {
        case 0x00:
            try inflateBlock(body, into: &output)
        case 0x01:
            let plain = try data(of: body)
            guard plain.count <= chunkSize else { throw ShuntError.broken("Snappy", "a chunk is too large") }
            try check(plain, against: body)
            try output.append(plain)
        case 0xFF:
            guard body.elementsEqual(identifier[4...]) else { throw ShuntError.broken("Snappy", "a stream identifier is wrong") }
        // Padding, and chunks of later versions that may be skipped.
        case 0x80...0xFE:
            return
        default:
            throw ShuntError.broken("Snappy", "a chunk has an unknown type")
        }
    }

    private static func inflateBlock(_ body: Bytes, into output: inout InflatedBuffer) throws(ShuntError) {
        let packed = try data(of: body)
        // Raw bytes, which libsnappy reads as C's characters.
        let start = packed.assumingMemoryBound(to: CChar.self).baseAddress
        var size = 0
        guard snappy_uncompressed_length(start, packed.count, &size) == SNAPPY_OK, size <= chunkSize else {
            throw ShuntError.broken("Snappy", "a chunk's length is wrong")
        }
        try output.checkRoom(for: size)
        var isIntact = false
        try output.withRoom(atLeast: max(size, 1)) { room in
            var written = room.count
            // Fresh room, which libsnappy alone writes.
            let target = room.assumingMemoryBound(to: CChar.self).baseAddress
            guard snappy_uncompress(start, packed.count, target, &written) == SNAPPY_OK else { return 0 }
            isIntact = storedChecksum(body) == CRC32C.masked(Bytes(rebasing: room[..<written]))
            return written
        }
        guard isIntact else { throw ShuntError.broken("Snappy", "a chunk is broken") }
    }

    /// A chunk's bytes after the checksum.
    private static func data(of body: Bytes) throws(ShuntError) -> Bytes {
        guard body.count >= 4 else { throw ShuntError.broken("Snappy", "a chunk has no checksum") }
        return Bytes(rebasing: body[4...])
    }

    private static func check(_ plain: Bytes, against body: Bytes) throws(ShuntError) {
        guard storedChecksum(body) == CRC32C.masked(plain) else { throw ShuntError.broken("Snappy", "a chunk is broken") }
    }

    private static func storedChecksum(_ body: Bytes) -> UInt32 {
        UInt32(littleEndian: body.loadUnaligned(as: UInt32.self))
    }

    /// Chunks of type 0 only, and never an empty one: Java's readers take that for the end (Q32).
    static func deflate(_ bytes: Bytes) throws(ShuntError) -> [UInt8] {
        var packed = identifier
        var offset = 0
        while offset < bytes.count {
            let plain = Bytes(rebasing: bytes[offset..<min(offset + chunkSize, bytes.count)])
            try append(plain, to: &packed)
            offset += plain.count
        }
        return packed
    }

    private static func append(_ plain: Bytes, to packed: inout [UInt8]) throws(ShuntError) {
        var isPacked = false
        let block = [UInt8](unsafeUninitializedCapacity: snappy_max_compressed_length(plain.count)) { buffer, count in
            count = buffer.count
            buffer.withMemoryRebound(to: CChar.self) { target in
                // Raw bytes, which libsnappy reads as C's characters.
                let start = plain.assumingMemoryBound(to: CChar.self).baseAddress
                isPacked = snappy_compress(start, plain.count, target.baseAddress, &count) == SNAPPY_OK
            }
        }
        guard isPacked else { throw ShuntError(.internalError, "libsnappy could not pack a value") }
        let length = block.count + 4
        packed += [0x00, UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length >> 16)]
        withUnsafeBytes(of: CRC32C.masked(plain).littleEndian) { packed += $0 }
        packed += block
    }
}
