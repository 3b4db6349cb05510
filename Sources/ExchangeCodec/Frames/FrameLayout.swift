import ShuntCore

/// The places of a frame's fields (§2, §3), and the largest frame.
public enum FrameLayout {
    /// The first byte of every frame.
    public static let magic: UInt8 = 0x71
    /// Bytes before the body: magic 1, id 8, type 1, compression 1, status 2, body length 4.
    public static let headerSize = 17
    public static let typeOffset = 9
    public static let lengthOffset = 13
    /// The offset of the value in a frame with a body: header, format 1, value length 4.
    public static let valueOffset = 22
    /// The largest frame, in total, that message-channel's own peers take: 125 MiB.
    public static let maximumSize = 131_072_000
    /// The largest frame, in total, that Shunt takes unless its configuration says otherwise: 10 MiB.
    public static let defaultLimit = 10 << 20
}

extension PayloadCompression {
    /// The compression of a code on the wire (§4.2); nil for an unassigned one.
    @inlinable
    static func decoding(_ code: UInt8) -> PayloadCompression? {
        switch code {
        case 0: PayloadCompression.none
        case 1: .gzip
        case 2: .lz4
        case 3: .snappy
        default: nil
        }
    }

    @inlinable
    var code: UInt8 {
        switch self {
        case .none: 0
        case .gzip: 1
        case .lz4: 2
        case .snappy: 3
        }
    }
}

extension UnsafeRawPointer {
    @inlinable @inline(__always)
    func bigEndian32(at offset: Int) -> UInt32 {
        UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inlinable @inline(__always)
    func bigEndian64(at offset: Int) -> UInt64 {
        UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}

extension UnsafeMutableRawPointer {
    @inlinable @inline(__always)
    func storeBigEndian(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    @inlinable @inline(__always)
    func storeBigEndian(_ value: UInt64, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }
}
