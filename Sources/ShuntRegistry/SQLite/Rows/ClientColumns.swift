import GRDB
import ShuntCore

/// A client's row: the columns, in one order for writing and reading. Besides it has the number of the list that it was told in.
enum ClientColumns {
    static let all = ["worker", "session", "client", "uid", "protocol", "listener", "address", "state", "since", "subscriptions"]

    static func arguments(_ record: ClientRecord) -> StatementArguments {
        [
            record.worker, record.session, record.client, record.uid, record.protocolName, record.listener, record.address,
            record.state.rawValue, record.since.orZero, record.subscriptions,
        ]
    }

    /// Decodes without trapping, whatever someone has done to the table. The row holds `all`, in this order.
    static func record(_ row: Row) throws -> ClientRecord {
        let stateName = try row.decode(String.self, atIndex: 7)
        guard let state = ClientRecord.State(rawValue: stateName) else {
            throw ShuntError(
                .registryInvalid, "a client has the state '\(stateName)', which this program does not know",
                help: "states are " + ClientRecord.State.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return ClientRecord(
            worker: try row.decode(String.self, atIndex: 0), session: try row.decode(String.self, atIndex: 1),
            client: try row.decode(String.self, atIndex: 2), uid: try row.decode(String.self, atIndex: 3),
            protocolName: try row.decode(String.self, atIndex: 4), listener: try row.decode(String.self, atIndex: 5),
            address: try row.decode(String.self, atIndex: 6), state: state, since: try row.decode(Double.self, atIndex: 8),
            subscriptions: try row.decode(Int.self, atIndex: 9))
    }
}
