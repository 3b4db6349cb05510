import CLZ4
import ShuntCore

/// The LZ4 frame format, by liblz4: any number of frames one after the other.
enum LZ4Frame {
    static func inflate(_ bytes: Bytes, into output: inout InflatedBuffer) throws(ShuntError) {
        var context: OpaquePointer?
        guard LZ4F_isError(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))) == 0, let context else {
            throw ShuntError.noMemory("LZ4")
        }
        defer { LZ4F_freeDecompressionContext(context) }
        var rest = bytes[...]
        // The number of bytes that liblz4 still wants; 0 between frames.
        var wanted = 1
        while wanted != 0 || !rest.isEmpty {
            var read = rest.count
            var written = 0
            try output.withRoom { room in
                written = room.count
                wanted = LZ4F_decompress(context, room.baseAddress, &written, Bytes(rebasing: rest).baseAddress, &read, nil)
                return LZ4F_isError(wanted) == 0 ? written : 0
            }
            guard LZ4F_isError(wanted) == 0 else { throw ShuntError.broken("LZ4", "the stream is broken") }
            guard read > 0 || written > 0 || wanted == 0 else { throw ShuntError.broken("LZ4", "the stream is cut off") }
            rest = rest.dropFirst(read)
        }
    }

    static func deflate(_ bytes: Bytes) throws(ShuntError) -> [UInt8] {
        var context: OpaquePointer?
        guard LZ4F_isError(LZ4F_createCompressionContext(&context, UInt32(LZ4F_VERSION))) == 0, let context else {
            throw ShuntError.noMemory("LZ4")
        }
        defer { LZ4F_freeCompressionContext(context) }
        var preferences = javaPreferences
        // The bound is of the content and the end mark, without the header.
        let room = Int(LZ4F_HEADER_SIZE_MAX) + LZ4F_compressBound(bytes.count, &preferences)
        var failure = 0
        let packed = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            func add(_ result: Int) {
                if LZ4F_isError(result) != 0 { failure = result } else { count += result }
            }
            guard let start = buffer.baseAddress else { return }
            add(LZ4F_compressBegin(context, start, room, &preferences))
            if failure == 0, let input = bytes.baseAddress {
                add(LZ4F_compressUpdate(context, start + count, room - count, input, bytes.count, nil))
            }
            if failure == 0 { add(LZ4F_compressEnd(context, start + count, room - count, nil)) }
        }
        guard failure == 0 else { throw ShuntError(.internalError, "liblz4 could not pack a value") }
        return packed
    }

    /// Independent blocks of 4 MiB with a checksum of the content.
    private static var javaPreferences: LZ4F_preferences_t {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.blockSizeID = LZ4F_max4MB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
        preferences.autoFlush = 1
        return preferences
    }
}
