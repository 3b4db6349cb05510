import ShuntCore

/// A frame that owns its parts: for clients, control traffic and tests. The message path uses `FrameView`.
public struct Frame: Equatable, Sendable {
    public var id: Int64
    public var type: FrameType
    public var status: Int16
    public var compression: PayloadCompression
    /// `none` in a frame without a body.
    public var format: PayloadFormat
    /// Empty in a frame without a body.
    public var value: [UInt8]
    public var name: String?
    public var key: String?

    public init(
        _ type: FrameType, id: Int64, compression: PayloadCompression = .none, format: PayloadFormat = .text,
        value: [UInt8] = [], name: String? = nil, key: String? = nil
    ) {
        self.id = id
        self.type = type
        self.status = FrameStatus.ok
        self.compression = compression
        self.format = value.isEmpty ? .none : format
        self.value = value
        self.name = name
        self.key = key
    }

    /// A frame whose value is a text.
    public init(_ type: FrameType, id: Int64, text: String, name: String? = nil, key: String? = nil) {
        self.init(type, id: id, value: Array(text.utf8), name: name, key: key)
    }

    /// A frame whose value is a JSON text.
    public init(_ type: FrameType, id: Int64, json: String, name: String? = nil, key: String? = nil) {
        self.init(type, id: id, format: .json, value: Array(json.utf8), name: name, key: key)
    }

    /// An acknowledgement: 200 with an answer, or an error with its text.
    public init(acknowledging id: Int64, status: Int16 = FrameStatus.ok, text: String = "") {
        self.init(.acknowledgement, id: id, text: text)
        self.status = status
    }

    /// Copies a decoded frame. Names that are not UTF-8 are repaired with U+FFFD (§3).
    /// - Parameter frame: the address of the frame's first byte.
    public init(_ view: FrameView, in frame: UnsafeRawPointer) {
        id = view.id
        type = view.type
        status = view.status
        compression = view.compression
        format = view.format
        value = view.value(in: frame).map { [UInt8]($0) } ?? []
        name = view.name(in: frame).map { String(decoding: $0, as: UTF8.self) }
        key = view.key(in: frame).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether this is an error frame (§4.5).
    public var isError: Bool { status != FrameStatus.ok }

    /// The value as text; of an error frame without text the status's phrase.
    public var text: String {
        isError && value.isEmpty ? FrameStatus.phrase(status) : String(decoding: value, as: UTF8.self)
    }

    /// The frame's bytes, written by the rules of `FrameEncoder`.
    public func encoded() -> [UInt8] {
        let name = self.name.map { Array($0.utf8) }
        let key = self.key.map { Array($0.utf8) }
        return value.withUnsafeBytes { value in
            (name ?? []).withUnsafeBytes { nameBytes in
                (key ?? []).withUnsafeBytes { keyBytes in
                    var fields = FrameFields(
                        type, id: id, compression: compression, format: format, value: value,
                        name: name == nil ? nil : nameBytes, key: key == nil ? nil : keyBytes)
                    fields.status = status
                    return fields.encoded()
                }
            }
        }
    }
}

extension FrameFields {
    /// The frame's bytes, in an array of their own.
    public func encoded() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: FrameEncoder.size(of: self)) { buffer, count in
            // An array with room for at least the 17 bytes of a header has an address.
            guard let frame = buffer.baseAddress else { return }
            count = FrameEncoder.write(self, to: UnsafeMutableRawPointer(frame))
        }
    }
}
