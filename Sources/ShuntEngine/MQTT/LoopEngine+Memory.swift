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
    /// - Parameter cost: bytes of memory.
    func makeRoom(_ cost: Int, for session: MQTTSession) {
        if hoarders.isEmpty, abs(now - hoardersSoughtAt) >= Self.hoarderInterval { seekHoarders() }
        guard !hoarders.isEmpty else { return }
        let own = share(of: session) + cost
        while memoryInUse + cost > limits.mqtt.memory, let hoarder = hoarders.last {
            var bytes = hoarder === session ? 0 : share(of: hoarder)
            while bytes > own, memoryInUse + cost > limits.mqtt.memory, let oldest = takeWaiting(hoarder) {
                bytes -= held.share(oldest.held)
                output.figures.hoarded += 1
                lose(oldest.held, .queueFull)
            }
            guard memoryInUse + cost > limits.mqtt.memory else { return }
            hoarders.removeLast()
            guard bytes > own else { continue }
            output.figures.hoarded += 1
            end(hoarder: hoarder)
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
            let bytes = share(of: session)
            guard bytes > 0, found.count < Self.hoarders || bytes > found[0].bytes else { return }
            found.insert((bytes, session), at: found.firstIndex { $0.bytes > bytes } ?? found.count)
            if found.count > Self.hoarders { found.removeFirst() }
        }
        sessions.forEach(look)
        for client in clients { if let session = client.identity?.session, !session.isLasting { look(session) } }
        hoarders = found.map(\.session)
        if let largest = found.last { largestHoarder = "'\(largest.session.clientID)' with \(largest.bytes) bytes" }
    }

    /// Bytes that a session holds: of what others hold too, its share.
    private func share(of session: MQTTSession) -> Int {
        session.waiting.all.reduce(0) { $0 + held.share($1.held) } + session.window.all.reduce(0) { $0 + held.share($1.held) }
    }
}
