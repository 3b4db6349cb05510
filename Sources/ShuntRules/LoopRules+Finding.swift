import CLuaHost
import LuaSyntax
import ShuntCore

/// `sessions.find`: what the loops of the worker know of a user.
extension LoopRules {
    /// Sessions that one call is given, and bytes of what they say: what a client chooses is not to use up a rule's memory.
    static let mostSessions = 100
    static let mostSessionBytes = 64 << 10
    /// Bytes of the tags and the alias of one of them.
    static let mostLabelBytes = 4 << 10

    func findSessions(of uid: Bytes, _ record: UnsafeMutablePointer<shunt_buffer>) -> Bool {
        guard let sessions, !uid.isEmpty else { return false }
        let (found, hasMore) = sessions.find(String(decoding: uid, as: UTF8.self), limit: Self.mostSessions)
        for (place, one) in found.enumerated() {
            one.write(to: record, mostLabelBytes: Self.mostLabelBytes)
            if record.pointee.count > Self.mostSessionBytes { return hasMore || place + 1 < found.count }
        }
        return hasMore
    }

    /// Whether some rule asks for sessions, so that the loops list them.
    func noteSessions() {
        wanted.remove(.sessions)
        if rules.contains(where: \.namesSessions) { wanted.insert(.sessions) }
    }
}

extension ListedSession {
    fileprivate func write(to record: UnsafeMutablePointer<shunt_buffer>, mostLabelBytes: Int) {
        withBytes(of: device) { device in
            withBytes(of: clientID ?? "") { clientID in
                withBytes(of: isConnected ? address.description : "") { address in
                    var found = shunt_found(
                        connection: connection.raw, connected_at: connectedAt, connected: isConnected, mqtt: self.clientID != nil,
                        loop: UInt32(loop), device: device, client_id: clientID, address: address)
                    shunt_found_begin(record, &found)
                }
            }
        }
        let labelBytes = (tags + alias).reduce(0) { $0 + $1.utf8.count + 4 }
        for labels in [tags, alias] {
            let labels = labelBytes <= mostLabelBytes ? labels : []
            shunt_peer_list(record, UInt32(clamping: labels.count))
            // `assumingMemoryBound`: the C host reads texts as chars, which these bytes are.
            for label in labels { withBytes(of: label) { shunt_peer_text(record, $0.start?.assumingMemoryBound(to: CChar.self), $0.count) } }
        }
    }
}

extension RulePlugin {
    /// Whether one of the files has the name `sessions`, or a text that is the same. Comments do not count.
    var namesSessions: Bool {
        let name = "sessions"
        return sources.contains { source in
            let mayHave = source.text.withUnsafeBytes { text in withBytes(of: name) { shunt_contains(shunt_bytes(text), $0) } }
            // A name can't be written in another way; a text can.
            guard mayHave || source.text.contains(UInt8(ascii: "\\")) else { return false }
            return LuaSource(source.text).mentions(name)
        }
    }
}
