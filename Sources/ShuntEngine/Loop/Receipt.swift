import ExchangeCodec

/// Names a request in its client's protocol, so that it can be answered.
public enum Receipt: Equatable, Sendable {
    case exchange(id: Int64)

    /// Bytes of the acknowledgement.
    @inlinable @inline(__always)
    public var size: Int { FrameEncoder.acknowledgementSize }

    /// Writes the acknowledgement.
    /// - Parameter place: has room for `size` bytes.
    @inlinable @inline(__always)
    public func write(to place: UnsafeMutableRawPointer) {
        switch self {
        case .exchange(let id): FrameEncoder.writeAcknowledgement(id: id, to: place)
        }
    }
}

extension Receipt {
    /// The id of the frame that it answers; nil of another protocol's.
    var frameID: Int64? {
        switch self {
        case .exchange(let id): id
        }
    }
}
