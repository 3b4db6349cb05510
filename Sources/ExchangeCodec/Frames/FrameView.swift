import ShuntCore

/// A stretch of a frame: an offset from the frame's first byte, and a length, both in bytes.
///
/// Offset 0 is the magic byte, which belongs to no part, so it stands for "not there";
/// a part that is there and empty has an offset and length 0.
public struct FrameRange: Equatable, Sendable {
    public var offset: UInt32
    public var length: UInt32
    public static let absent = FrameRange(offset: 0, length: 0)

    @inlinable
    public init(offset: UInt32, length: UInt32) {
        self.offset = offset
        self.length = length
    }

    @inlinable public var isAbsent: Bool { offset == 0 }

    /// The bytes of this part; nil if the frame has none.
    /// - Parameter frame: the frame's first byte.
    @inlinable
    public func bytes(in frame: UnsafeRawPointer) -> Bytes? {
        isAbsent ? nil : bytesOrNone(in: frame)
    }

    /// The same, empty if the frame has none: no question is asked.
    @inlinable
    public func bytesOrNone(in frame: UnsafeRawPointer) -> Bytes { Bytes(start: frame + Int(offset), count: Int(length)) }
}

/// A decoded frame: the header's fields, and the places of the body's parts.
///
/// Copies nothing and points nowhere: its ranges count from the frame's first byte, so that a view outlives
/// a move of the buffer. The accessors take the address where the frame is now.
public struct FrameView: Equatable, Sendable {
    /// The requester's; an acknowledgement repeats it. Opaque, and not unique (§7).
    public var id: Int64
    /// The bytes to relay, as they came. Absent in a frame without a body.
    public var value: FrameRange
    /// Topic, chat id or `heartbeat`. Never there and empty (§6: a name of length 0 is no name).
    public var name: FrameRange
    /// Message key or chat key. Only there if there is a name; it may be empty.
    public var key: FrameRange
    /// The whole frame, in bytes.
    public var size: UInt32
    /// 200, or the number of an error; never negative.
    public var status: Int16
    public var type: FrameType
    /// The compression of the value alone (§5). An error frame has none.
    public var compression: PayloadCompression
    /// `text` or `json`; `text` in error frames, `none` in a frame without a body.
    public var format: PayloadFormat

    @inlinable
    public init(
        id: Int64, type: FrameType, status: Int16 = FrameStatus.ok, compression: PayloadCompression = .none,
        format: PayloadFormat = .none, value: FrameRange = .absent, name: FrameRange = .absent, key: FrameRange = .absent,
        size: UInt32
    ) {
        self.id = id
        self.value = value
        self.name = name
        self.key = key
        self.size = size
        self.status = status
        self.type = type
        self.compression = compression
        self.format = format
    }

    /// Whether this is an error frame (§4.5): any status but 200.
    @inlinable public var isError: Bool { status != FrameStatus.ok }
    @inlinable public var hasBody: Bool { !value.isAbsent }

    /// The value; nil without a body. In an error frame the text; nil if the status's phrase stands for it.
    /// - Parameter frame: the address of the frame's first byte.
    @inlinable public func value(in frame: UnsafeRawPointer) -> Bytes? { value.bytes(in: frame) }
    @inlinable public func name(in frame: UnsafeRawPointer) -> Bytes? { name.bytes(in: frame) }
    @inlinable public func key(in frame: UnsafeRawPointer) -> Bytes? { key.bytes(in: frame) }
    /// The bytes of the whole frame, to relay it.
    @inlinable public func bytes(in frame: UnsafeRawPointer) -> Bytes { Bytes(start: frame, count: Int(size)) }
}
