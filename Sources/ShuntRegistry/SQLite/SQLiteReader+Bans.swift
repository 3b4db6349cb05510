import GRDB
import ShuntCore

extension SQLiteReader {
    /// All bans, by subject.
    func bans() async throws(ShuntError) -> [Ban] { try await readBans { try Self.bans($0, "", []) } }

    func bans(limit: Int, offset: Int) async throws(ShuntError) -> BanPage {
        let limit = min(max(limit, 0), BanPage.maximumLimit)
        let offset = max(offset, 0)
        return try await readBans { db in
            let total = try Int.fetchOne(db, sql: "SELECT count(*) FROM bans") ?? 0
            let bans = try Self.bans(db, " LIMIT ? OFFSET ?", [limit, offset])
            return BanPage(bans: bans.map { BanRecord($0) }, total: total, offset: offset, limit: limit)
        }
    }

    private static func bans(_ db: Database, _ part: String, _ arguments: StatementArguments) throws -> [Ban] {
        let rows = try Row.fetchCursor(db, sql: "SELECT subject, until, why FROM bans ORDER BY subject" + part, arguments: arguments)
        return try Array(
            rows.compactMap { row in
                // Another program may have written one that cannot be read.
                guard let subject = BanSubject(row["subject"] as String) else { return nil }
                return Ban(subject, until: row["until"], why: row["why"])
            })
    }

    /// A file that no master of this version has opened yet has no bans.
    private func readBans<T: Sendable>(_ body: @Sendable @escaping (Database) throws -> T) async throws(ShuntError) -> T {
        let path = path
        return try await read { db in
            guard try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0 >= RegistrySchema.withBans else {
                throw ShuntError(
                    .registryUnavailable, "the registry has a schema without bans", at: path,
                    help: "start a master of this version once: it brings the file up to date")
            }
            return try body(db)
        }
    }
}
