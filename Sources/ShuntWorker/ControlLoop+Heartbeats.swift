import ExchangeCodec
import ShuntEngine

/// What the worker tells its master of itself.
extension ControlLoop {
    /// The master hears at once what has changed, not with the next heartbeat.
    func tellState() { carryOut(link.heartbeat(heartbeat, now: loop.now)) }

    /// Sends all events but the last ones, some with each heartbeat.
    func lastHeartbeat() -> HeartbeatBody {
        var body = heartbeat
        while let last = body.shunt?.events.last {
            let more = peers.events.untold(after: last.number)
            if more.isEmpty { break }
            carryOut(link.heartbeat(body, now: loop.now))
            body.shunt?.events = more
        }
        return body
    }

    var heartbeat: HeartbeatBody {
        identity.heartbeat(
            peers.figures(), stuck: peers.log.stuck(), room: peers.room, events: peers.events.untold(),
            isDraining: drain?.isDraining == true, now: loop.now)
    }
}
