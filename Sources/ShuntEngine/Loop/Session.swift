import ShuntCore

/// One client of a loop, as the engine keeps it: small, since there are millions.
struct Session {
    enum State: UInt8 {
        /// No client has this slot.
        case free
        case open
        /// To be closed; what it sends is not looked at.
        case closing
    }

    var state = State.free
    /// Its first frame has come, and passed `on_connect`.
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
        /// Registrations in the second that began then.
        var registrations = (count: 0, since: 0.0)
    }
}
