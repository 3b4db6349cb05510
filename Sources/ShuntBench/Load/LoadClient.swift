import MQTTCodec
import ShuntCore

/// A connection of a load.
struct LoadClient {
    enum State: UInt8 {
        case closed
        case connecting
        /// Until the TLS handshake is done.
        case securing
        /// Until CONNACK.
        case greeting
        /// Until SUBACK.
        case subscribing
        case ready
    }

    /// Among all connections.
    let number: Int
    /// Its number among publishers; -1 if it publishes nothing.
    let publisher: Int
    /// Its number among subscribers; -1 if it subscribes nothing.
    let subscriber: Int
    /// Of a subscriber: the account of publisher 0's messages.
    let accounts: Int

    var state = State.closed
    var isReading = true
    /// Whether it is among those that can send more at once.
    var isQueued = false
    var descriptor: Int32 = -1
    /// OpenSSL's connection; nil for plain bytes.
    var tls: OpaquePointer?
    /// When it was due to be opened, and when it last sent and read something; nanoseconds.
    var dueAt = 0
    var sentAt = 0
    var readAt = 0
    /// Of a publisher: the number of its next message.
    var next = 0
    var window: InflightWindow?
    /// The beginning of a packet whose end has not come.
    var input: [UInt8] = []
    /// Bytes that the socket did not take; while there are some, the client sends and reads nothing else.
    var output: [UInt8] = []
    var outputAt = 0

    var socket: SecureSocket { SecureSocket(descriptor: descriptor, tls: tls) }
}

/// What one thread of a load has counted.
struct LoopFigures {
    var open = 0
    var failed = 0
    var lost = 0
    var reasons = ReasonTally()
    /// From when a connection was due until CONNACK.
    var welcomes = Histogram()

    var sent = 0
    /// Sent, and due within the time that is measured.
    var sentMeasured = 0
    /// Messages that a broker has refused by PUBACK or PUBREC.
    var refused = 0
    var outstanding = 0
    /// Of connections that ended before.
    var unacknowledged = 0
    /// From when a message was due until PUBACK or PUBCOMP.
    var acknowledgements = Histogram()

    var received = 0
    var receivedMeasured = 0
    var distinct = 0
    var late = 0
    var duplicates = 0
    /// Messages that are not of this run, or not for the subscriber that got them.
    var strays = 0
    /// From when a message was due until it was read.
    var latencies = Histogram()
    /// The least that a broker granted.
    var grantedQoS = QoS.exactlyOnce
    /// Nanoseconds of a processor that the thread took while it measured.
    var processor = 0
}
