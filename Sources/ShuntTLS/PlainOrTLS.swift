import ShuntCore
import ShuntReactor

/// Takes TLS and plain bytes on one port: the first byte of a client tells which it speaks.
public final class PlainOrTLS: Transport {
    /// The type of a handshake's record (RFC 8446 §5.1). No frame begins so.
    public static let handshakeRecord: UInt8 = 0x16

    public private(set) var phase = TransportPhase.opening("the first byte")
    /// Whether it was a record of TLS.
    public private(set) var isTLS = false
    private let context: () -> TLSContext

    /// - Parameter context: gives what a connection gets that speaks TLS.
    public init(_ context: @escaping () -> TLSContext) { self.context = context }

    public func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) -> TransportProgress {
        if let first = wire.first {
            isTLS = first == Self.handshakeRecord
            phase = .passed(next: isTLS ? TLSTransport(context()) : nil)
        }
        return TransportProgress(taken: 0, given: 0)
    }

    /// Nothing is written before it is known how.
    public func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) -> TransportProgress { TransportProgress(taken: 0, given: 0) }
}
