import ExchangeCodec
import ShuntCore

/// Peers of a master that were refused, since its start.
public struct LinkRefusals: Equatable, Sendable {
    /// Those without a proof of the cluster's token, or with a wrong one.
    public var token = 0
    /// Those without a certificate of the cluster, and TLS handshakes that failed.
    public var certificate = 0

    public init() {}
}

/// Who may speak as a worker, where the cluster has a token or certificates.
extension MasterEngine {
    /// How far a connection has come with its proof.
    enum Trust {
        case none
        case greeted(worker: [UInt8], master: [UInt8])
        /// It has proved the token, or need not; and has shown a certificate, or need not.
        case proved
    }

    /// Seconds between two events of refusals: a stranger may come often.
    static let refusalInterval = 10.0

    func trust(of source: String, hasCertificate: Bool) -> Trust {
        if secret == nil, hasCertificate || !needsCertificate { return .proved }
        guard let address = PeerAddress(host: source) else { return .none }
        return unproved.contains { $0.contains(address) } ? .proved : .none
    }

    /// Whether a connection lacks the certificate that it needs, whatever it proves.
    private func lacksCertificate(_ connection: ConnectionID) -> Bool { needsCertificate && peers[connection]?.hasCertificate != true }

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
        guard !lacksCertificate(connection) else { return refuse(frame, connection, lackOfCertificate(connection, "\(frame.type)", now: now)) }
        refuse(
            frame, connection,
            ShuntError(
                .accessCredentials, "this master takes workers alone that prove the cluster's token",
                help: "give the worker cluster.token_file or \(Self.tokenVariable); clients connect to workers: ALLOCATION lists them"))
        linkRefusals.token += 1
        tellRefusal(of: peers[connection]?.source, "\(frame.type) without a proof of the cluster's token", now: now)
    }

    private static let tokenVariable = "SHUNT_CLUSTER_TOKEN"

    private func lackOfCertificate(_ connection: ConnectionID, _ what: String, now: Double) -> ShuntError {
        linkRefusals.certificate += 1
        tellRefusal(of: peers[connection]?.source, "\(what) without a certificate of the cluster", now: now)
        return ShuntError(
            .accessCredentials, "this master takes workers alone that show a certificate of the cluster by TLS",
            help: "give the worker cluster.tls; clients connect to workers: ALLOCATION lists them")
    }

    /// A TLS handshake came to nothing, perhaps a worker's.
    public func handshakeFailed(source: String, why: String, now: Double) {
        linkRefusals.certificate += 1
        tellRefusal(of: source, why, now: now)
    }

    /// A worker greets, or proves that it has the token.
    func link(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        // One that need not prove anything proves what it can, all the same.
        if lacksCertificate(connection), case .some(.none) = peers[connection]?.trust {
            throw lackOfCertificate(connection, "a proof of the token", now: now)
        }
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
                linkRefusals.token += 1
                tellRefusal(of: peers[connection]?.source, "a wrong proof of the cluster's token", now: now)
                refuse(frame, connection, ShuntError(.accessCredentials, "the proof is wrong", help: "give both the same cluster.token_file"))
                return close(connection, .accessCredentials)
            }
            peers[connection]?.trust = .proved
            answer(frame, connection, LinkProof.text(of: secret.proof(place, of: .master, worker: worker, master: master)))
        default: throw ShuntError(.requestInvalid, "HELLO and PROVE come once each, in this order")
        }
    }

    /// One event for many refusals.
    private func tellRefusal(of source: String?, _ what: String, now: Double) {
        refusals += 1
        guard abs(now - refusalToldAt) >= Self.refusalInterval else { return }
        let detail = refusals == 1 ? what : "\(what); \(refusals) refusals since the last event"
        (refusals, refusalToldAt) = (0, now)
        record(EventRecord(at: now, kind: .linkRefused, subject: source ?? "-", detail: detail))
    }
}
