import ShuntCore

/// Unpacks a value as it came over the wire (exchange protocol §5).
/// - Parameters:
///   - bytes: the whole packed value.
///   - limit: the most bytes to unpack it to. Memory grows with what has been unpacked, not with what a header says.
///   - check: called between pieces of at most 64 KiB (LZ4: a block); its error ends the work.
/// - Throws: `limit.memory` beyond the limit, `frame.malformed` if the value is cut off or broken.
public func inflate(
    _ bytes: Bytes, _ compression: PayloadCompression, limit: Int, check: @escaping () throws(ShuntError) -> Void = {}
) throws(ShuntError) -> [UInt8] {
    var output = InflatedBuffer(limit: limit, packedSize: bytes.count, check: check)
    switch compression {
    case .none: try output.append(bytes)
    case .gzip: try Gzip.inflate(bytes, into: &output)
    case .lz4: try LZ4Frame.inflate(bytes, into: &output)
    case .snappy: try SnappyFraming.inflate(bytes, into: &output)
    }
    return output.finish()
}

/// Packs a value in the format that message-channel's clients write (§5). For clients and tests: servers relay values
/// as they are.
/// - Throws: `limit.memory` if the library has no memory.
public func deflate(_ bytes: Bytes, _ compression: PayloadCompression) throws(ShuntError) -> [UInt8] {
    switch compression {
    case .none: return [UInt8](bytes)
    case .gzip: return try Gzip.deflate(bytes)
    case .lz4: return try LZ4Frame.deflate(bytes)
    case .snappy: return try SnappyFraming.deflate(bytes)
    }
}

extension ShuntError {
    static func broken(_ format: String, _ message: String) -> ShuntError {
        ShuntError(.frameMalformed, message, at: "\(format) value", help: "the whole output of a \(format) compressor is wanted")
    }

    static func noMemory(_ format: String) -> ShuntError {
        ShuntError(.memoryLimit, "the \(format) library has no memory")
    }
}
