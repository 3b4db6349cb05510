import ExchangeCodec
import ShuntCore

/// How a link begins where the cluster has a token: the worker tells its master nothing, and takes nothing from it, before each has proved
/// to the other that it has the token.
extension MasterLink {
    /// How far the proof is.
    enum Proof: Equatable, Sendable {
        /// Both have proved it, or nobody needs to.
        case done
        case greeted(frame: Int64, own: [UInt8], since: Double)
        case proved(frame: Int64, own: [UInt8], theirs: [UInt8], since: Double)

        /// The frame that waits for its answer, and since when.
        var pending: (frame: Int64, since: Double)? {
            switch self {
            case .done: nil
            case .greeted(let frame, _, let since), .proved(let frame, _, _, let since): (frame, since)
            }
        }
    }

    /// Seconds in which a master answers.
    static let proofPatience = 5.0
    /// Seconds in which a master that has not proved the token is not looked at again while another is there.
    static let distrust = 60.0

    mutating func greet(_ secret: LinkSecret, _ connected: Connected, now: Double) -> [Action] {
        var connected = connected
        let id = ids.next(now: now)
        let nonce = secret.nonce()
        connected.proof = .greeted(frame: id, own: nonce, since: now)
        state = .connected(connected)
        return [.send(LinkProof.frame(.hello, id: id, nonce).encoded())]
    }

    /// An answer of a master that has still to prove the token. Whatever else it sends means nothing.
    mutating func proofReceived(_ frame: Frame, _ connected: Connected, now: Double) -> [Action] {
        guard let secret, frame.type == .acknowledgement, frame.id == connected.proof.pending?.frame else { return [] }
        guard !frame.isError else { return leave("it says: \(frame.text)", now: now) }
        guard let theirs = LinkProof.bytes(of: frame.value) else { return leave("its answer is no proof", now: now) }
        var connected = connected
        switch connected.proof {
        case .done: return []
        case .greeted(_, let own, let since):
            let id = ids.next(now: now)
            connected.proof = .proved(frame: id, own: own, theirs: theirs, since: since)
            state = .connected(connected)
            return [.send(LinkProof.frame(.prove, id: id, secret.proof(of: .worker, worker: own, master: theirs)).encoded())]
        case .proved(_, let own, let nonce, _):
            guard LinkSecret.areEqual(theirs, secret.proof(of: .master, worker: own, master: nonce)) else {
                return leave("its proof is wrong", now: now)
            }
            connected.proof = .done
            connected.heardAt = now
            connected.nextReport = now + interval
            state = .connected(connected)
            distrusted[place % masters.count] = nil
            return [.report]
        }
    }

    /// A master that does not prove the token is left for the next of the list.
    mutating func leave(_ why: String, now: Double) -> [Action] {
        distrusted[place % masters.count] = now + Self.distrust
        let text = "the master does not prove the cluster's token: \(why)"
        return [.untrusted(master: master, why: text), .close(why: text)]
    }

    /// Whether the master at this place of the list is not to be looked at for now.
    func isDistrusted(_ place: Int, now: Double) -> Bool {
        guard let until = distrusted[place] else { return false }
        return now < until && until - now <= Self.distrust
    }
}
