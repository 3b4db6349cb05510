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
