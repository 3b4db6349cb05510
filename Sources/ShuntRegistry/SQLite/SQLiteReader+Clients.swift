import GRDB
import ShuntCore

extension SQLiteReader {
    /// By name and by uid it takes an index; by the others alone it looks at all.
    func clients(_ query: ClientQuery) async throws(ShuntError) -> ClientPage {
        let limit = min(max(query.limit, 0), ClientQuery.maximumLimit)
        let offset = max(query.offset, 0)
        let path = path
        return try await read { db in
            guard try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0 >= RegistrySchema.withClients else {
                throw ShuntError(
                    .registryUnavailable, "the registry has a schema without clients", at: path,
                    help: "start a master of this version once: it brings the file up to date")
            }
            let conditions = Conditions([
                ("client = ?", query.client), ("uid = ?", query.uid), ("worker = ?", query.worker), ("state = ?", query.state?.rawValue),
                (query.protocolName == "mqtt" ? "substr(protocol, 1, 4) = ?" : "protocol = ?", query.protocolName),
            ])
            let total = try Int.fetchOne(db, sql: "SELECT count(*) FROM clients" + conditions.sql, arguments: conditions.arguments)
            let columns = ClientColumns.all.joined(separator: ", ")
            let rows = try Row.fetchCursor(
                db, sql: "SELECT \(columns) FROM clients\(conditions.sql) ORDER BY client, worker, session LIMIT ? OFFSET ?",
                arguments: conditions.arguments + [limit, offset])
            return ClientPage(clients: try Array(rows.map(ClientColumns.record)), total: total ?? 0, offset: offset, limit: limit)
        }
    }
}
