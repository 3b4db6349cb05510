import ShuntCore

/// What CONNACK tells clients of MQTT 5.0 that they may do (5.0 §3.2.2.3). It holds as long as their connection, whatever the limits are later.
struct AnnouncedLimits: Equatable {
    /// Bytes of a packet.
    var frame: Int
    var receiveMaximum: UInt16
    var topicAliases: UInt16
    var keepsRetained: Bool

    init(_ limits: RoutingLimits) {
        (frame, receiveMaximum) = (limits.frame, limits.mqtt.receiveMaximum)
        (topicAliases, keepsRetained) = (limits.mqtt.topicAliases, limits.mqtt.keepsRetained)
    }

    /// What either allows.
    func or(_ other: AnnouncedLimits) -> AnnouncedLimits {
        var most = self
        (most.frame, most.receiveMaximum) = (max(frame, other.frame), max(receiveMaximum, other.receiveMaximum))
        (most.topicAliases, most.keepsRetained) = (max(topicAliases, other.topicAliases), keepsRetained || other.keepsRetained)
        return most
    }
}

/// All that clients of a loop may have been told: few, as limits seldom change.
struct Announcements {
    private var all: [AnnouncedLimits]
    /// New clients are told these limits: their place in `all`.
    private(set) var present: UInt8 = 0

    init(_ limits: RoutingLimits) { all = [AnnouncedLimits(limits)] }

    /// Other limits apply. Where there have been more than places, clients that have come by the last ones get the new ones.
    mutating func change(to limits: RoutingLimits) {
        let new = AnnouncedLimits(limits)
        let place = all.firstIndex(of: new) ?? min(all.count, Int(UInt8.max))
        if place == all.count { all.append(new) } else { all[place] = new }
        present = UInt8(place)
    }

    /// What a client may do that has been told this: that, and what others may do by now.
    func limits(_ told: UInt8) -> AnnouncedLimits { told == present ? all[Int(told)] : all[Int(told)].or(all[Int(present)]) }
}

extension LoopEngine {
    /// What a client of MQTT may do.
    func limits(of client: ConnectionID) -> AnnouncedLimits {
        announcements.limits(clients[client.slot].version.hasProperties ? clients[client.slot].announced : announcements.present)
    }
}
