import ShuntCore

/// Writes frames into memory that the caller has: first `size`, then `write` of exactly so many bytes.
///
/// Only frames that message-channel's peers can read are written (§3, §4.5). The caller sees to it that the size
/// is within the receiver's limit (`FrameLayout.maximumSize` at the most).
public enum FrameEncoder {
    /// The size of an acknowledgement without text, in bytes.
    public static let acknowledgementSize = FrameLayout.headerSize

    /// Writes the acknowledgement 200 without text: 17 bytes.
    @inlinable @inline(__always)
    public static func writeAcknowledgement(id: Int64, to frame: UnsafeMutableRawPointer) {
        frame.storeBytes(of: FrameLayout.magic, as: UInt8.self)
        frame.storeBigEndian(UInt64(bitPattern: id), at: 1)
        // Type 13, compression 0, status 200, body length 0.
        frame.storeBigEndian(0x0D00_00C8_0000_0000 as UInt64, at: 9)
    }

    /// The frame's bytes, in total.
    @inlinable @inline(__always)
    public static func size(of fields: FrameFields) -> Int {
        guard fields.value.count > 0 else { return FrameLayout.headerSize }
        var size = FrameLayout.valueOffset + fields.value.count
        guard let name = fields.writtenName else { return size }
        size += 4 + name.count
        if let key = fields.writtenKey { size += 4 + key.count }
        return size
    }

    /// Writes a frame.
    /// - Parameter frame: room for `size(of:)` bytes.
    /// - Returns: the bytes written, `size(of:)`.
    @inlinable @discardableResult
    public static func write(_ fields: FrameFields, to frame: UnsafeMutableRawPointer) -> Int {
        write(fields, size: size(of: fields), to: frame)
    }

    /// The same if the size is known.
    @inlinable @inline(__always) @discardableResult
    public static func write(_ fields: FrameFields, size: Int, to frame: UnsafeMutableRawPointer) -> Int {
        writeHeader(fields, size: size, to: frame)
        guard fields.value.count > 0 else { return size }

        frame.storeBytes(of: fields.format == .json ? 2 : 1, toByteOffset: 17, as: UInt8.self)
        var offset = 18
        if fields.status == FrameStatus.ok {
            append(fields.value, to: frame, at: &offset)
        } else {
            appendErrorText(fields.value, to: frame, at: &offset)
        }
        if let name = fields.writtenName {
            append(name, to: frame, at: &offset)
            if let key = fields.writtenKey { append(key, to: frame, at: &offset) }
        }
        return offset
    }

    /// The bytes of a frame with a value, under another name. Not for error frames.
    @inlinable @inline(__always)
    public static func size(of frame: FrameView, renamed name: Bytes) -> Int {
        let key = frame.key.length == 0 ? 0 : 4 + Int(frame.key.length)
        return FrameLayout.valueOffset + Int(frame.value.length) + 4 + name.count + key
    }

    /// Writes a frame with a value under another name: all else is copied as it is.
    /// - Parameters:
    ///   - start: the frame's first byte.
    ///   - name: not empty.
    ///   - copy: room for `size(of:renamed:)` bytes.
    @inlinable
    public static func write(_ frame: FrameView, _ start: UnsafeRawPointer, renamed name: Bytes, to copy: UnsafeMutableRawPointer) {
        let value = FrameLayout.valueOffset + Int(frame.value.length)
        copy.copyMemory(from: start, byteCount: value)
        copy.storeBigEndian(UInt32(truncatingIfNeeded: size(of: frame, renamed: name) - FrameLayout.headerSize), at: 13)
        var offset = value
        append(name, to: copy, at: &offset)
        if frame.key.length > 0, let key = frame.key(in: start) { append(key, to: copy, at: &offset) }
    }

    @inlinable @inline(__always)
    static func writeHeader(_ fields: FrameFields, size: Int, to frame: UnsafeMutableRawPointer) {
        let codes =
            UInt32(fields.type.code) << 24 | UInt32(fields.writtenCompression.code) << 16
            | UInt32(UInt16(bitPattern: fields.status))
        frame.storeBytes(of: FrameLayout.magic, as: UInt8.self)
        frame.storeBigEndian(UInt64(bitPattern: fields.id), at: 1)
        frame.storeBigEndian(codes, at: 9)
        frame.storeBigEndian(UInt32(truncatingIfNeeded: size - FrameLayout.headerSize), at: 13)
    }

    @inlinable @inline(__always)
    static func append(_ part: Bytes, to frame: UnsafeMutableRawPointer, at offset: inout Int) {
        frame.storeBigEndian(UInt32(truncatingIfNeeded: part.count), at: offset)
        if let start = part.baseAddress { (frame + offset + 4).copyMemory(from: start, byteCount: part.count) }
        offset += 4 + part.count
    }

    /// A line break in an error text makes message-channel's clients drop the connection and all outstanding requests.
    @usableFromInline
    static func appendErrorText(_ text: Bytes, to frame: UnsafeMutableRawPointer, at offset: inout Int) {
        frame.storeBigEndian(UInt32(truncatingIfNeeded: text.count), at: offset)
        offset += 4
        for byte in text {
            let isControl = byte < 0x20 || byte == 0x7F
            frame.storeBytes(of: isControl ? UInt8(ascii: " ") : byte, toByteOffset: offset, as: UInt8.self)
            offset += 1
        }
    }
}

extension FrameFields {
    @inlinable
    var writtenName: Bytes? {
        guard status == FrameStatus.ok, let name, name.count > 0 else { return nil }
        return name
    }

    @inlinable
    var writtenKey: Bytes? {
        guard let key, key.count > 0 else { return nil }
        return key
    }

    /// An error frame is never compressed, and a format that can not be sent goes as text.
    @inlinable
    var writtenCompression: PayloadCompression { status == FrameStatus.ok ? compression : .none }
}
