import CZlib
import ShuntCore

/// RFC 1952, by zlib: any number of members one after the other.
enum Gzip {
    /// The largest window, and 16 for the gzip format alone.
    private static let windowBits: Int32 = 15 + 16

    static func inflate(_ bytes: Bytes, into output: inout InflatedBuffer) throws(ShuntError) {
        guard UInt32(exactly: bytes.count) != nil else { throw ShuntError.broken("gzip", "the value is too large") }
        var stream = z_stream()
        guard inflateInit2_(&stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw ShuntError.noMemory("gzip")
        }
        defer { inflateEnd(&stream) }
        // zlib's pointer is mutable by its type; it does not write to its input.
        stream.next_in = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
        stream.avail_in = UInt32(bytes.count)
        while true {
            let isAtEnd = try step(&stream, into: &output)
            if isAtEnd, stream.avail_in == 0 { return }
            if isAtEnd, inflateReset(&stream) != Z_OK { throw ShuntError.broken("gzip", "the stream can not be read") }
        }
    }

    /// - Returns: whether a member has ended.
    private static func step(_ stream: inout z_stream, into output: inout InflatedBuffer) throws(ShuntError) -> Bool {
        var result = Z_OK
        try output.withRoom { room in
            // Fresh room, which zlib alone writes, as bytes.
            stream.next_out = room.assumingMemoryBound(to: UInt8.self).baseAddress
            let size = UInt32(clamping: room.count)
            stream.avail_out = size
            result = CZlib.inflate(&stream, Z_NO_FLUSH)
            return Int(size - stream.avail_out)
        }
        switch result {
        case Z_STREAM_END: return true
        // Room is left and no input: the input has ended too early.
        case Z_OK where stream.avail_in == 0 && stream.avail_out > 0: throw ShuntError.broken("gzip", "the stream is cut off")
        case Z_OK: return false
        case Z_BUF_ERROR: throw ShuntError.broken("gzip", "the stream is cut off")
        case Z_MEM_ERROR: throw ShuntError.noMemory("gzip")
        default: throw ShuntError.broken("gzip", "the stream is broken")
        }
    }

    static func deflate(_ bytes: Bytes) throws(ShuntError) -> [UInt8] {
        var stream = z_stream()
        let result = deflateInit2_(
            &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        guard result == Z_OK else { throw ShuntError.noMemory("gzip") }
        defer { deflateEnd(&stream) }
        guard let size = UInt32(exactly: bytes.count), let room = UInt32(exactly: deflateBound(&stream, UInt(size)) + 18) else {
            throw ShuntError(.memoryLimit, "the value is too large to be packed")
        }
        return try run(&stream, bytes, size: size, room: room)
    }

    private static func run(_ stream: inout z_stream, _ bytes: Bytes, size: UInt32, room: UInt32) throws(ShuntError) -> [UInt8] {
        var header = gz_header()
        // "Unknown" operating system, as Java writes it.
        header.os = 255
        var result = Z_OK
        let packed = withUnsafeMutablePointer(to: &header) { header in
            deflateSetHeader(&stream, header)
            // Raw bytes, read as bytes; zlib's pointer is mutable by its type alone.
            stream.next_in = UnsafeMutablePointer(mutating: bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
            stream.avail_in = size
            return [UInt8](unsafeUninitializedCapacity: Int(room)) { buffer, count in
                stream.next_out = buffer.baseAddress
                stream.avail_out = room
                result = CZlib.deflate(&stream, Z_FINISH)
                count = Int(room - stream.avail_out)
            }
        }
        guard result == Z_STREAM_END else { throw ShuntError(.internalError, "zlib could not pack a value") }
        return packed
    }
}
