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
    // Up to the properties, the fields lie as in `shunt_message`, so that Lua's host reads what the router has written: `layout` tells where.

    /// Kind, format, compression, hops, whether there is a key, QoS, whether it is retained: a byte each, from the lowest on. They are written and
    /// read as one word: the processor waits where it is to read together what has just been written apart.
    @usableFromInline var word: UInt64
    /// The sender's frame id.
    public var id: Int64
    public var sender: ConnectionID
    @usableFromInline var topicBytes: Stored
    @usableFromInline var keyBytes: Stored
    @usableFromInline var payloadBytes: Stored
    /// How many messages rules may still make of it: `limits.fanout`, less the messages that rules have made of the client's message. A
    /// message that takes its place is not counted.
    public var room: Int
    /// The host's: the device filter of a broadcast.
    @usableFromInline var filterBytes = Stored(.none)
    /// Bytes of the messages that rules may still make of it.
    public var roomBytes = MessageView.madeBytes
    @usableFromInline var propertyBytes = Stored(.none)
    /// Seconds after which it is no longer delivered; `noExpiry`: never (MQTT 5.0).
    public var expiry = MessageView.noExpiry

    /// Bytes as C has them.
    @frozen @usableFromInline struct Stored {
        @usableFromInline var start: UnsafeRawPointer?
        @usableFromInline var count: Int

        @inlinable init(_ bytes: Bytes) { (start, count) = (bytes.baseAddress, bytes.count) }
        @inlinable var bytes: Bytes { Bytes(start: start, count: count) }
    }

    /// The topic, or the chat id. Empty where the frame had none.
    @inlinable public var topic: Bytes {
        get { topicBytes.bytes }
        set { topicBytes = Stored(newValue) }
    }
    /// The bytes of the wire: still compressed if `compression` says so.
    @inlinable public var payload: Bytes {
        get { payloadBytes.bytes }
        set { payloadBytes = Stored(newValue) }
    }

    /// Where the host's fields begin: word, id, sender, topic, key, payload, room, filter, room for bytes, properties.
    public static let layout = [
        \MessageView.word, \.id, \.sender, \.topicBytes, \.keyBytes, \.payloadBytes, \.room, \.filterBytes, \.roomBytes, \.propertyBytes,
    ].map { (path: PartialKeyPath<MessageView>) in MemoryLayout<MessageView>.offset(of: path) }

    /// Bytes of all messages that rules may make of one, over all hops.
    public static let madeBytes = 64 << 20
    /// A message that does not expire.
    public static let noExpiry = UInt32.max

    @usableFromInline enum Trait: UInt64 {
        case kind = 0
        case format = 8
        case compression = 16
        case hops = 24
        case hasKey = 32
        case qos = 40
        case isRetained = 48
    }

    @inlinable
    subscript(trait: Trait) -> UInt8 {
        get { UInt8(truncatingIfNeeded: word >> trait.rawValue) }
        set { word = word & ~(0xFF << trait.rawValue) | UInt64(newValue) << trait.rawValue }
    }

    @inlinable public var kind: MessageKind {
        get { MessageKind(rawValue: self[.kind]) ?? .topic }
        set { self[.kind] = newValue.rawValue }
    }
    /// How surely it is to be delivered, at most. A message of the exchange protocol counts as QoS 1 for clients of MQTT.
    @inlinable public var qos: QoS {
        get { QoS(rawValue: self[.qos]) ?? .atMostOnce }
        set { self[.qos] = newValue.rawValue }
    }
    /// The newest message of its topic is kept for clients that subscribe later (MQTT).
    @inlinable public var isRetained: Bool {
        get { self[.isRetained] != 0 }
        set { self[.isRetained] = newValue ? 1 : 0 }
    }
    @inlinable public var format: PayloadFormat {
        get { PayloadFormat(rawValue: self[.format]) ?? .none }
        set { self[.format] = newValue.rawValue }
    }
    @inlinable public var compression: PayloadCompression {
        get { PayloadCompression(rawValue: self[.compression]) ?? .none }
        set { self[.compression] = newValue.rawValue }
    }
    /// How many rules have already sent this message on to another topic.
    @inlinable public var hops: UInt8 {
        get { self[.hops] }
        set { self[.hops] = newValue }
    }
    /// The message key; nil where the frame had none.
    @inlinable public var key: Bytes? {
        get { self[.hasKey] != 0 ? keyBytes.bytes : nil }
        set { (keyBytes, self[.hasKey]) = (Stored(newValue ?? .none), newValue == nil ? 0 : 1) }
    }
    /// Sets the key of a message that has had none.
    @inlinable @inline(__always)
    public mutating func setKey(_ bytes: Bytes, isThere: Bool) {
        keyBytes = Stored(bytes)
        word |= (isThere ? 1 : 0) << Trait.hasKey.rawValue
    }

    /// The properties of MQTT 5.0 that are passed on with it, without their length and without a topic alias.
    @inlinable public var properties: Bytes {
        get { propertyBytes.bytes }
        set { propertyBytes = Stored(newValue) }
    }

    @inlinable
    public init(
        kind: MessageKind, topic: Bytes, key: Bytes?, payload: Bytes, format: PayloadFormat,
        compression: PayloadCompression = .none, id: Int64, hops: UInt8 = 0, sender: ConnectionID, room: Int = .max,
        qos: QoS = .atMostOnce
    ) {
        let first = UInt64(kind.rawValue) | UInt64(format.rawValue) << Trait.format.rawValue
        let second = UInt64(compression.rawValue) << Trait.compression.rawValue | UInt64(hops) << Trait.hops.rawValue
        word = first | second | (key == nil ? 0 : 1) << Trait.hasKey.rawValue | UInt64(qos.rawValue) << Trait.qos.rawValue
        topicBytes = Stored(topic)
        keyBytes = Stored(key ?? .none)
        payloadBytes = Stored(payload)
        self.id = id
        self.sender = sender
        self.room = room
    }
}

