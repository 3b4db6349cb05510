import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin ban`: keeps somebody out.
struct BanCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "ban",
        abstract: "Keep a client, a user or addresses out of all workers.",
        discussion: """
            Clients that are connected are closed. The registry keeps the ban. Only a running master can do this: not with --registry.

              shunt admin ban client:meter-7 --for 1h --why 'sends garbage'
              shunt admin ban uid:mallory
              shunt admin ban 203.0.113.0/24 --for 7d
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "client:ID, uid:NAME, or an address, perhaps with a prefix length.")
    var subject: String

    @Option(name: .customLong("for"), help: "How long: a number and s, m, h or d. Without it: until `shunt admin unban`.")
    var duration: String?

    @Option(help: "A reason, for other operators.")
    var why: String?

    func validate() throws {
        guard BanSubject(subject) != nil else {
            throw ValidationError("'\(subject)' cannot be banned: \(BanSubject.form).")
        }
        if let duration, Self.seconds(duration) == nil { throw ValidationError("--for is '\(duration)': give a time such as 90s, 10m, 1h or 7d.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let request = BanRequest(subject: subject, seconds: duration.flatMap(Self.seconds), why: why)
        let (ban, json) = try await session.ask(.ban(request), as: BanRecord.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(BanListing.csv([ban]))
        case .table: try session.console.write("banned \(Text.printable(ban.subject)) \(BanListing.until(ban))\n")
        }
        await session.noteUnconfirmed(ban.unconfirmed)
    }

    /// Of `90s`, `10m`, `1h`, `7d`; nil for anything else.
    static func seconds(_ text: String) -> Double? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = UInt32(text.dropLast()), count > 0 else { return nil }
        return Double(count) * unit
    }
}

/// `shunt admin unban`: lifts a ban.
struct UnbanCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "unban",
        abstract: "Lift a ban.",
        discussion: """
              shunt admin unban client:meter-7
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "Who is banned, as `shunt admin bans` lists it.")
    var subject: String

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (ban, json) = try await session.ask(.unban(subject), as: LiftedBan.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["lifted"])
            csv.append([ban.lifted])
            try session.write(csv)
        case .table: try session.console.write("lifted the ban of \(Text.printable(ban.lifted))\n")
        }
        await session.noteUnconfirmed(ban.unconfirmed)
    }
}

/// `shunt admin bans`: the list of bans.
struct BansCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "bans",
        abstract: "List who is banned, until when, and why.",
        discussion: """
              shunt admin bans
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var page: PageOptions

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (found, json) = try await session.ask(.bans(limit: page.limit, offset: page.offset), as: BanPage.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(BanListing.csv(found.bans))
        case .table:
            try session.write(BanListing.table(found.bans))
            if found.bans.count < found.total {
                session.note("\(found.bans.count) of \(found.total) bans; the others with --limit and --offset")
            }
        }
    }
}

extension AdminSession {
    fileprivate func noteUnconfirmed(_ workers: [String]?) async {
        guard let workers else { return }
        let names = await named(workers, \.self).joined(separator: ", ")
        note("not confirmed by \(names): such a worker learns of it once it hears its master")
    }
}

/// Bans as tables and as CSV.
enum BanListing {
    static func until(_ ban: BanRecord) -> String { ban.until.map { "until " + Humane.time($0) } ?? "until it is lifted" }

    static func table(_ bans: [BanRecord]) -> Table {
        Table(
            columns: [.init(title: "BANNED"), .init(title: "UNTIL", rank: 2), .init(title: "WHY", rank: 1)],
            rows: bans.map { ban in [.init(ban.subject), .init(ban.until.map { Humane.time($0) } ?? "-"), .init(ban.why)] })
    }

    /// Every field as the registry has it.
    static func csv(_ bans: [BanRecord]) -> CSV {
        var csv = CSV(header: ["subject", "until", "why"])
        for ban in bans { csv.append([ban.subject, ban.until.map { "\($0)" } ?? "", ban.why]) }
        return csv
    }
}
