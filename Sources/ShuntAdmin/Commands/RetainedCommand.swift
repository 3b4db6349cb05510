import ArgumentParser
import ShuntCore

/// `shunt admin retained`: the retained messages of all workers, and an end of them.
struct RetainedCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "retained",
        abstract: "List the retained messages of MQTT, or clear them.",
        discussion: """
            By topic. Payloads are not shown: mosquitto_sub shows them to those who may read them. FILTER is a topic filter of MQTT; \
            # takes no topic that begins with $. --clear forgets what FILTER takes at once; subscribers are told nothing. Only a \
            running master can ask the workers: not with --registry.

              shunt admin retained
              shunt admin retained 'sensors/+/status' --output csv
              shunt admin retained 'sensors/old/#' --clear
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "Only topics that this filter takes; all without one.")
    var filter: String?

    @Flag(help: "Clear what the filter takes, instead of listing it.")
    var clear = false

    @Option(parsing: .unconditional, help: "How many, at most \(RetainedRequest.maximumLimit).")
    var limit = 100

    @Option(help: "Go on where a list has ended: what it said.")
    var after: String?

    func validate() throws {
        if let filter {
            do throws(ShuntError) {
                try RetainedRequest.check(filter)
            } catch {
                throw ValidationError("\(error.message): \(error.help ?? "").")
            }
        }
        guard filter != nil || !clear else {
            throw ValidationError("--clear needs a filter: give the topics that are to be forgotten, '#' for all.")
        }
        guard (1...RetainedRequest.maximumLimit).contains(limit) else {
            throw ValidationError("--limit is \(limit): give a number from 1 to \(RetainedRequest.maximumLimit).")
        }
        guard after == nil || !clear else { throw ValidationError("--after and --clear exclude each other: --clear takes all that match.") }
        guard after.map({ RetainedPlace($0) != nil }) ?? true else {
            throw ValidationError("--after is no place in the list: give what the end of the list before it said.")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        if clear, let filter { try await clear(filter, session) } else { try await list(session) }
    }

    private func list(_ session: AdminSession) async throws(ShuntError) {
        let request = RetainedRequest.list(
            filter: filter ?? RetainedRequest.everything, after: after.flatMap { RetainedPlace($0) }, limit: limit)
        let (found, json) = try await session.ask(.retained(request), as: RetainedList.self)
        switch session.output {
        case .json: return try session.write(json: json)
        case .csv: try session.write(RetainedListing.csv(found.retained))
        case .table: try session.write(RetainedListing.table(await session.named(found.retained, \.worker), now: session.console.now()))
        }
        if let next = found.nextAfter {
            session.note("\(found.retained.count) of \(found.total) retained messages; go on with --after \(Self.quoted(next))")
        }
        guard !found.missing.isEmpty else { return }
        let missing = await session.named(found.missing, \.self).joined(separator: ", ")
        session.note("no answer from \(missing): what is retained there is not listed")
    }

    /// As a shell's word.
    private static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }

    private func clear(_ filter: String, _ session: AdminSession) async throws(ShuntError) {
        let (outcome, json) = try await session.ask(.retained(.clear(filter: filter)), as: ClearedRetained.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["cleared"])
            csv.append(["\(outcome.cleared)"])
            try session.write(csv)
        case .table: try session.console.write("cleared \(outcome.cleared)\n")
        }
        guard outcome.missing.isEmpty else {
            throw ShuntError(
                .connectionLost, "no answer from \(outcome.missing.joined(separator: ", "))",
                help: "what is retained there may not be cleared: look with `shunt admin retained`, and try again")
        }
    }
}
