import MQTTCodec
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
    /// Its version, where it speaks MQTT.
    var version = MQTTVersion.v3_1_1
    /// Its first request has come, and passed `on_connect`.
    var isAdmitted = false
    var generation: UInt32 = 0
    /// Its listener's number.
    var listener: UInt8 = 0
    /// There is no room for it.
    var isTurnedAway = false
    /// Not everything is allowed to it.
    var isRestricted = false
    /// It is only let in if a rule gives it a uid.
    var needsName = false
    /// MQTT: it has given no user name.
    var isAnonymous = false
    /// It is a registered device.
    var isDevice = false
    /// It has sent a chat frame.
    var isInChat = false
    /// How far its out-buffer has filled up.
    var pressure = ConsumerPressure.none
    /// It is not read from, since a consumer of its messages is congested.
    var isHeld = false
    /// MQTT 5.0: what CONNACK has told it that it may do, among `AnnouncedLimits.all`.
    var announced: UInt8 = 0
    var subscriptions: UInt32 = 0
    /// Where its last message went.
    var route = RouteReference.none
    var address = PeerAddress()
    /// Seconds without a packet, times one and a half, after which it counts as gone; 0: never, as with those of the exchange protocol that are in.
    var keepAlive: UInt16 = 0
    /// When something was last heard of it, in eighths of a second.
    var heardAt: UInt32 = 0
    /// Seconds since 1970.
    var connectedAt: Double = 0
    /// Only clients that have said who they are, or were told by a rule, have one.
    var identity: Identity?

    /// Who a client is.
    final class Identity {
        var uid = ""
        /// What it is called: by MQTT its client identifier, which it has from its CONNECT until it ends; by the exchange protocol the name of
        /// its device.
        var name = ""
        var tags: [String] = []
        /// MQTT: only of clients that need one.
        var session: MQTTSession?
        /// What few clients have: apart, since each byte here is there for millions.
        private var rare: Rare?

        private final class Rare {
            var alias: [String] = []
            var ownBytes = 0
            var access: ClientAccess?
            var will: Will?
            var broadcastQoS: QoS?
            var maximumPacket = UInt32.max
            var chats: [ExactText: QoS] = [:]
            var properties: [Properties.UserProperty] = []
            var attributes: [UserProperty] = []
            var expiresAt = Double.infinity
            var authMethod: String?
            var device: String?
            var rewritten = RewrittenSubscriptions()
        }

        private func set(_ isNeeded: Bool, _ change: (Rare) -> Void) {
            if isNeeded, rare == nil { rare = Rare() }
            if let rare { change(rare) }
        }

        /// The name of the device that it is, or may become: broadcasts are addressed to it. Nothing else goes by it.
        var device: String { rare?.device ?? name }

        /// It has registered as a device.
        func setDevice(_ device: String, _ speaks: ClientProtocol) {
            guard speaks == .mqtt else { return name = device }
            let isOwn = device.utf8.elementsEqual(name.utf8)
            set(!isOwn) { $0.device = isOwn ? nil : device }
        }

        /// MQTT: bytes of its will and of the user properties of its CONNECT, as far as these are counted.
        var ownBytes: Int {
            get { rare?.ownBytes ?? 0 }
            set { set(newValue != 0) { $0.ownBytes = newValue } }
        }
        /// Who it is by what its listener asks, and what it may do.
        var access: ClientAccess? {
            get { rare?.access }
            set { set(newValue != nil) { $0.access = newValue } }
        }
        /// What a rule has said of it, and when it has to go by that.
        var attributes: [UserProperty] {
            get { rare?.attributes ?? [] }
            set { set(!newValue.isEmpty) { $0.attributes = newValue } }
        }
        var expiresAt: Double {
            get { rare?.expiresAt ?? .infinity }
            set { set(newValue < .infinity) { $0.expiresAt = newValue } }
        }
        var alias: [String] {
            get { rare?.alias ?? [] }
            set { set(!newValue.isEmpty) { $0.alias = newValue } }
        }
        /// MQTT: what is published when the client goes away without a word, if it has no session that keeps it.
        var will: Will? {
            get { rare?.will }
            set { set(newValue != nil) { $0.will = newValue } }
        }
        /// MQTT: the QoS with which it wants broadcasts; nil: it wants none.
        var broadcastQoS: QoS? {
            get { rare?.broadcastQoS }
            set { set(newValue != nil) { $0.broadcastQoS = newValue } }
        }
        /// MQTT: the chats that it has subscribed, with their QoS.
        var chats: [ExactText: QoS] {
            get { rare?.chats ?? [:] }
            set { set(!newValue.isEmpty) { $0.chats = newValue } }
        }
        /// MQTT: bytes of a packet that it takes.
        var maximumPacket: UInt32 {
            get { rare?.maximumPacket ?? .max }
            set { set(newValue != .max) { $0.maximumPacket = newValue } }
        }
        /// MQTT: the authentication method that its CONNECT has named.
        var authMethod: String? {
            get { rare?.authMethod }
            set { set(newValue != nil) { $0.authMethod = newValue } }
        }
        /// What rules have made of subscriptions that it has asked for: see `LoopEngine.standing`.
        var rewritten: RewrittenSubscriptions {
            get { rare?.rewritten ?? RewrittenSubscriptions() }
            set { set(!newValue.isEmpty) { $0.rewritten = newValue } }
            _modify {
                let rare = rare ?? Rare()
                self.rare = rare
                yield &rare.rewritten
            }
        }
        /// MQTT: user properties that its CONNECT had, for rules.
        var properties: [Properties.UserProperty] {
            get { rare?.properties ?? [] }
            set { set(!newValue.isEmpty) { $0.properties = newValue } }
        }
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
        case .mqtt: version.hasProperties ? .mqtt5 : .mqtt3
        }
    }
}
