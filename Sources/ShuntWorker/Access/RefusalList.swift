import ExchangeCodec
import ShuntCore
import ShuntEngine
import Synchronization

/// The clients that this worker has refused lately, by whatever part of it, for operators who ask.
final class RefusalList: Sendable {
    private let clients = Mutex(RefusedClients(capacity: 1_000))

    /// A client was refused that has shown these; its password is not looked at.
    func note(_ credentials: Credentials, _ reason: String) {
        note(credentials.address, user: credentials.user ?? "", reason, listener: credentials.listener)
    }

    /// - Parameter listener: its number.
    func note(_ address: PeerAddress, user: String = "", _ reason: String, listener: Int) {
        let client = RefusedClients.Client(address: address, user: user, reason: reason, listener: listener)
        clients.withLock { $0.note(client, now: Worker.now) }
    }

    /// What a loop has refused.
    func add(_ refused: RefusedClients) { clients.withLock { $0.add(refused) } }

    /// - Parameter name: gives the name of a listener by its number.
    func answer(_ query: RefusedQuery, name: (Int) -> String) -> RefusedAnswerBody {
        let (latest, total) = clients.withLock { $0.list(query) }
        let records = latest.map { client, refusals in
            RefusedRecord(
                address: client.address.isUnix ? "unix" : client.address.host, user: client.user, reason: client.reason,
                listener: name(client.listener), count: refusals.count, firstAt: refusals.firstAt, lastAt: refusals.lastAt)
        }
        return RefusedAnswerBody(records, total: total)
    }
}
