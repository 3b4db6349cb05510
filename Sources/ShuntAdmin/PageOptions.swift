import ArgumentParser

/// The part of a long list; at most as many entries as the admin API gives at once.
struct PageOptions: ParsableArguments {
    static let maximumLimit = 1_000

    @Option(parsing: .unconditional, help: "How many, at most \(PageOptions.maximumLimit).")
    var limit = 100

    @Option(parsing: .unconditional, help: "How many to skip.")
    var offset = 0

    func validate() throws {
        guard (1...Self.maximumLimit).contains(limit) else {
            throw ValidationError("--limit is \(limit): give a number from 1 to \(Self.maximumLimit).")
        }
        guard offset >= 0 else { throw ValidationError("--offset is \(offset): give 0 or more.") }
    }
}