extension UnsafeMutablePointer<MessageView> {
    /// Writes a message here, a field at a time: an assignment of the whole would copy it once more.
    /// - Parameter room: takes the place of the message's own; nil: that stays.
    @inlinable @inline(__always)
    public func show(_ message: MessageView, room: Int? = nil) {
        (pointee.word, pointee.id, pointee.sender) = (message.word, message.id, message.sender)
        (pointee.topicBytes.start, pointee.topicBytes.count) = (message.topicBytes.start, message.topicBytes.count)
        (pointee.keyBytes.start, pointee.keyBytes.count) = (message.keyBytes.start, message.keyBytes.count)
        (pointee.payloadBytes.start, pointee.payloadBytes.count) = (message.payloadBytes.start, message.payloadBytes.count)
        (pointee.room, pointee.roomBytes) = (room ?? message.room, message.roomBytes)
        (pointee.filterBytes.start, pointee.filterBytes.count) = (message.filterBytes.start, message.filterBytes.count)
        (pointee.propertyBytes.start, pointee.propertyBytes.count) = (message.propertyBytes.start, message.propertyBytes.count)
    }
}

/// A pair of MQTT 5.0 that applications give a meaning to. Their order counts, and names may repeat.
public struct UserProperty: Equatable, Sendable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A text of a client, by its place in the client's record.
public enum PeerText: Int32, Sendable {
    case uid, device, protocolName, address
}

/// A connected client, as rules see it.
public struct Peer: Sendable, Equatable {
    /// What only clients of MQTT have.
    public struct MQTT: Sendable, Equatable {
        public var clientID: String
        /// `3.1`, `3.1.1` or `5.0`.
        public var version: String
        /// Seconds; 0: none.
        public var keepAlive: UInt16
        /// User properties of its CONNECT.
        public var properties: [UserProperty]
        public var will: Will?
        /// Its authentication method, where it has named one.
        public var authMethod: String?

        public init(clientID: String, version: String, keepAlive: UInt16, properties: [UserProperty] = [], will: Will? = nil) {
            self.clientID = clientID
            self.version = version
            self.keepAlive = keepAlive
            self.properties = properties
            self.will = will
        }
    }

    /// What is published when the client goes away without a word.
    public struct Will: Sendable, Equatable {
        public var topic: [UInt8]
        public var payload: [UInt8]
        public var qos: QoS
        public var isRetained: Bool
        /// Of MQTT 5.0, encoded, behind their length; empty where there are none.
        public var properties: [UInt8]
        /// Seconds.
        public var delay: UInt32

        public init(topic: [UInt8], payload: [UInt8], qos: QoS, isRetained: Bool, properties: [UInt8] = [], delay: UInt32 = 0) {
            self.topic = topic
            self.payload = payload
            self.qos = qos
            self.isRetained = isRetained
            self.properties = properties
            self.delay = delay
        }
    }

    public var id: ConnectionID
    public var uid: String
    public var device: String
    public var tags: [String]
    public var alias: [String]
    /// The protocol's name: `exchange` or `mqtt`.
    public var protocolName: String
    /// `ip:port` of the client.
    public var address: String
    public var groups: [String]
    /// Seconds since 1970.
    public var connectedAt: Double
    /// What a rule has said of it in `on_connect`: texts by name.
    public var attributes: [UserProperty] = []
    /// nil for clients of other protocols.
    public var mqtt: MQTT?
    /// Who it is by what its listener asks; nil where everything is allowed to it.
    public var access: Access?

    /// What the rights of a client depend on.
    public struct Access: Sendable, Equatable {
        /// Its listener's number.
        public var listener: Int
        public var address: PeerAddress
        public var admitted: Admitted

        public init(listener: Int, address: PeerAddress, admitted: Admitted) {
            self.listener = listener
            self.address = address
            self.admitted = admitted
        }
    }

    public init(
        id: ConnectionID, uid: String = "", device: String = "", tags: [String] = [], alias: [String] = [],
        protocolName: String, address: String, groups: [String] = [], connectedAt: Double,
        mqtt: MQTT? = nil, access: Access? = nil
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
        self.mqtt = mqtt
        self.access = access
    }

    /// What operators know it by: its client identifier, or the name of its device, which is all that the exchange protocol has.
    public var name: String { mqtt?.clientID ?? device }

    public subscript(_ text: PeerText) -> String {
        switch text {
        case .uid: uid
        case .device: device
        case .protocolName: protocolName
        case .address: address
        }
    }
}
