import ArgumentParser
import ShuntConfig
import ShuntCore

/// `shunt admin reload`: has processes read their configuration again.
struct ReloadCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have the master and all workers read their configuration again, as SIGHUP does.",
        discussion: """
            Files of rules, passwords, lists and certificates are read again too. A process whose configuration is wrong keeps the old one \
            and says why. Keys that only count at the start are listed as waiting.

              shunt admin reload
              shunt admin reload --worker edge-1
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let (answers, json) = try await session.ask(.reload(worker: worker), as: ProcessAnswersRecord<ReloadRecord>.self)
        let found = await session.named(answers)
        let rows = found.processes.map { process in
            [process.name, Self.list(process.answer?.changed), Self.list(process.answer?.waiting)]
        }
        try ProcessListing.write(rows, ["process", "changed", "waiting for a restart"], json, session)
        try ProcessListing.tell(found, session, missing: "it may still do it: `shunt admin config` shows the settings with which it runs")
    }

    private static func list(_ changes: [String]?) -> String {
        guard let changes, !changes.isEmpty else { return "nothing" }
        return changes.joined(separator: "; ")
    }
}

/// `shunt admin config`: the settings of processes.
struct ConfigCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Show the settings with which the master and the workers run, and where each was given.",
        discussion: """
            Settings that were given; --effective shows the defaults too. KEY is a key or the beginning of one. Values that may hold secrets \
            are hidden.

              shunt admin config
              shunt admin config limits --effective --worker edge-1
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    @Flag(help: "Show all settings, those whose default holds too.")
    var effective = false

    @Argument(help: "Only this key, or those below it: limits, worker.listeners.mqtt.")
    var key: String?

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let (answers, json) = try await session.ask(.configuration(worker: worker), as: ProcessAnswersRecord<SettingsRecord>.self)
        let found = await session.named(answers)
        let rows = found.processes.flatMap { process in
            (process.answer?.settings ?? []).filter(isShown).map { [$0.key, $0.value, $0.next ?? "", $0.place ?? "default", process.name] }
        }
        if rows.isEmpty, let key, !found.processes.isEmpty {
            guard found.processes.contains(where: { $0.answer?.settings.contains { Self.is($0.key, below: key) } == true }) else {
                throw ShuntError(.notFound, "there is no key '\(key)'", help: "`shunt admin config --effective` lists them")
            }
        }
        let shown = session.output == .json ? try session.json(of: answers.keeping(isShown)) : json
        try ProcessListing.write(rows, ["key", "value", "from the next start", "given", "process"], shown, session)
        if rows.isEmpty, found.missing.isEmpty, session.output == .table { session.note("the defaults hold; --effective shows them") }
        try ProcessListing.tell(found, session, missing: "with what it runs is not shown", isReading: true)
    }

    private func isShown(_ setting: SettingRecord) -> Bool {
        (effective || setting.place != nil || setting.next != nil) && (key.map { Self.is(setting.key, below: $0) } ?? true)
    }

    private static func `is`(_ key: String, below other: String) -> Bool { key == other || key.hasPrefix(other + ".") }
}

