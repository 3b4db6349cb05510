extension Properties {
    /// Writes the length of the properties, and them.
    func write(to writer: inout PacketWriter) {
        var part = PacketWriter()
        part.property(.payloadFormat, payloadFormat)
        part.property(.messageExpiry, messageExpiry)
        part.property(.contentType, contentType)
        part.property(.responseTopic, responseTopic)
        part.property(.correlationData, correlationData)
        for identifier in subscriptionIdentifiers {
            part.byte(PropertyID.subscriptionIdentifier.rawValue)
            part.variable(Int(identifier))
        }
        part.property(.sessionExpiry, sessionExpiry)
        part.property(.assignedClientIdentifier, assignedClientIdentifier)
        part.property(.serverKeepAlive, serverKeepAlive)
        part.property(.authenticationMethod, authenticationMethod)
        part.property(.authenticationData, authenticationData)
        part.property(.requestProblemInformation, requestProblemInformation)
        part.property(.willDelay, willDelay)
        part.property(.requestResponseInformation, requestResponseInformation)
        part.property(.responseInformation, responseInformation)
        part.property(.serverReference, serverReference)
        part.property(.reasonString, reasonString.map(UTF8Text.cleaned))
        part.property(.receiveMaximum, receiveMaximum)
        part.property(.topicAliasMaximum, topicAliasMaximum)
        part.property(.topicAlias, topicAlias)
        part.property(.maximumQoS, maximumQoS)
        part.property(.retainAvailable, retainAvailable)
        for pair in userProperties {
            part.byte(PropertyID.userProperty.rawValue)
            part.text(pair.name)
            part.text(pair.value)
        }
        part.property(.maximumPacketSize, maximumPacketSize)
        part.property(.wildcardSubscriptionAvailable, wildcardSubscriptionAvailable)
        part.property(.subscriptionIdentifiersAvailable, subscriptionIdentifiersAvailable)
        part.property(.sharedSubscriptionAvailable, sharedSubscriptionAvailable)
        writer.variable(part.body.count)
        writer.append(part.body)
    }
}

extension PacketWriter {
    fileprivate mutating func property(_ id: PropertyID, _ value: UInt8?) {
        guard let value else { return }
        byte(id.rawValue)
        byte(value)
    }

    fileprivate mutating func property(_ id: PropertyID, _ value: Bool?) { property(id, value.map { $0 ? 1 : 0 } as UInt8?) }

    fileprivate mutating func property(_ id: PropertyID, _ value: UInt16?) {
        guard let value else { return }
        byte(id.rawValue)
        uint16(value)
    }

    fileprivate mutating func property(_ id: PropertyID, _ value: UInt32?) {
        guard let value else { return }
        byte(id.rawValue)
        uint32(value)
    }

    fileprivate mutating func property(_ id: PropertyID, _ value: String?) {
        guard let value else { return }
        byte(id.rawValue)
        text(value)
    }

    fileprivate mutating func property(_ id: PropertyID, _ value: [UInt8]?) {
        guard let value else { return }
        byte(id.rawValue)
        binary(value.prefix(65_535))
    }
}
