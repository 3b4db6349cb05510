import ExchangeCodec
import MQTTCodec
import ShuntCore

/// Names a request in its client's protocol, so that it can be answered.
public enum Receipt: Equatable, Sendable {
    case exchange(id: Int64)
    /// A PUBLISH of QoS 1 or 2, by the type of its answer and its packet identifier.
    case mqtt(PacketType, UInt16)
    /// A filter of a SUBSCRIBE that takes longer: by the number of that SUBSCRIBE, and the filter's place in it.
    case filter(UInt32, place: UInt16)
    /// Nobody waits for an answer.
    case none

    /// Bytes of the acknowledgement.
    @inlinable @inline(__always)
    public var size: Int {
        switch self {
        case .exchange: FrameEncoder.acknowledgementSize
        case .mqtt: PublishAnswer.shortSize
        case .filter, .none: 0
        }
    }

    /// Writes the acknowledgement.
    /// - Parameter place: has room for `size` bytes.
    @inlinable @inline(__always)
    public func write(to place: UnsafeMutableRawPointer) {
        switch self {
        case .exchange(let id): FrameEncoder.writeAcknowledgement(id: id, to: place)
        case .mqtt(let type, let identifier): PublishAnswer.write(type, identifier, to: place)
        case .filter, .none: break
        }
    }
}

extension Receipt {
    /// Whether it answers a message of QoS 2.
    var isExactlyOnce: Bool {
        if case .mqtt(.publishReceived, _) = self { true } else { false }
    }

    /// The id of the frame that it answers; nil of another protocol's.
    var frameID: Int64? {
        if case .exchange(let id) = self { id } else { nil }
    }
}