/// `shunt admin log LEVEL`: what processes log.
struct LogCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Show how much the master and the workers log, or have them log more or less.",
        discussion: """
            The level holds until the process reads its configuration again (log.level, log.levels).

              shunt admin log
              shunt admin log debug --subsystem link
              shunt admin log info --worker edge-1
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    @Option(
        help: "Only this subsystem: \(Configuration.Log.Subsystem.allCases.map(\.rawValue).joined(separator: ", ")).",
        completion: .list(Configuration.Log.Subsystem.allCases.map(\.rawValue)))
    var subsystem: String?

    @Argument(
        help: "\(Configuration.Log.Level.allCases.map(\.rawValue).joined(separator: ", ")): the lowest level that is written.",
        completion: .list(Configuration.Log.Level.allCases.map(\.rawValue)))
    var level: String?

    func validate() throws {
        if let level, Configuration.Log.Level(rawValue: level) == nil {
            let levels = Configuration.Log.Level.allCases.map(\.rawValue)
            let near = Suggestion.closest(to: level, in: levels).map { "did you mean \($0)?" } ?? "give one of " + levels.joined(separator: ", ")
            throw ValidationError("'\(level)' is no level: \(near)")
        }
        guard let subsystem else { return }
        guard level != nil else { throw ValidationError("--subsystem needs a level.") }
        guard Configuration.Log.Subsystem(rawValue: subsystem) != nil else {
            let all = Configuration.Log.Subsystem.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--subsystem is '\(subsystem)': give one of \(all).")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let request = LogLevelRequest(level: level, subsystem: subsystem)
        let (answers, json) = try await session.ask(.log(request, worker: worker), as: ProcessAnswersRecord<LogLevelsRecord>.self)
        let found = await session.named(answers)
        let rows = found.processes.flatMap { process in
            (process.answer?.levels ?? [:]).sorted { $0.key < $1.key }.map { [$0.key, $0.value, process.name] }
        }
        try ProcessListing.write(rows, ["subsystem", "level", "process"], json, session)
        let consequence = level == nil ? "how much it logs is not shown" : "it may still do it: `shunt admin log` shows how much it logs"
        try ProcessListing.tell(found, session, missing: consequence, isReading: level == nil)
    }
}

enum ProcessListing {
    static func write(_ rows: [[String]], _ columns: [String], _ json: String, _ session: AdminSession) throws(ShuntError) {
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: columns.map { $0.replacing(" ", with: "_") })
            for row in rows { csv.append(row) }
            try session.write(csv)
        case .table:
            let ranks = columns.indices.map { columns.count - $0 }
            try session.write(
                Table(
                    columns: columns.indices.map { .init(title: columns[$0].uppercased(), wraps: true, rank: ranks[$0]) },
                    rows: rows.map { $0.map { .init($0) } }))
        }
    }

    /// Tells which processes have not done it, and ends with an error where one has refused or not answered.
    /// - Parameters:
    ///   - consequence: of workers that have not answered.
    ///   - isReading: the command only reads: then the answers that have come are enough, and the command succeeds.
    static func tell<Answer>(
        _ found: ProcessAnswersRecord<Answer>, _ session: AdminSession, missing consequence: String, isReading: Bool = false
    ) throws(ShuntError) {
        var refusals = found.workers.compactMap { worker in worker.error.map { (worker.worker, $0) } }
        if let error = found.error { refusals.insert(("the master", error), at: 0) }
        if refusals.isEmpty, !isReading || found.processes.isEmpty { return try session.requireAnswers(found.missing, consequence) }
        if !found.missing.isEmpty { session.note("no answer from \(found.missing.joined(separator: ", ")): \(consequence)") }
        guard let first = refusals.first else { return }
        for (name, problem) in refusals.dropFirst() {
            session.note("\(name): " + (problem.location.map { "\($0): " } ?? "") + "\(problem.message) (\(problem.code))")
        }
        let place = first.1.location.map { "\(first.0): \($0)" } ?? first.0
        throw ShuntError(ErrorCode(rawValue: first.1.code) ?? .internalError, first.1.message, at: place, help: first.1.help)
    }
}

extension ProcessAnswersRecord<SettingsRecord> {
    /// Only some settings of each process.
    fileprivate func keeping(_ isKept: (SettingRecord) -> Bool) -> Self {
        var kept = self
        kept.master?.settings.removeAll { !isKept($0) }
        for place in kept.workers.indices { kept.workers[place].answer?.settings.removeAll { !isKept($0) } }
        return kept
    }
}

extension ProcessAnswersRecord {
    /// The processes that have answered, the master first.
    var processes: [(name: String, answer: Answer?)] {
        (master.map { [("master", Optional($0))] } ?? []) + workers.filter { $0.answer != nil }.map { ($0.worker, $0.answer) }
    }
}
