import ShuntCore

/// The properties of a PUBLISH (5.0 §3.3.2.3) as they came: checked, and the few that a server needs found, without making an object.
public struct PublishProperties {
    /// All of them, without their length.
    public let bytes: Bytes
    /// 0 where there is none.
    public private(set) var topicAlias: UInt16 = 0
    /// Seconds; `MessageView.noExpiry` where there is none.
    public private(set) var expiry = MessageView.noExpiry
    public private(set) var contentType: Bytes?
    /// Whether the payload is said to be UTF-8.
    public private(set) var isText = false
    /// The value of the first user property `key`: the message's key.
    public private(set) var key: Bytes?

    /// - Parameter encoded: the properties of a client's packet, behind their length; empty where there are none.
    public init(_ encoded: Bytes) throws(MQTTFault) {
        guard encoded.count > 1 else {
            bytes = .none
            return
        }
        var reader = PacketReader(encoded)
        bytes = try reader.part(try reader.variable("the property length"), "the properties")
        var part = PacketReader(bytes)
        var seen: UInt64 = 0
        var pairs = 0
        while !part.isAtEnd {
            let number = part.bytes[part.at]
            guard let id = PropertyID(rawValue: number) else {
                throw MQTTFault(.malformedPacket, "there is no property \(number)", "MQTT-2.2.2-2")
            }
            guard id.owners.contains(.publish), id != .subscriptionIdentifier else {
                throw MQTTFault(.protocolError, "a client's PUBLISH can't have property \(number)", "MQTT-3.3.4-6")
            }
            guard id == .userProperty || seen & 1 << UInt64(number) == 0 else {
                throw MQTTFault(.protocolError, "property \(number) comes twice")
            }
            seen |= 1 << UInt64(number)
            _ = try part.byte("a property")
            if id == .userProperty {
                pairs += 1
                guard pairs <= Properties.maximumUserProperties else {
                    throw MQTTFault(.quotaExceeded, "more than \(Properties.maximumUserProperties) user properties")
                }
            }
            try read(id, &part)
        }
    }

    private mutating func read(_ id: PropertyID, _ part: inout PacketReader) throws(MQTTFault) {
        switch id {
        case .payloadFormat:
            let format = try part.byte("the payload format")
            guard format <= 1 else { throw MQTTFault(.protocolError, "the payload format is \(format); 0 or 1") }
            isText = format == 1
        case .messageExpiry: expiry = try part.uint32("the message expiry")
        case .contentType: contentType = try part.text("the content type")
        case .responseTopic:
            let topic = try part.text("the response topic")
            guard !topic.isEmpty, TopicFilter.isTopic(topic) else {
                throw MQTTFault(.protocolError, "the response topic is empty or has a wildcard", "MQTT-3.3.2-14")
            }
        case .correlationData: _ = try part.binary("the correlation data")
        case .topicAlias:
            topicAlias = try part.uint16("the topic alias")
            guard topicAlias > 0 else { throw MQTTFault(.topicAliasInvalid, "topic alias 0", "MQTT-3.3.2-8") }
        default:
            let name = try part.text("a user property's name")
            let value = try part.text("a user property's value")
            if key == nil, name.elementsEqual("key".utf8) { key = value }
        }
    }

    // MARK: Writing them again

    /// What `rewrite` does with the properties of a message besides copying them.
    public struct Changes {
        /// Seconds that are left, where the message expires.
        public var expiry = MessageView.noExpiry
        /// 0 for none.
        public var topicAlias: UInt16 = 0
        public var subscriptionIdentifiers: [UInt32] = []
        /// The message's key, which stands in the user property `key`; nil for none. What is no text of MQTT's is left out.
        public var key: Bytes?
        /// Where the message has none, and came without properties.
        public var contentType: StaticString?

        public init() {}
    }

