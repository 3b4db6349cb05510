import GRDB
import ShuntCore

extension SQLiteReader {
    /// By the whole name or uid it takes an index. By anything else it looks at all that the index by name has, half a second for a million
    /// clients.
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
                // The first, as it has the first number.
                (#"(client LIKE ?1 ESCAPE '\' OR uid LIKE ?1 ESCAPE '\')"#, query.search.map(Self.pattern)),
                ("client = ?", query.client), ("uid = ?", query.uid), ("worker = ?", query.worker), ("state = ?", query.state?.rawValue),
                (query.protocolName == "mqtt" ? "substr(protocol, 1, 4) = ?" : "protocol = ?", query.protocolName),
            ])
            let found = "clients" + (query.client == nil && query.uid == nil ? " INDEXED BY clients_by_client" : "") + conditions.sql
            let total = try Int.fetchOne(db, sql: "SELECT count(*) FROM \(found)", arguments: conditions.arguments)
            // The index has all that the page is found by. SQLite would else look up the row of each that it passes over.
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT \(ClientColumns.all.joined(separator: ", "))
                    FROM (SELECT worker, session FROM \(found) ORDER BY client, worker, session LIMIT ? OFFSET ?)
                    JOIN clients USING (worker, session) ORDER BY client, worker, session
                    """,
                arguments: conditions.arguments + [limit, offset])
            return ClientPage(clients: try Array(rows.map(ClientColumns.record)), total: total ?? 0, offset: offset, limit: limit)
        }
    }

    /// What contains the text, for LIKE.
    private static func pattern(_ text: String) -> String {
        var pattern = "%"
        for character in text.unicodeScalars.prefix(ClientQuery.maximumSearch) {
            if #"%_\"#.unicodeScalars.contains(character) { pattern += #"\"# }
            pattern.unicodeScalars.append(character)
        }
        return pattern + "%"
    }
}
