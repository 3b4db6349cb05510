import MQTTCodec
import ShuntCore

/// What clients of MQTT take of `mqtt.memory`: messages that are held for sessions, wills, and user properties of CONNECT.
extension LoopEngine {
    /// Bytes that are taken.
    var memoryInUse: Int { held.bytes + ownBytes }

    /// What few clients have, and nobody counts.
    private static let smallBytes = 512

    /// Counts what a client's CONNECT leaves here.
    /// - Throws: `limit.memory`.
    func count(_ greeting: Connect, _ identity: Client.Identity) throws(ShuntError) {
        var bytes = greeting.properties.userProperties.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 32 }
        if let will = greeting.will {
            bytes += will.topic.utf8.count + will.payload.count
            bytes += will.properties.userProperties.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        }
        guard bytes > Self.smallBytes else { return }
        guard memoryInUse + bytes <= limits.mqtt.memory else {
            throw ShuntError(.memoryLimit, "clients have taken all memory that there is for them", help: "mqtt.memory")
        }
        identity.ownBytes = bytes
        ownBytes += bytes
    }

    func uncount(_ identity: Client.Identity) {
        guard identity.ownBytes > 0 else { return }
        ownBytes -= identity.ownBytes
        identity.ownBytes = 0
    }

    // MARK: Room

    /// The sessions that hold most are looked for at most so often, in seconds.
    private static let hoarderInterval = 0.1
    private static let hoarders = 16

    /// `mqtt.memory` is full, and a session needs some of it: the sessions that hold most give up messages, the oldest first. One all of whose
    /// messages are under way, since its client does not acknowledge them, ends.
    func makeRoom(_ count: Int, for session: MQTTSession) {
        if hoarders.isEmpty, abs(now - hoardersSoughtAt) >= Self.hoarderInterval { seekHoarders() }
        let own = held(by: session)
        while memoryInUse + count > limits.mqtt.memory, let hoarder = hoarders.last {
            guard hoarder !== session, held(by: hoarder) > own + count else {
                hoarders.removeLast()
                continue
            }
            output.figures.hoarded += 1
            if let oldest = takeWaiting(hoarder) {
                lose(oldest.held, .queueFull)
            } else {
                hoarders.removeLast()
                end(hoarder: hoarder)
            }
        }
    }

    private func end(hoarder session: MQTTSession) {
        output.figures.sessionsEvicted += 1
        if session.isConnected {
            close(session.client, .memoryLimit)
            session.expiry = 0
            leave(session.client, why: ErrorCode.memoryLimit.rawValue)
        } else {
            end(session, why: .sessionEnded)
        }
    }

    /// The largest last.
    private func seekHoarders() {
        hoardersSoughtAt = now
        var found: [(bytes: Int, session: MQTTSession)] = []
        func look(_ session: MQTTSession) {
            let bytes = held(by: session)
            guard bytes > 0, found.count < Self.hoarders || bytes > found[0].bytes else { return }
            found.insert((bytes, session), at: found.firstIndex { $0.bytes > bytes } ?? found.count)
            if found.count > Self.hoarders { found.removeFirst() }
        }
        sessions.forEach(look)
        for client in clients { if let session = client.identity?.session, !session.isLasting { look(session) } }
        hoarders = found.map(\.session)
        if let largest = found.last { largestHoarder = "'\(largest.session.clientID)' with \(largest.bytes) bytes" }
    }

    /// Bytes that a session holds, as if nobody shared them.
    private func held(by session: MQTTSession) -> Int {
        session.waitingBytes + session.window.all.reduce(0) { $0 + ($1.held == HeldMessages.none ? 0 : held.size($1.held)) }
    }
}
