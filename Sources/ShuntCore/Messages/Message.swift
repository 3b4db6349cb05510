/// The kind of a message.
public enum MessageKind: UInt8, Sendable, CaseIterable {
    case topic, broadcast, chat
}

/// The format of the payload, for applications. The raw values are the exchange protocol's (§4.3); only text and JSON may be sent.
public enum PayloadFormat: UInt8, Sendable, CaseIterable {
    case none = 0, text, json, image, video
}

/// The compression of the payload. The raw values are the exchange protocol's (§4.2).
public enum PayloadCompression: UInt8, Sendable, CaseIterable {
    case none = 0, gzip, lz4, snappy
}

/// Borrowed bytes: valid only during the call that they are passed to.
public typealias Bytes = UnsafeRawBufferPointer

extension Bytes {
    /// No bytes.
    @inlinable public static var none: Bytes { Bytes(start: nil, count: 0) }
}

/// A message while it is routed: borrowed bytes, valid during the call that it is passed to.
///
/// Nothing is copied out of the read buffer to make one.
public struct MessageView {
    public var kind: MessageKind
    /// How surely it is to be delivered, at most. A message of the exchange protocol counts as QoS 1 for clients of MQTT.
    public var qos: QoS
    /// The newest message of its topic is kept for clients that subscribe later (MQTT).
    public var isRetained = false
    public var format: PayloadFormat
    public var compression: PayloadCompression
    /// How many rules have already sent this message on to another topic.
    public var hops: UInt8
    /// The topic, or the chat id. Empty where the frame had none.
    public var topic: Bytes
    /// The message key; nil where the frame had none.
    public var key: Bytes?
    /// The bytes of the wire: still compressed if `compression` says so.
    public var payload: Bytes
    /// The sender's frame id.
    public var id: Int64
    public var sender: ConnectionID
    @usableFromInline var propertyStart: UnsafeRawPointer?
    @usableFromInline var propertyCount: UInt32 = 0
    /// Seconds after which it is no longer delivered; `noExpiry`: never (MQTT 5.0).
    public var expiry = MessageView.noExpiry
    /// How many messages rules may still make of it: `limits.fanout`, less the messages that rules have made of the client's message. A
    /// message that takes its place is not counted.
    public var room: UInt32
    /// Bytes of the messages that rules may still make of it.
    public var roomBytes = MessageView.madeBytes

    /// Bytes of all messages that rules may make of one, over all hops.
    public static let madeBytes: UInt32 = 64 << 20
    /// A message that does not expire.
    public static let noExpiry = UInt32.max

    /// The properties of MQTT 5.0 that are passed on with it, without their length and without a topic alias.
    @inlinable public var properties: Bytes {
        get { Bytes(start: propertyStart, count: Int(propertyCount)) }
        set { (propertyStart, propertyCount) = (newValue.baseAddress, UInt32(newValue.count)) }
    }

    @inlinable
    public init(
        kind: MessageKind, topic: Bytes, key: Bytes?, payload: Bytes, format: PayloadFormat,
        compression: PayloadCompression = .none, id: Int64, hops: UInt8 = 0, sender: ConnectionID, room: UInt32 = .max,
        qos: QoS = .atMostOnce
    ) {
        self.kind = kind
        self.topic = topic
        self.key = key
        self.payload = payload
        self.format = format
        self.compression = compression
        self.id = id
        self.hops = hops
        self.sender = sender
        self.room = room
        self.qos = qos
    }
}

/// A connected client, as rules see it.
public struct Peer: Sendable, Equatable {
    public var id: ConnectionID
    public var uid: String
    public var device: String
    public var tags: [String]
    public var alias: [String]
    /// The codec's name: `exchange`, later `mqtt`.
    public var protocolName: String
    /// `ip:port` of the client.
    public var address: String
    public var groups: [String]
    /// Seconds since 1970.
    public var connectedAt: Double

    public init(
        id: ConnectionID, uid: String = "", device: String = "", tags: [String] = [], alias: [String] = [],
        protocolName: String, address: String, groups: [String] = [], connectedAt: Double
    ) {
        self.id = id
        self.uid = uid
        self.device = device
        self.tags = tags
        self.alias = alias
        self.protocolName = protocolName
        self.address = address
        self.groups = groups
        self.connectedAt = connectedAt
    }
}
