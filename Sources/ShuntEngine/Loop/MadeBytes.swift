import ExchangeCodec
import ShuntCore

/// The frames that the engine makes during one event. Grows to the largest batch and is used again.
public struct MadeBytes {
    private var bytes: ContiguousArray<UInt8> = []
    /// What is kept between events; more is given back.
    private static let kept = 1 << 20

    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= Self.kept)
    }

    /// Appends a frame.
    mutating func append(_ fields: FrameFields) -> Stretch {
        let offset = bytes.count
        let size = FrameEncoder.size(of: fields)
        bytes.append(contentsOf: repeatElement(0, count: size))
        bytes.withUnsafeMutableBytes { buffer in
            if let start = buffer.baseAddress { FrameEncoder.write(fields, to: start + offset) }
        }
        return Stretch(.made, offset: offset, count: size)
    }

    /// Appends a frame that is encoded already.
    mutating func append(_ frame: [UInt8]) -> Stretch {
        bytes.append(contentsOf: frame)
        return Stretch(.made, offset: bytes.count - frame.count, count: frame.count)
    }

    public func withBytes<Result>(_ body: (Bytes) -> Result) -> Result { bytes.withUnsafeBytes(body) }
}
