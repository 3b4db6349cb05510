import PayloadCompression
import ShuntCore

extension ReceivedMessage {
    /// The payload, unpacked if it came compressed (exchange protocol §5).
    /// - Parameter limit: the most bytes to unpack it to.
    /// - Throws: `limit.memory` beyond the limit, `frame.malformed` if the payload is cut off or broken.
    public func unpackedPayload(limit: Int = 64 << 20) throws(ShuntError) -> [UInt8] {
        guard compression != .none else { return payload }
        let packed = payload
        let result: Result<[UInt8], ShuntError> = packed.withUnsafeBytes { bytes in
            do throws(ShuntError) {
                return .success(try inflate(bytes, compression, limit: limit))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension ChatMessage {
    /// The payload, unpacked if it came compressed; see `ReceivedMessage.unpackedPayload`.
    public func unpackedPayload(limit: Int = 64 << 20) throws(ShuntError) -> [UInt8] {
        try ReceivedMessage(topic: "", payload: payload, compression: compression).unpackedPayload(limit: limit)
    }
}

extension OutgoingMessage {
    /// The same message with its payload compressed. Workers pass it on as it is, and unpack it for clients of MQTT; a message that is compressed
    /// already, or has no payload, stays as it is.
    /// - Parameter compression: Snappy and LZ4 are fast, gzip is small. Java clients read Snappy only up to 64 KiB.
    /// - Throws: `limit.memory` where the compressor gets no memory.
    public func packed(by compression: PayloadCompression) throws(ShuntError) -> OutgoingMessage {
        guard compression != .none, self.compression == .none, !payload.isEmpty else { return self }
        let plain = payload
        let result: Result<[UInt8], ShuntError> = plain.withUnsafeBytes { bytes in
            do throws(ShuntError) {
                return .success(try deflate(bytes, compression))
            } catch {
                return .failure(error)
            }
        }
        var packed = self
        packed.payload = try result.get()
        packed.compression = compression
        return packed
    }
}
