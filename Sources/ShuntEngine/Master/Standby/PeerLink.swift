public import ExchangeCodec
import ShuntCore

/// A master's connection to another master of its cluster: proves the cluster's token as a worker does, then asks the other how it is, for ever.
///
/// A value: events in, actions out. The driver calls `tick` about ten times a second.
public struct PeerLink: Sendable {
    public enum Action: Equatable, Sendable {
        case connect(to: String)
        case send([UInt8])
        case close(why: String)
        /// Call `ask` with how this master is.
        case state
        case heard(MasterStateBody)
        /// What the other tells of bans.
        case bans(BansBody)
        /// The other does not prove that it belongs to the cluster, or does not take this one.
        case refused(why: String)
    }

    enum State: Equatable, Sendable {
        case waiting(until: Double)
        case connecting(since: Double)
        case greeted(frame: Int64, own: [UInt8], since: Double)
        case proved(frame: Int64, own: [UInt8], theirs: [UInt8], since: Double)
        case up(asked: Int64?, at: Double)
    }

    /// `host:port`.
    public let address: String
    private let secret: LinkSecret?
    private(set) var state: State
    private var ids = FrameIDs()

    /// Seconds between two questions.
    static let interval = 0.25
    /// Seconds in which an answer comes, and a connection is made.
    static let patience = 2.0
    /// Seconds between two attempts.
    static let pause = 0.5

    public init(to address: String, secret: LinkSecret?, now: Double) {
        (self.address, self.secret) = (address, secret)
        state = .waiting(until: now)
    }

    public mutating func tick(now: Double) -> [Action] {
        switch state {
        case .waiting(let until) where now >= until || until - now > Self.pause:
            state = .connecting(since: now)
            return [.connect(to: address)]
        case .greeted(_, _, let since) where abs(now - since) > Self.patience, .proved(_, _, _, let since) where abs(now - since) > Self.patience,
            .up(_?, let since) where abs(now - since) > Self.patience:
            return [.close(why: "it does not answer")]
        case .up(nil, let at) where abs(now - at) >= Self.interval: return [.state]
        case .waiting, .connecting, .greeted, .proved, .up: return []
        }
    }

    public mutating func connected(now: Double) -> [Action] {
        guard case .connecting = state else { return [] }
        guard let secret else {
            state = .up(asked: nil, at: now)
            return [.state]
        }
        let (id, nonce) = (ids.next(now: now), secret.nonce())
        state = .greeted(frame: id, own: nonce, since: now)
        return [.send(LinkProof.frame(.hello, id: id, nonce).encoded())]
    }

    /// What `state` asked for.
    public mutating func ask(_ own: MasterStateBody, now: Double) -> [Action] {
        guard case .up = state else { return [] }
        let id = ids.next(now: now)
        state = .up(asked: id, at: now)
        return [.send(own.frame(id: id).encoded())]
    }

    public mutating func received(_ frame: Frame, now: Double) -> [Action] {
        if case .up = state, frame.type == .binding, frame.name == BansBody.frameName {
            return (try? frame.value.withUnsafeBytes { try BansBody(key: frame.key, decoding: $0) }).map { [.bans($0)] } ?? []
        }
        guard frame.type == .acknowledgement else { return [] }
        switch state {
        case .greeted(frame.id, let own, let since):
            guard !frame.isError, let secret, let theirs = LinkProof.bytes(of: frame.value) else { return refuse(frame) }
            let id = ids.next(now: now)
            state = .proved(frame: id, own: own, theirs: theirs, since: since)
            return [.send(LinkProof.frame(.prove, id: id, secret.proof(of: .worker, worker: own, master: theirs)).encoded())]
        case .proved(frame.id, let own, let nonce, _):
            guard !frame.isError, let secret, let theirs = LinkProof.bytes(of: frame.value),
                LinkSecret.areEqual(theirs, secret.proof(of: .master, worker: own, master: nonce))
            else { return refuse(frame) }
            state = .up(asked: nil, at: now)
            return [.state]
        case .up(frame.id?, _):
            guard !frame.isError, let body = try? frame.value.withUnsafeBytes({ try MasterStateBody(decoding: $0) }) else { return refuse(frame) }
            state = .up(asked: nil, at: now)
            return [.heard(body)]
        case .waiting, .connecting, .greeted, .proved, .up: return []
        }
    }

    /// The attempt failed, or the connection closed.
    public mutating func closed(now: Double) { state = .waiting(until: now + Self.pause) }

    private func refuse(_ frame: Frame) -> [Action] {
        let why = frame.isError ? "it says: \(frame.text)" : "it does not prove the cluster's token, or is no master of this cluster"
        return [.refused(why: why), .close(why: why)]
    }
}
