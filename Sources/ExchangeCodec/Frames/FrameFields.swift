import ShuntCore

/// The fields of a frame to be written: borrowed bytes, valid during the call that they are passed to.
///
/// The encoder leaves out parts that the protocol cannot carry (§3): name and key if the value is empty, an empty name, an empty key, a key
/// without a name.
public struct FrameFields {
    public var id: Int64
    public var type: FrameType
    /// Anything but 200 makes an error frame: its value is a text, written without control characters.
    public var status: Int16
    public var compression: PayloadCompression
    /// JSON, or else text: no other format may be sent.
    public var format: PayloadFormat
    public var value: Bytes
    public var name: Bytes?
    public var key: Bytes?

    @inlinable
    public init(
        _ type: FrameType, id: Int64, compression: PayloadCompression = .none, format: PayloadFormat = .text,
        value: Bytes = Bytes(start: nil, count: 0), name: Bytes? = nil, key: Bytes? = nil
    ) {
        self.id = id
        self.type = type
        self.status = FrameStatus.ok
        self.compression = compression
        self.format = format
        self.value = value
        self.name = name
        self.key = key
    }

    /// An acknowledgement: 200 with an answer, or an error with its text (§4.5).
    /// An empty text makes a frame without a body; the receiver then reads the status's phrase.
    @inlinable
    public init(acknowledging id: Int64, status: Int16 = FrameStatus.ok, text: Bytes = Bytes(start: nil, count: 0)) {
        self.init(.acknowledgement, id: id, value: text)
        self.status = status
    }
}
