import ShuntCore

/// The meaning of a buffer's first bytes.
public enum DecodedFrame: Equatable, Sendable {
    /// A whole frame. The next one begins `size` bytes on.
    case frame(FrameView)
    /// Not whole yet: a frame of at least this many bytes in total, as far as is known (17, or the frame's size).
    case needMore(minimum: Int)
    /// Not a frame. Close the connection.
    case malformed(FrameFault)
}

/// Reads frames as message-channel reads them (§6): bytes that close a connection there are malformed here.
///
/// Stateless: the caller keeps a partial frame and asks again when more has come. Allocates and copies nothing.
public enum FrameDecoder {
    /// - Parameters:
    ///   - bytes: the bytes that have arrived, from a frame's first byte on; there may be more than one frame.
    ///   - limit: the largest frame to take, in total bytes; more than `FrameLayout.maximumSize` is never taken.
    /// - Returns: a length that breaks the limit is refused with the header. All other checks are made when the frame is whole, as in
    ///   message-channel.
    @inlinable @inline(__always)
    public static func decode(_ bytes: Bytes, limit: Int = FrameLayout.defaultLimit) -> DecodedFrame {
        guard let frame = bytes.baseAddress, bytes.count >= FrameLayout.headerSize else {
            return .needMore(minimum: FrameLayout.headerSize)
        }
        // A negative length reads as one of 2 GiB and more.
        let bodyLength = frame.bigEndian32(at: 13)
        let size = FrameLayout.headerSize + Int(bodyLength)
        guard size <= limit, size <= FrameLayout.maximumSize else { return .malformed(.tooLarge) }
        guard bytes.count >= size else { return .needMore(minimum: size) }

        let codes = frame.bigEndian32(at: 9)
        guard frame.load(as: UInt8.self) == FrameLayout.magic else { return .malformed(.magic) }
        guard let type = FrameType.decoding(UInt8(truncatingIfNeeded: codes >> 24)) else { return .malformed(.type) }
        guard let compression = PayloadCompression.decoding(UInt8(truncatingIfNeeded: codes >> 16)) else {
            return .malformed(.compression)
        }
        let status = Int16(truncatingIfNeeded: codes)
        guard status >= 0 else { return .malformed(.status) }
        var view = FrameView(
            id: Int64(bitPattern: frame.bigEndian64(at: 1)), type: type, status: status, compression: compression,
            size: UInt32(truncatingIfNeeded: size))

        if bodyLength > 0, let fault = readBody(of: frame, length: bodyLength, into: &view) { return .malformed(fault) }
        if status != FrameStatus.ok { view.compression = .none }
        return .frame(view)
    }

    /// Reads format, value, name and key. All of the body's bytes are there.
    @inlinable @inline(__always)
    static func readBody(of frame: UnsafeRawPointer, length: UInt32, into view: inout FrameView) -> FrameFault? {
        guard length >= 5 else { return .bodyTooShort }
        let format = frame.load(fromByteOffset: 17, as: UInt8.self)
        let valueLength = frame.bigEndian32(at: 18)
        guard valueLength != 0 else { return .emptyValue }
        // Negative lengths read as too large ones, here and below.
        guard valueLength <= length - 5 else { return .valueLength }
        let valueOffset = UInt32(truncatingIfNeeded: FrameLayout.valueOffset)
        view.value = FrameRange(offset: valueOffset, length: valueLength)

        guard view.status == FrameStatus.ok else { return readErrorText(of: frame, format: format, into: &view) }
        switch format {
        case 1: view.format = .text
        case 2: view.format = .json
        default: return .format
        }

        var rest = length - 5 - valueLength
        guard rest > 0 else { return nil }
        guard rest >= 4 else { return .nameLength }
        let nameStart = valueOffset + valueLength + 4
        let nameLength = frame.bigEndian32(at: Int(nameStart) - 4)
        rest -= 4
        guard nameLength <= rest else { return .nameLength }
        if nameLength > 0 { view.name = FrameRange(offset: nameStart, length: nameLength) }

        rest -= nameLength
        guard rest > 0 else { return nil }
        guard rest >= 4 else { return .keyLength }
        // Without a name the key is skipped, and its length is not checked.
        guard nameLength > 0 else { return nil }
        let keyStart = nameStart + nameLength + 4
        let keyLength = frame.bigEndian32(at: Int(keyStart) - 4)
        guard keyLength <= rest - 4 else { return .keyLength }
        view.key = FrameRange(offset: keyStart, length: keyLength)
        return nil
    }

    /// An error frame is its text: format, name and key are not looked at, but the format must be an assigned one.
    @usableFromInline
    static func readErrorText(of frame: UnsafeRawPointer, format: UInt8, into view: inout FrameView) -> FrameFault? {
        guard format <= 4 else { return .format }
        view.format = .text
        guard let text = view.value(in: frame) else { return nil }
        return text.contains { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") } ? .errorText : nil
    }
}
