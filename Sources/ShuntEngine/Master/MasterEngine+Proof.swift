import ExchangeCodec
import ShuntCore

/// Who may speak as a worker, where the cluster has a token.
extension MasterEngine {
    /// How far a connection has come with its proof.
    enum Trust {
        case none
        case greeted(worker: [UInt8], master: [UInt8])
        /// It has proved the token, or need not.
        case proved
    }

    /// Seconds between two events of refusals: a stranger may come often.
    static let refusalInterval = 10.0

    func trust(of source: String) -> Trust {
        guard secret != nil else { return .proved }
        guard let address = PeerAddress(host: source) else { return .none }
        return unproved.contains { $0.contains(address) } ? .proved : .none
    }

    /// Whether this frame may come from that connection: clients ask for workers, and say nothing else.
    func admits(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) -> Bool {
        if case .proved? = peers[connection]?.trust { return true }
        switch frame.type {
        case .allocation: return frame.name(in: start)?.elementsEqual(RoomBody.frameName.utf8) != true
        // Workers at another master look by it whether this one is there; it is answered 400.
        case .ping: return frame.value(in: start) == nil
        case .binding: return frame.name(in: start)?.elementsEqual(LinkProof.frameName.utf8) == true
        default: return false
        }
    }

    /// Answers what a connection that has proved nothing may not say.
    func refuseUnproved(_ frame: FrameView, _ connection: ConnectionID, now: Double) {
        // Nobody waits for an answer to these.
        guard frame.type != .acknowledgement, !frame.isError else { return }
        refuse(
            frame, connection,
            ShuntError(
                .accessCredentials, "this master takes workers alone that prove the cluster's token",
                help: "give the worker cluster.token_file or \(Self.tokenVariable); clients connect to workers: ALLOCATION lists them"))
        tellRefusal(connection, "\(frame.type) without a proof of the cluster's token", now: now)
    }

    private static let tokenVariable = "SHUNT_CLUSTER_TOKEN"

    /// A worker greets, or proves that it has the token.
    func link(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        guard let secret else {
            throw ShuntError(
                .requestUnsupported, "this master has no token of the cluster", help: "give the master cluster.token_file as well")
        }
        let step = frame.key(in: start).flatMap { LinkProof.Step(rawValue: String(decoding: $0, as: UTF8.self)) }
        guard let step, frame.compression == .none, let bytes = frame.value(in: start).flatMap({ LinkProof.bytes(of: $0) }) else {
            throw ShuntError(.requestInvalid, "the frame is no part of a proof")
        }
        switch (step, peers[connection]?.trust) {
        case (.hello, .some(.none)), (.hello, .proved?):
            let nonce = secret.nonce()
            // One that need not prove anything proves it all the same, where it can.
            peers[connection]?.trust = .greeted(worker: bytes, master: nonce)
            answer(frame, connection, LinkProof.text(of: nonce))
        case (.prove, .greeted(let worker, let master)?):
            // A nonce is for one proof.
            peers[connection]?.trust = Trust.none
            let place = (0..<secret.count).first {
                LinkSecret.areEqual(bytes, secret.proof($0, of: .worker, worker: worker, master: master))
            }
            guard let place else {
                tellRefusal(connection, "a wrong proof of the cluster's token", now: now)
                refuse(frame, connection, ShuntError(.accessCredentials, "the proof is wrong", help: "give both the same cluster.token_file"))
                return close(connection, .accessCredentials)
            }
            peers[connection]?.trust = .proved
            answer(frame, connection, LinkProof.text(of: secret.proof(place, of: .master, worker: worker, master: master)))
        default: throw ShuntError(.requestInvalid, "HELLO and PROVE come once each, in this order")
        }
    }

    /// One event for many refusals.
    private func tellRefusal(_ connection: ConnectionID, _ what: String, now: Double) {
        refusals += 1
        guard abs(now - refusalToldAt) >= Self.refusalInterval else { return }
        let detail = refusals == 1 ? what : "\(what); \(refusals) refusals since the last event"
        (refusals, refusalToldAt) = (0, now)
        record(EventRecord(at: now, kind: .linkRefused, subject: peers[connection]?.source ?? "-", detail: detail))
    }
}
