import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin query`: a SELECT on the registry.
struct QueryCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Ask the registry by SQL.",
        discussion: """
            One SQLite statement that only reads; at most 10,000 rows within 5 seconds. Times are seconds since 1970, \
            listeners a JSON object.

              shunt admin query "SELECT name, sql FROM sqlite_schema"
              shunt admin query "SELECT state, count(*) FROM workers GROUP BY state"
              shunt admin query "SELECT name, value FROM workers, json_each(listeners)"
              shunt admin query "SELECT datetime(at, 'unixepoch'), subject FROM events"
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "The statement, in quotes.")
    var sql: String

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (result, json) = try await session.ask(.query(sql), as: QueryResult.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(QueryListing.csv(result))
        case .table:
            try session.write(QueryListing.table(result))
            if result.truncated { session.note("there is more than these \(result.rows.count) rows: add WHERE or LIMIT") }
        }
    }
}
