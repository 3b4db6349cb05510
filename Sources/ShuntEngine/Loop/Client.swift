import ShuntCore

/// One client of a loop, as the engine keeps it: small, since there are millions.
struct Client {
    enum State: UInt8 {
        /// No client has this slot.
        case free
        case open
        /// To be closed; what it sends is not looked at.
        case closing
    }

    var state = State.free
    /// What its listener speaks.
    var protocolName = ClientProtocol.exchange
    /// Its first request has come, and passed `on_connect`.
    var isAdmitted = false
    var generation: UInt32 = 0
    /// It is a registered device.
    var isDevice = false
    /// It has sent a chat frame.
    var isInChat = false
    /// How far its out-buffer has filled up.
    var pressure = ConsumerPressure.none
    /// It is not read from, since a consumer of its messages is congested.
    var isHeld = false
    var subscriptions: UInt32 = 0
    /// Where its last message went.
    var route = RouteReference.none
    var address = PeerAddress()
    /// MQTT: seconds without a packet, times one and a half, after which it counts as gone; 0: never.
    var keepAlive: UInt16 = 0
    /// MQTT: when something was last heard of it, in eighths of a second.
    var heardAt: UInt32 = 0
    /// Seconds since 1970.
    var connectedAt: Double = 0
    /// Only clients that have said who they are, or were told by a rule, have one.
    var identity: Identity?

    /// Who a client is.
    final class Identity {
        var uid = ""
        var device = ""
        var tags: [String] = []
        var alias: [String] = []
        /// MQTT: what is published when the client goes away without a word.
        var will: Will?
        /// MQTT: when it has said who it is, in seconds since 1970.
        var greetedAt = 0.0
        /// Registrations in a second, and which that was.
        var registrations = (count: UInt32(0), second: UInt32(0))
    }
}

/// A message for the time when its client has gone (MQTT 3.1.1 §3.1.2.5).
final class Will {
    let topic: [UInt8]
    let payload: [UInt8]

    init(topic: [UInt8], payload: [UInt8]) {
        self.topic = topic
        self.payload = payload
    }
}

/// What a listener speaks, by the name that configuration and rules have for it.
public enum ClientProtocol: String, Sendable, CaseIterable {
    case exchange, mqtt
}

extension Client {
    /// The form of the messages that it gets.
    var form: WireForm {
        switch protocolName {
        case .exchange: .exchange
        case .mqtt: .mqtt3
        }
    }
}
