import ExchangeCodec
import ShuntCore

/// Bans are the master's: it keeps them in the registry, and tells them to all workers of Shunt's own, and to those that join.
extension MasterEngine {
    /// An operator bans somebody, or changes a ban.
    /// - Throws: `limit.memory`, `request.invalid` as `Bans.add` has them.
    public func ban(_ ban: Ban, now: Double) throws(ShuntError) {
        try bans.add(ban)
        encodedBans = nil
        changes.append(.ban(ban))
        tellWorkers(.add([ban]), now: now)
    }

    /// An operator lifts a ban.
    /// - Throws: `ban.unknown`.
    public func unban(_ subject: BanSubject, now: Double) throws(ShuntError) {
        guard bans.remove(subject) else {
            throw ShuntError(.banUnknown, "'\(subject)' is not banned", help: "list the bans with `shunt admin bans`")
        }
        encodedBans = nil
        changes.append(.unban(subject))
        tellWorkers(.remove([subject]), now: now)
    }

    /// Bans that are over leave the registry; workers know when they are.
    func tickBans(now: Double) {
        guard abs(now - bansSeenAt) >= 1 else { return }
        bansSeenAt = now
        for ban in bans.expire(now: now) {
            encodedBans = nil
            changes.append(.unban(ban.subject))
        }
    }

    /// A worker has joined, and may know of bans that were lifted meanwhile.
    func tellBans(to connection: ConnectionID, now: Double) {
        // Many join at once where a master has started again.
        let parts = encodedBans ?? BansBody.parts(of: bans.all).map { EncodedBans($0) }
        encodedBans = parts
        for part in parts { tell(part, to: connection, now: now) }
    }

    private func tellWorkers(_ body: BansBody, now: Double) {
        let part = EncodedBans(body)
        let masters = peers.filter { $0.value.toldTerm != nil }.keys
        for connection in Set(directory.commanded().compactMap(\.connection) + masters) { tell(part, to: connection, now: now) }
    }

    private func tell(_ part: EncodedBans, to connection: ConnectionID, now: Double) {
        actions.append(.send(connection, part.frame(id: ids.next(now: now)).encoded()))
    }
}
