import ArgumentParser
import ShuntCore

/// `shunt admin refused`: the clients that workers have refused.
struct RefusedCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "refused",
        abstract: "List the clients that workers have refused: who, why, how often and when.",
        discussion: """
            The latest first; each worker remembers about 1000, until it ends. User names are cut, as some people type passwords there. \
            Only a running master can ask the workers: not with --registry.

              shunt admin refused
              shunt admin refused --address 203.0.113.0/24 --limit 20
              shunt admin refused --user meter-7 --output csv
            """)

    @OptionGroup var options: AdminOptions

    @Option(parsing: .unconditional, help: "How many, at most \(RefusedQuery.maximumLimit).")
    var limit = 100

    @Option(help: "Only clients from this address, perhaps with a prefix length.")
    var address: String?

    @Option(help: "Only clients that have said they are this user.")
    var user: String?

    func validate() throws {
        guard (1...RefusedQuery.maximumLimit).contains(limit) else {
            throw ValidationError("--limit is \(limit): give a number from 1 to \(RefusedQuery.maximumLimit).")
        }
        guard address.map({ AddressRange($0) != nil }) ?? true else {
            throw ValidationError("--address is '\(address ?? "")': give an address, perhaps with a prefix length as in 10.0.0.0/8.")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let query = RefusedQuery(limit: limit, addresses: address.flatMap { AddressRange($0) }, user: user)
        let (found, json) = try await session.ask(.refused(query), as: RefusedList.self)
        switch session.output {
        case .json: return try session.write(json: json)
        case .csv: try session.write(RefusedListing.csv(found.refused))
        case .table: try session.write(RefusedListing.table(await session.named(found.refused, \.worker), now: session.console.now()))
        }
        if found.refused.count < found.total {
            session.note("the latest \(found.refused.count) of \(found.total); more with --limit, or by --address and --user")
        }
        guard !found.missing.isEmpty else { return }
        let missing = await session.named(found.missing, \.self).joined(separator: ", ")
        session.note("no answer from \(missing): whom it has refused is not listed")
    }
}

/// Refused clients as tables and as CSV.
enum RefusedListing {
    static func table(_ clients: [RefusedRecord], now: Double) -> Table {
        Table(
            columns: [
                .init(title: "ADDRESS"), .init(title: "USER"), .init(title: "REASON"), .init(title: "COUNT", isNumber: true, rank: 5),
                .init(title: "FIRST", isNumber: true, rank: 2), .init(title: "LAST", isNumber: true, rank: 4),
                .init(title: "LISTENER", rank: 3), .init(title: "WORKER", rank: 1),
            ],
            rows: clients.map { client in
                [
                    .init(client.address), .init(client.user.isEmpty ? "-" : client.user), .init(client.reason), .init("\(client.count)"),
                    .init(Humane.age(of: client.firstAt, now: now)), .init(Humane.age(of: client.lastAt, now: now)),
                    .init(client.listener), .init(client.worker),
                ]
            })
    }

    /// Every field as the admin API has it.
    static func csv(_ clients: [RefusedRecord]) -> CSV {
        var csv = CSV(header: ["address", "user", "reason", "listener", "worker", "count", "first_at", "last_at"])
        for client in clients {
            csv.append([
                client.address, client.user, client.reason, client.listener, client.worker, "\(client.count)", "\(client.firstAt)",
                "\(client.lastAt)",
            ])
        }
        return csv
    }
}
