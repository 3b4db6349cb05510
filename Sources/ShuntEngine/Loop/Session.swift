import ShuntCore

/// One client of a loop, as the engine keeps it: small, since there are millions.
struct Session {
    enum State: UInt8 {
        /// No client has this slot.
        case free
        /// Connected, and has not sent a frame yet.
        case connected
        /// Its first frame passed `on_connect`.
        case admitted
        /// To be closed; what it sends is not looked at.
        case closing
    }

    var state = State.free
    var generation: UInt32 = 0
    var subscriptions: UInt16 = 0
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
    }
}
