import MQTTCodec
import ShuntCore

/// What the worker knows of a client of MQTT besides its connection: at home on one loop, from its CONNECT until it ends (5.0 §4.1).
///
/// Clients of QoS 0 that ask for nothing more have none.
final class MQTTSession {
    /// How subscriptions name it: by its own id if it outlives its connection, else by the connection's.
    let id: ConnectionID
    let clientID: String
    /// Who the client is, for rules; kept while it is away.
    var identity: Client.Identity
    /// The client's connection; `none` while it is away.
    var client = ConnectionID.none
    var version: MQTTVersion
    /// Seconds that it is kept without a connection; `.max`: without end.
    var expiry: UInt32
    /// When it ends, in seconds since 1970, if the client stays away.
    var endsAt = Double.infinity
    /// When its will is published, in seconds since 1970, if the client stays away.
    var willAt = Double.infinity
    /// Since when its client is away, in seconds since 1970, and the address that it had last.
    var awaySince = 0.0
    var lastAddress: PeerAddress?
    /// Subscriptions, while the client is away.
    var subscriptions: UInt32 = 0
    var hasSharedSubscriptions = false
    /// Subscriptions that have an identifier, or had one.
    var identified: [Identified] = []

    /// Messages of QoS 1 and 2 that the client takes at a time.
    var receiveMaximum = 0
    /// Bytes of a packet that the client takes.
    var maximumPacket = Int.max
    var wantsReasons = true
    var window = OutgoingWindow()
    /// Messages that wait for room in the window, or for the client.
    var waiting = Fifo<Waiting>()
    var waitingBytes = 0
    /// Messages at the front of these that the connection did not take.
    var putBack = 0
    var received = IncomingPackets()
    var incomingAliases = IncomingAliases()
    var outgoingAliases = OutgoingAliases(limit: 0)
    /// How far what waits has filled up, apart from the connection's buffer.
    var pressure = ConsumerPressure.none
    /// When it was last seen to make progress, in seconds since 1970, while it is congested; and what it had acknowledged then.
    var progress = (at: 0.0, acknowledged: 0)
    var acknowledged = 0
    /// It is in the list of sessions that are to be looked at again soon.
    var isListed = false

    /// What is published when the client goes away without a word (5.0 §3.1.2.5); nil once it has been.
    var will: Will?

    struct Identified {
        var filter: [UInt8]
        var group: String
        var identifier: UInt32
    }

    /// A message that waits.
    struct Waiting {
        var held: UInt32
        var handOver: HandOver
        /// The rules about deliveries have been asked about it.
        var isOffered: Bool
    }

    init(_ id: ConnectionID, clientID: String, identity: Client.Identity, version: MQTTVersion, expiry: UInt32) {
        self.id = id
        self.clientID = clientID
        self.identity = identity
        self.version = version
        self.expiry = expiry
    }

    var isConnected: Bool { client != .none }
    /// Whether it outlives its connection.
    var isLasting: Bool { id.isSession }
    /// Whether somebody may want a message again after it has been sent: the client when it comes back, or another member of its group.
    func keeps(_ handOver: HandOver) -> Bool { isLasting || handOver.isShared }

    var form: WireForm { version.hasProperties ? .mqtt5 : .mqtt3 }

    /// Whether it has something to say to messages of QoS 0 too.
    var looksAtAll: Bool { isLasting || !identified.isEmpty || maximumPacket != Int.max || outgoingAliases.isUsed }

    /// The identifiers of its subscriptions that take a topic, each as often as there are such (5.0 §3.3.4).
    /// - Parameter isShared: true for the copy that shared subscriptions get, and false for the copy that all others get.
    func identifiers(for topic: Bytes, isShared: Bool) -> [UInt32] {
        guard !identified.isEmpty else { return [] }
        return identified.lazy
            .filter { $0.group.isEmpty != isShared && $0.filter.withUnsafeBytes { TopicFilter.takes(topic, filter: $0) } }.map(\.identifier)
    }
}

/// A message for the time when its client has gone (5.0 §3.1.2.5).
final class Will {
    let topic: [UInt8]
    let payload: [UInt8]
    let qos: QoS
    let isRetained: Bool
    /// Of MQTT 5.0, behind their length; without the delay, which is the server's.
    let properties: [UInt8]
    /// Seconds after the client has gone, if its session lasts so long.
    let delay: UInt32
    /// Its client, once that has gone and left the will with its session.
    var departed: DepartedClient?

    init(_ will: Connect.Will) {
        topic = Array(will.topic.utf8)
        payload = will.payload
        qos = will.qos
        isRetained = will.isRetained
        var properties = will.properties
        delay = properties.willDelay ?? 0
        properties.willDelay = nil
        self.properties = properties == .none ? [] : properties.encoded()
    }
}

/// A client whose connection has gone, as it was.
final class DepartedClient {
    let id: ConnectionID
    let client: Client

    init(_ id: ConnectionID, _ client: Client) { (self.id, self.client) = (id, client) }
}
