import ExchangeCodec
import Logging
import ShuntCore
import ShuntEngine
import ShuntReactor

/// A link to another master, and the connection that it has.
struct MasterConnection {
    var link: PeerLink
    var connection: Connection?
    /// When it was logged that the other refuses this one.
    var refusalToldAt = -Double.infinity
}

/// The links to the other masters of the cluster.
extension MasterLoop {
    func tickMasters() {
        for place in links.indices { carryOut(links[place].link.tick(now: loop.now), place) }
    }

    func opened(_ connection: Connection, toMaster place: Int) {
        links[place].connection = connection
        carryOut(links[place].link.connected(now: loop.now), place)
    }

    func received(_ bytes: Bytes, on connection: Connection, fromMaster place: Int) -> Int {
        var offset = 0
        while offset < bytes.count, connection.isOpen {
            let rest = Bytes(rebasing: bytes[offset...])
            switch FrameDecoder.decode(rest, limit: Self.masterFrameLimit) {
            case .frame(let view):
                guard let start = rest.baseAddress else { return offset }
                carryOut(links[place].link.received(Frame(view, in: start), now: loop.now), place)
                offset += Int(view.size)
            case .needMore: return offset
            case .malformed(let fault):
                loop.close(connection, .failed(why: fault.error().description))
                return bytes.count
            }
        }
        carryOut()
        return offset
    }

    /// What another master sends is small: states, and bans in parts.
    private static let masterFrameLimit = 1 << 20

    func closed(_ connection: Connection?, toMaster place: Int, why: String) {
        guard connection == nil || links[place].connection == nil || connection === links[place].connection else { return }
        links[place].connection = nil
        links[place].link.closed(now: loop.now)
        logger.debug("no link to another master", metadata: ["master": "\(links[place].link.address)", "why": "\(why)"])
    }

    /// An operator has this master make way for another, or serve.
    /// - Parameter done: gets the error; nil when it is done.
    func change(_ change: RoleChange, _ done: @escaping @Sendable (ShuntError?) -> Void) {
        var failure: ShuntError?
        do throws(ShuntError) {
            switch change {
            case .stepDown: try engine.makeWay(now: loop.now)
            case .serve: try engine.forceServing(now: loop.now)
            }
        } catch {
            failure = error
        }
        carryOut()
        figures.set(engine.role(now: loop.now))
        done(failure)
    }

    private func carryOut(_ actions: [PeerLink.Action], _ place: Int) {
        for action in actions {
            switch action {
            case .connect(let text):
                guard let address = HostPort(text) else { continue }
                loop.connect(to: address, role: .outbound(UInt16(place)))
            case .send(let bytes):
                guard let connection = links[place].connection else { continue }
                bytes.withUnsafeBytes { bytes in
                    loop.answer(bytes.count, to: connection) {
                        $0.copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
                    }
                }
            case .close(let why):
                if let connection = links[place].connection { loop.close(connection, .byUs(why: why)) }
            case .state:
                guard let state = engine.state(now: loop.now) else { continue }
                carryOut(links[place].link.ask(state, now: loop.now), place)
            case .heard(let state): engine.heard(state, now: loop.now)
            case .bans(let body): engine.heard(body, from: links[place].link.address, now: loop.now)
            case .refused(let why): refused(why, place)
            }
        }
    }

    /// At most every 30 s: a wrong token or certificate stays wrong.
    private func refused(_ why: String, _ place: Int) {
        guard abs(loop.now - links[place].refusalToldAt) >= 30 else { return }
        links[place].refusalToldAt = loop.now
        logger.error("another master is not spoken to", metadata: ["master": "\(links[place].link.address)", "why": "\(why)"])
    }
}
