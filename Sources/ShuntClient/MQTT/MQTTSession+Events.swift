import MQTTCodec
import ShuntCore

/// What happens to a session, and what is to be done about it.
extension MQTTSession {
    struct Settings: Equatable, Sendable {
        var broker: HostPort
        /// As it is sent the first time.
        var connect: Connect
        /// Without its identifier; nil: no subscription.
        var subscription: Subscribe?
        /// Whether the session ends with the client.
        var forgetsSession = true
        /// How long the first attachment may take.
        var patience: Duration
        /// The same for every later one.
        var returnPatience: Duration
        /// Whether the session ends when that is over. If not, the messages that wait are given up, and the session goes on trying.
        var endsWithPatience: Bool
        var backoff: Backoff
        /// Redirects that are followed one after the other.
        var redirects = 5
        /// Messages without an outcome, and the bytes of their packets.
        var window = 1000
        var windowBytes = 8 << 20
        /// Whether messages without an answer are published anew where the broker has lost the session, and may arrive twice.
        var resends = false
        /// Of messages that name none.
        var qos = QoS.atLeastOnce
        /// The largest packet to take or to send, in bytes.
        var packetLimit: Int
        /// The time for CONNACK and SUBACK.
        var replyTimeout: Duration
        /// A broker that answers nothing for so long, with messages waiting, is taken for dead.
        var acknowledgementTimeout: Duration
        /// How long a PINGRESP may take.
        var pingTimeout: Duration

        var version: MQTTVersion { connect.version }
    }

    enum Event {
        case start
        case pauseOver
        case connected
        case unreachable(ShuntError)
        case lost(ShuntError)
        /// What is due? To come several times within each of the times of the settings.
        case check
        /// The application has taken these messages.
        case taken([MQTTReceipt])
        /// So many packets of QoS 0 have been handed to the system since the connection began.
        case written(Int)
        /// Reading has stopped, since the application is slow; or goes on.
        case paused(Bool)
        case unsubscribe(Ticket)
        /// The session must end; the error is nil for an end that is not a failure.
        case close(ShuntError?)
    }

    enum Action {
        case connect(HostPort)
        case pause(Duration)
        case send([UInt8])
        /// Close the connection after this packet; what it still brings is ignored.
        case hangUp(saying: [UInt8]?)
        case deliver(ReceivedMessage, MQTTReceipt?)
        /// The message is on its way.
        case admitted(Ticket)
        case complete(Ticket, MQTTOutcome)
        case report(SessionNews)
        /// The session is over. The last action.
        case end(ShuntError?)
    }
}

/// A message that the application has been given, and that is to be acknowledged once it has taken it.
struct MQTTReceipt: Equatable, Sendable {
    var identifier: UInt16
    var qos: QoS
    /// The session at the broker, which it belongs to.
    var session: Int
}

/// What became of a message.
enum MQTTOutcome: Equatable, Sendable {
    /// - Parameter reasonString: the broker's own words.
    case acknowledged(ReasonCode, _ reasonString: String?)
    case failed(SendFailure)
}

extension MQTTSession.Event: Sendable where Ticket: Sendable {}
extension MQTTSession.Action: Sendable where Ticket: Sendable {}
extension MQTTSession.Action: Equatable where Ticket: Equatable {}
