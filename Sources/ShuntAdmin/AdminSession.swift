import ArgumentParser
import ShuntCore
import ShuntJSON
import ShuntRegistry
import Synchronization

/// One run of a subcommand: the source that it asks, and the console that it writes to.
struct AdminSession {
    let source: any AdminSource
    let console: Console
    let output: OutputFormat

    /// Asks the source. Returns the answer, and its JSON as it came.
    func ask<T: Decodable>(_ request: AdminRequest, as type: T.Type) async throws(ShuntError) -> (answer: T, json: String) {
        let json = try await source.answer(request)
        do {
            return (try RecordJSON.decode(type, from: json), String(decoding: json, as: UTF8.self))
        } catch {
            throw ShuntError(
                .masterUnavailable, "the answer is not what a master of this version gives", at: source.name,
                help: "use the `shunt` of the master's own version, or --output json with another tool")
        }
    }

    /// Writes a table that fits the terminal, and names the columns that have no room.
    func write(_ table: Table) throws(ShuntError) {
        let rendered = table.render(width: console.width, colors: console.colors)
        try console.write(rendered.text)
        if !rendered.hidden.isEmpty {
            note("hidden for want of room: \(rendered.hidden.joined(separator: ", ")); --output csv has all")
        }
    }

    /// Writes a text as it is; on a terminal, without characters that would steer it.
    func write(_ csv: CSV) throws(ShuntError) {
        guard console.isTerminal else { return try console.write(csv.text) }
        let lines = csv.text.split(separator: "\r\n", omittingEmptySubsequences: false)
        try console.write(lines.map { PrintableText.of(String($0), keepingLines: true) }.joined(separator: "\r\n"))
    }

    /// Writes JSON as it came; on a terminal, characters that would steer it are escaped, which JSON readers take for the same.
    func write(json: String) throws(ShuntError) {
        try console.write((console.isTerminal ? PrintableText.json(json) : json) + "\n")
    }

    func json(of answer: some Encodable) throws(ShuntError) -> String {
        do {
            return String(decoding: try RecordJSON.encode(answer), as: UTF8.self)
        } catch {
            throw ShuntError(.internalError, "the answer cannot be written as JSON: \(error)", at: source.name)
        }
    }

    /// Writes a remark for people beside the answer, in lines that fit.
    func note(_ text: String) { console.note(text) }

    /// The whole name of the worker whose lists are asked for: the beginning of the name is enough if only one worker's name begins so.
    /// - Throws: `worker.unknown` if no worker has the name.
    func worker(_ name: String) async throws(ShuntError) -> String {
        guard !name.isEmpty else {
            throw ShuntError(.usage, "the worker's name is empty", help: "give one that `shunt admin workers` lists")
        }
        return try await ask(.worker(name), as: WorkerRecord.self).answer.name
    }
}

/// The master's remarks: each is written once, however many questions a command asks.
private final class Remarks: Sendable {
    private let console: Console
    private let written = Mutex<Set<String>>([])

    init(_ console: Console) { self.console = console }

    func add(_ text: String) {
        let isNew = written.withLock { $0.count < 10 && $0.insert(text).inserted }
        if isNew { console.note(text) }
    }
}

extension Console {
    fileprivate func note(_ text: String) {
        for line in Text.wrap(Text.printable(text), to: width) { writeError(line + "\n") }
    }
}

/// A command whose errors are sentences for people, and whose exit code says what kind of error it was.
protocol ConsoleCommand: AsyncParsableCommand {
    func report(on console: Console) async throws(ShuntError)
}

extension ConsoleCommand {
    func run() async throws {
        try await run(on: .standard)
    }

    /// Writes errors to the console as sentences, and throws only the exit code.
    func run(on console: Console) async throws(ExitCode) {
        do throws(ShuntError) {
            try await report(on: console)
        } catch {
            let place = error.location.map { "\(Text.printable($0)): " } ?? ""
            console.writeError("shunt: \(place)\(Text.printable(error.message)) (\(error.code.rawValue))\n")
            if let help = error.help { console.writeError("       \(Text.printable(help))\n") }
            throw ExitCode(error.code.exitCode)
        }
    }
}

/// A subcommand of `shunt admin` that asks the master, or its registry.
protocol AdminSubcommand: ConsoleCommand {
    var options: AdminOptions { get }

    func report(_ session: AdminSession) async throws(ShuntError)
}

extension AdminSubcommand {
    func report(on console: Console) async throws(ShuntError) {
        let remarks = Remarks(console)
        let source = try options.source(
            environment: console.environment, now: console.now, say: { console.note($0) }, note: { remarks.add($0) })
        try await report(AdminSession(source: source, console: console, output: options.output))
    }
}