    /// Writes a message's properties behind their length, each in its place, with changes.
    /// - Parameter bytes: have passed a check: a client's, or what was written here.
    public static func rewrite(_ bytes: Bytes, _ changes: Changes) -> [UInt8] {
        var writer = PacketWriter()
        var hasKey = false
        let key = changes.key.flatMap { $0.count <= 65_535 && UTF8Text.isValid($0) ? $0 : nil }
        if bytes.isEmpty, let type = changes.contentType {
            writer.byte(PropertyID.payloadFormat.rawValue)
            writer.byte(1)
            writer.byte(PropertyID.contentType.rawValue)
            writer.binary(UnsafeBufferPointer(start: type.utf8Start, count: type.utf8CodeUnitCount))
        }
        forEach(in: bytes) { id, whole, name, value in
            switch id {
            case .topicAlias, .subscriptionIdentifier: break
            case .messageExpiry: if changes.expiry != MessageView.noExpiry { writer.expiry(changes.expiry) }
            case .userProperty where !hasKey && name.elementsEqual("key".utf8):
                hasKey = true
                if let key { writer.pair(key) }
            default: writer.append(whole)
            }
        }
        if let key, !hasKey { writer.pair(key) }
        if changes.topicAlias > 0 {
            writer.byte(PropertyID.topicAlias.rawValue)
            writer.uint16(changes.topicAlias)
        }
        for identifier in changes.subscriptionIdentifiers {
            writer.byte(PropertyID.subscriptionIdentifier.rawValue)
            writer.variable(Int(identifier))
        }
        var whole = PacketWriter()
        whole.variable(writer.body.count)
        whole.append(writer.body)
        return whole.body
    }

    /// Writes properties behind their length, with a topic alias.
    /// - Parameter bytes: have passed a check, and have none.
    public static func adding(alias: UInt16, to bytes: Bytes) -> [UInt8] {
        var writer = PacketWriter()
        writer.variable(bytes.count + 3)
        writer.append(bytes)
        writer.byte(PropertyID.topicAlias.rawValue)
        writer.uint16(alias)
        return writer.body
    }

    /// The topic alias of properties that have passed a check; 0 where they have none.
    public static func alias(in bytes: Bytes) -> UInt16 {
        var found: UInt16 = 0
        forEach(in: bytes) { id, whole, _, _ in
            if id == .topicAlias { found = UInt16(bigEndian: whole.loadUnaligned(fromByteOffset: 1, as: UInt16.self)) }
        }
        return found
    }

    /// The seconds after which a message expires, from properties that have passed a check.
    public static func expiry(in bytes: Bytes) -> UInt32 {
        var found = MessageView.noExpiry
        forEach(in: bytes) { id, whole, _, _ in
            if id == .messageExpiry { found = UInt32(bigEndian: whole.loadUnaligned(fromByteOffset: 1, as: UInt32.self)) }
        }
        return found
    }

    /// The value of the first user property of a name.
    public static func userProperty(_ name: String, in bytes: Bytes) -> Bytes? {
        var found: Bytes?
        forEach(in: bytes) { id, _, own, value in
            if id == .userProperty, found == nil, own.elementsEqual(name.utf8) { found = value }
        }
        return found
    }

    /// - Parameter body: gets the property, all of its bytes, and the two parts of a user property.
    private static func forEach(in bytes: Bytes, _ body: (PropertyID, Bytes, Bytes, Bytes) -> Void) {
        var at = 0
        while at < bytes.count, let id = PropertyID(rawValue: bytes[at]) {
            let start = at
            at += 1
            var (name, value) = (Bytes.none, Bytes.none)
            switch id {
            case .payloadFormat: at += 1
            case .messageExpiry: at += 4
            case .topicAlias: at += 2
            case .subscriptionIdentifier:
                while at < bytes.count, bytes[at] >= 0x80 { at += 1 }
                at += 1
            case .userProperty:
                name = text(in: bytes, &at)
                value = text(in: bytes, &at)
            default: _ = text(in: bytes, &at)
            }
            guard at <= bytes.count else { return }
            body(id, Bytes(rebasing: bytes[start..<at]), name, value)
        }
    }

    private static func text(in bytes: Bytes, _ at: inout Int) -> Bytes {
        guard at + 2 <= bytes.count else {
            at = bytes.count + 1
            return .none
        }
        let count = Int(bytes[at]) << 8 | Int(bytes[at + 1])
        let start = at + 2
        at = start + count
        return at <= bytes.count ? Bytes(rebasing: bytes[start..<at]) : .none
    }
}

extension PacketWriter {
    fileprivate mutating func expiry(_ seconds: UInt32) {
        byte(PropertyID.messageExpiry.rawValue)
        uint32(seconds)
    }

    /// The user property that has a message's key.
    fileprivate mutating func pair(_ key: Bytes) {
        byte(PropertyID.userProperty.rawValue)
        binary("key".utf8)
        binary(key)
    }
}

extension Bytes {
    /// The properties of a packet without their length.
    public var withoutPropertyLength: Bytes {
        var at = 0
        while at < count, self[at] >= 0x80 { at += 1 }
        return at + 1 < count ? Bytes(rebasing: self[(at + 1)...]) : .none
    }
}
