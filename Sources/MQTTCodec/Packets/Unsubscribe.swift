import ShuntCore

/// UNSUBSCRIBE (3.1.1 §3.10, 5.0 §3.10).
public struct Unsubscribe: Equatable, Sendable {
    public var identifier: UInt16
    /// At least one.
    public var filters: [String]
    public var properties = Properties.none

    public init(_ identifier: UInt16, _ filters: [String], properties: Properties = .none) {
        self.identifier = identifier
        self.filters = filters
        self.properties = properties
    }

    /// Reads what follows the fixed header.
    public init(decoding body: Bytes, _ version: MQTTVersion) throws(MQTTFault) {
        var reader = PacketReader(body)
        self.init(try reader.identifier(), [])
        if version.hasProperties { properties = try Properties(&reader, of: .unsubscribe) }
        while !reader.isAtEnd { filters.append(String(decoding: try reader.text("a topic filter"), as: UTF8.self)) }
        guard !filters.isEmpty else { throw MQTTFault(.protocolError, "an UNSUBSCRIBE without a topic filter", "MQTT-3.10.3-2") }
    }

    /// The whole packet.
    public func encoded(_ version: MQTTVersion) -> [UInt8] {
        var writer = PacketWriter()
        writer.uint16(identifier)
        if version.hasProperties { writer.properties(properties) }
        for filter in filters { writer.text(filter) }
        return writer.packet(.unsubscribe)
    }
}
