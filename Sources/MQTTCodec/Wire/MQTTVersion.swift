/// The versions of MQTT, by the protocol level that CONNECT names (3.1.1 §3.1.2.2, 5.0 §3.1.2.2).
public enum MQTTVersion: UInt8, Sendable, CaseIterable, Comparable {
    /// 3.1, whose protocol name is `MQIsdp`; on the wire it is otherwise 3.1.1.
    case v3_1 = 3
    case v3_1_1 = 4
    case v5 = 5

    /// The protocol name that belongs to the level.
    var protocolName: StaticString { self == .v3_1 ? "MQIsdp" : "MQTT" }

    /// Whether packets have properties and answers have reason codes.
    public var hasProperties: Bool { self == .v5 }

    /// As people and rules write it.
    public var name: String {
        switch self {
        case .v3_1: "3.1"
        case .v3_1_1: "3.1.1"
        case .v5: "5.0"
        }
    }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The control packet types (5.0 §2.1.2).
public enum PacketType: UInt8, Sendable, CaseIterable {
    case connect = 1
    case connectAcknowledgement
    case publish
    case publishAcknowledgement
    case publishReceived
    case publishRelease
    case publishComplete
    case subscribe
    case subscribeAcknowledgement
    case unsubscribe
    case unsubscribeAcknowledgement
    case pingRequest
    case pingResponse
    case disconnect
    case authenticate

    /// The flags that the fixed header of each packet but PUBLISH must have (5.0 §2.1.3).
    var requiredFlags: UInt8 {
        switch self {
        case .publishRelease, .subscribe, .unsubscribe: 0b0010
        default: 0
        }
    }
}
