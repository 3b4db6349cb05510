import MQTTCodec
import ShuntCore

/// The version of MQTT that a client speaks.
public typealias MQTTVersion = MQTTCodec.MQTTVersion
/// A pair of MQTT 5.0: a name and a value that applications give a meaning to.
public typealias UserProperty = MQTTCodec.Properties.UserProperty
/// Whether a new subscription gets retained messages.
public typealias RetainHandling = MQTTCodec.Subscribe.RetainHandling

/// How a client presents itself to an MQTT broker, and what it asks for. What it sends and gets are the same types as with the exchange
/// protocol.
public struct MQTTOptions: Equatable, Sendable {
    /// 5.0, or 3.1.1, which has no properties, no reasons and no expiry.
    public var version = MQTTVersion.v5
    /// 1 to 65,535 bytes; nil: one is made up for the client; empty: the broker is to choose one.
    public var clientID: String?
    /// The user name, by which the broker knows the client, together with the password.
    public var userName: String?
    /// The password, or a token.
    public var password: [UInt8]?
    /// Whether the first connection begins a new session. If not, it goes on with the one that the broker has kept for the client id.
    public var isClean = true
    /// Seconds for which the broker keeps the session without a connection, also after the client was closed; `.max`: for ever. nil: the
    /// session outlives a lost connection for as long as the client tries to come back, and ends when the client is closed. In 3.1.1 there is
    /// no number: a session that is not clean is kept.
    public var sessionExpiry: UInt32?
    /// Seconds without a packet after which the broker takes the client for gone, times one and a half; 0: never.
    public var keepAlive: UInt16 = 60
    /// A message that the broker publishes when the client goes away without a word. It has up to 65,535 bytes.
    public var will: OutgoingMessage?
    /// Seconds between the client's loss and its will (5.0).
    public var willDelay: UInt32?
    /// Of messages that name none, of the will, and the most that subscriptions ask for.
    public var qos = QoS.atLeastOnce
    /// Messages of QoS 1 and 2 that the broker may send before the application has taken them (5.0); nil: as many as are buffered.
    public var receiveMaximum: UInt16?
    /// User properties of CONNECT.
    public var userProperties: [UserProperty] = []
    /// Of consumers: options of their subscription (5.0).
    public var subscription = SubscriptionOptions()
    /// Whether a message that the broker acknowledges with "no matching subscribers" counts as refused (`topic.no_subscriber`). The broker
    /// may say so in 5.0, for QoS 1 and 2.
    public var failsWithoutSubscriber = false

    /// Options with their defaults.
    public init() {}

    /// Options of a subscription that only MQTT 5.0 has.
    public struct SubscriptionOptions: Equatable, Sendable {
        /// What the client itself publishes does not come back.
        public var isNoLocal = false
        /// Messages keep the retain flag that they were published with.
        public var isRetainAsPublished = false
        /// Whether the broker sends retained messages for the subscription.
        public var retainHandling = RetainHandling.send
        /// 1 to 268,435,455: comes back with each message of the subscription.
        public var identifier: UInt32?
        /// User properties of SUBSCRIBE.
        public var userProperties: [UserProperty] = []

        /// Options with their defaults.
        public init() {}
    }

    /// - Throws: `usage`, or `topic.invalid` for the will's topic.
    func check() throws(ShuntError) {
        guard version >= .v3_1_1 else { throw ShuntError(.usage, "MQTT 3.1 is not spoken", help: "3.1.1 or 5.0") }
        try checkIdentity()
        try checkSession()
        try checkProperties()
        guard let will else { return }
        if let fault = will.mqttFault(version, qos: qos) {
            throw ShuntError(fault.code, "the will: \(fault.message)", help: fault.help)
        }
        guard will.payload.count <= 65_535 else {
            throw ShuntError(.usage, "the will has \(will.payload.count) bytes", help: "at most 65535")
        }
    }

    private func checkIdentity() throws(ShuntError) {
        for case (let what, let text?) in [("client id", clientID), ("user name", userName)] {
            guard MQTTText.isAllowed(text) else { throw ShuntError(.usage, "the \(what) is too long, or has NUL in it", help: "at most 65535 bytes") }
        }
        if let password, password.count > 65_535 { throw ShuntError(.usage, "the password is too long", help: "at most 65535 bytes") }
        if password != nil, userName == nil, !version.hasProperties {
            throw ShuntError(.usage, "a password without a user name", help: "MQTT 3.1.1 wants both or none")
        }
    }

    private func checkSession() throws(ShuntError) {
        guard clientID?.isEmpty ?? true else { return }
        if !isClean {
            throw ShuntError(.usage, "a session that is kept needs a client id", help: "the broker knows it again by that")
        }
        if sessionExpiry ?? 0 > 0 {
            throw ShuntError(.usage, "a session expiry without a client id", help: "nobody could come back to that session")
        }
    }

    private func checkProperties() throws(ShuntError) {
        guard version.hasProperties else {
            let given: [(String, Bool)] = [
                ("session expiry", sessionExpiry != nil), ("will delay", willDelay != nil), ("receive maximum", receiveMaximum != nil),
                ("user properties", !userProperties.isEmpty || !subscription.userProperties.isEmpty),
                ("subscription options", subscription != SubscriptionOptions()),
                ("answer about subscribers", failsWithoutSubscriber),
            ]
            guard let (what, _) = given.first(where: \.1) else { return }
            throw ShuntError(.usage, "MQTT 3.1.1 has no \(what)", help: "5.0 has")
        }
        if receiveMaximum == 0 { throw ShuntError(.usage, "the receive maximum is 0", help: "1 to 65535") }
        if let identifier = subscription.identifier, !(1...268_435_455).contains(identifier) {
            throw ShuntError(.usage, "the subscription identifier is \(identifier)", help: "1 to 268435455")
        }
        for pair in userProperties + subscription.userProperties {
            guard MQTTText.isAllowed(pair.name), MQTTText.isAllowed(pair.value) else {
                throw ShuntError(.usage, "a user property is too long, or has NUL in it", help: "at most 65535 bytes")
            }
        }
        if willDelay != nil, will == nil { throw ShuntError(.usage, "a will's delay without a will", help: "give the will too") }
    }
}

/// Texts as MQTT carries them (5.0 §1.5.4).
enum MQTTText {
    static func isAllowed(_ text: String) -> Bool { text.utf8.count <= 65_535 && !text.utf8.contains(0) }
}
