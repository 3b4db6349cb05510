import ShuntCore

extension Properties {
    /// The most user properties of one packet that are taken.
    static let maximumUserProperties = 1024

    /// Reads the length of the properties, and them.
    init(_ reader: inout PacketReader, of owner: PropertyOwners) throws(MQTTFault) {
        try self.init(in: try reader.part(try reader.variable("the property length"), "the properties"), of: owner)
    }

    /// The properties of a message, without their length before them.
    public init(ofMessage bytes: Bytes) throws(MQTTFault) { try self.init(in: bytes, of: .publish) }

    private init(in bytes: Bytes, of owner: PropertyOwners) throws(MQTTFault) {
        var part = PacketReader(bytes)
        self.init()
        var seen: UInt64 = 0
        while !part.isAtEnd {
            let number = try part.variable("a property's identifier")
            guard let raw = UInt8(exactly: number), let id = PropertyID(rawValue: raw) else {
                throw MQTTFault(.malformedPacket, "there is no property \(number)", "MQTT-2.2.2-2")
            }
            guard !id.owners.isDisjoint(with: owner) else {
                throw MQTTFault(.protocolError, "the packet can't have property \(number)")
            }
            let mayRepeat = id == .userProperty || (id == .subscriptionIdentifier && owner == .publish)
            guard mayRepeat || seen & 1 << UInt64(raw) == 0 else {
                throw MQTTFault(.protocolError, "property \(number) comes twice")
            }
            seen |= 1 << UInt64(raw)
            try read(id, &part)
        }
        if authenticationData != nil, authenticationMethod == nil {
            throw MQTTFault(.protocolError, "authentication data without a method")
        }
    }

    private mutating func read(_ id: PropertyID, _ part: inout PacketReader) throws(MQTTFault) {
        switch id {
        case .payloadFormat: payloadFormat = try Self.flag(&part, "the payload format") ? 1 : 0
        case .messageExpiry: messageExpiry = try part.uint32("the message expiry")
        case .contentType: contentType = try Self.text(&part, "the content type")
        case .responseTopic: responseTopic = try Self.text(&part, "the response topic")
        case .correlationData: correlationData = Array(try part.binary("the correlation data"))
        case .subscriptionIdentifier:
            let identifier = try part.variable("the subscription identifier")
            guard identifier > 0 else { throw MQTTFault(.protocolError, "subscription identifier 0") }
            subscriptionIdentifiers.append(UInt32(identifier))
        case .sessionExpiry: sessionExpiry = try part.uint32("the session expiry")
        case .assignedClientIdentifier: assignedClientIdentifier = try Self.text(&part, "the client identifier")
        case .serverKeepAlive: serverKeepAlive = try part.uint16("the keep alive")
        case .authenticationMethod: authenticationMethod = try Self.text(&part, "the authentication method")
        case .authenticationData: authenticationData = Array(try part.binary("the authentication data"))
        case .requestProblemInformation: requestProblemInformation = try Self.flag(&part, "request problem information")
        case .willDelay: willDelay = try part.uint32("the will delay")
        case .requestResponseInformation: requestResponseInformation = try Self.flag(&part, "request response information")
        case .responseInformation: responseInformation = try Self.text(&part, "the response information")
        case .serverReference: serverReference = try Self.text(&part, "the server reference")
        case .reasonString: reasonString = try Self.text(&part, "the reason string")
        case .receiveMaximum: receiveMaximum = try Self.positive(try part.uint16("the receive maximum"), "the receive maximum")
        case .topicAliasMaximum: topicAliasMaximum = try part.uint16("the topic alias maximum")
        case .topicAlias:
            let alias = try part.uint16("the topic alias")
            guard alias > 0 else { throw MQTTFault(.topicAliasInvalid, "topic alias 0", "MQTT-3.3.2-8") }
            topicAlias = alias
        case .maximumQoS: maximumQoS = try Self.flag(&part, "the maximum QoS") ? 1 : 0
        case .retainAvailable: retainAvailable = try Self.flag(&part, "retain available")
        case .userProperty:
            guard userProperties.count < Self.maximumUserProperties else {
                throw MQTTFault(.quotaExceeded, "more than \(Self.maximumUserProperties) user properties")
            }
            let name = try Self.text(&part, "a user property's name")
            userProperties.append(UserProperty(name, try Self.text(&part, "a user property's value")))
        case .maximumPacketSize:
            maximumPacketSize = try Self.positive(try part.uint32("the maximum packet size"), "the maximum packet size")
        case .wildcardSubscriptionAvailable: wildcardSubscriptionAvailable = try Self.flag(&part, "wildcard subscription available")
        case .subscriptionIdentifiersAvailable: subscriptionIdentifiersAvailable = try Self.flag(&part, "subscription identifiers available")
        case .sharedSubscriptionAvailable: sharedSubscriptionAvailable = try Self.flag(&part, "shared subscription available")
        }
    }

    private static func text(_ part: inout PacketReader, _ what: StaticString) throws(MQTTFault) -> String {
        String(decoding: try part.text(what), as: UTF8.self)
    }

    /// A byte that is 0 or 1.
    private static func flag(_ part: inout PacketReader, _ what: StaticString) throws(MQTTFault) -> Bool {
        let byte = try part.byte(what)
        guard byte <= 1 else { throw MQTTFault(.protocolError, "\(what) is \(byte); 0 or 1") }
        return byte == 1
    }

    private static func positive<Number: UnsignedInteger>(_ number: Number, _ what: StaticString) throws(MQTTFault) -> Number {
        guard number > 0 else { throw MQTTFault(.protocolError, "\(what) is 0") }
        return number
    }
}
