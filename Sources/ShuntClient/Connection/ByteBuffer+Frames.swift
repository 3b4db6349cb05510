import ExchangeCodec
import NIOCore

extension ByteBuffer {
    /// Appends a frame.
    mutating func writeFrame(_ fields: FrameFields) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: FrameEncoder.size(of: fields)) { room in
            // At least the 17 bytes of a header are asked for, so there is an address.
            guard let start = room.baseAddress else { return 0 }
            return FrameEncoder.write(fields, to: start)
        }
    }

    mutating func writeMessage(_ message: OutgoingMessage, id: Int64) {
        message.withFields(id: id) { writeFrame($0) }
    }
}
