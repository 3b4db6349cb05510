import Synchronization

/// A client or a session of MQTT as rules of any loop find it, by its uid. It does not change: a loop puts another one in its place.
///
/// `@unchecked Sendable` is true because only the directory that has it touches its links, under the lock of its uid's part.
public final class ListedSession: @unchecked Sendable {
    public let uid: String
    /// The name that broadcasts address. Of MQTT the client identifier, unless the client has registered as another device.
    public let device: String
    /// nil for the exchange protocol.
    public let clientID: String?
    public let tags: [String]
    public let alias: [String]
    /// `none` while the session waits for its client.
    public let connection: ConnectionID
    public let address: PeerAddress
    public let loop: UInt8
    fileprivate var isListed = false
    /// Seconds since 1970.
    public let connectedAt: Double
    /// Of those with the same uid, the one that was listed before it, and the one that came after.
    fileprivate var older: ListedSession?
    fileprivate unowned(unsafe) var newer: ListedSession?

    public init(
        uid: String, device: String, tags: [String] = [], alias: [String] = [], connection: ConnectionID, address: PeerAddress = PeerAddress(),
        connectedAt: Double = 0, loop: UInt8, clientID: String? = nil
    ) {
        (self.uid, self.device, self.tags, self.alias) = (uid, device, tags, alias)
        (self.connection, self.address, self.connectedAt) = (connection, address, connectedAt)
        (self.loop, self.clientID) = (loop, clientID)
    }

    public var isConnected: Bool { connection != .none }
}

/// What the loops of a worker know of their clients and sessions, by uid: each loop lists its own, rules of all loops find them.
///
/// A look-up, and a change, holds one of many locks for as long as it takes to follow a few links; it never waits for another loop's work.
public final class SessionDirectory: Sendable {
    private struct Part {
        /// The newest of each uid.
        var newest: [ExactText: ListedSession] = [:]

        mutating func insert(_ new: ListedSession) {
            guard !new.isListed else { return }
            new.isListed = true
            new.older = newest.updateValue(new, forKey: ExactText(new.uid))
            new.older?.newer = new
        }

        mutating func remove(_ old: ListedSession) {
            guard old.isListed else { return }
            old.isListed = false
            let older = old.older
            older?.newer = old.newer
            if let newer = old.newer { newer.older = older } else { newest[ExactText(old.uid)] = older }
            (old.older, old.newer) = (nil, nil)
        }
    }

    private final class Shard: Sendable {
        let part = Mutex(Part())
    }

    private let shards = (0..<256).map { _ in Shard() }

    public init() {}

    deinit {
        // One after the other: a long chain would be freed by as many calls within each other.
        for shard in shards {
            shard.part.withLock { part in
                for (_, newest) in part.newest {
                    var next: ListedSession? = newest
                    while let one = next { (next, one.older) = (one.older, nil) }
                }
                part.newest = [:]
            }
        }
    }

    private func shard(of uid: String) -> Shard {
        var uid = uid
        return shards[Int(uid.withUTF8 { ByteHash.of(UnsafeRawBufferPointer($0)) } & 255)]
    }

    /// - Parameter old: what it takes the place of: a rule that asks sees one of them.
    public func list(_ new: ListedSession, inPlaceOf old: ListedSession? = nil) {
        let shard = shard(of: new.uid)
        let isSamePart = old.map { self.shard(of: $0.uid) === shard } ?? false
        shard.part.withLock { part in
            if isSamePart, let old { part.remove(old) }
            part.insert(new)
        }
        if !isSamePart, let old { remove(old) }
    }

    public func remove(_ old: ListedSession) { shard(of: old.uid).part.withLock { $0.remove(old) } }

    /// The sessions of a uid, those that were listed last first.
    /// - Returns: at most `limit`, and whether there are more.
    public func find(_ uid: String, limit: Int) -> (found: [ListedSession], hasMore: Bool) {
        shard(of: uid).part.withLock { part in
            var found: [ListedSession] = []
            var next = part.newest[ExactText(uid)]
            while let one = next, found.count < limit {
                found.append(one)
                next = one.older
            }
            return (found, next != nil)
        }
    }
}
