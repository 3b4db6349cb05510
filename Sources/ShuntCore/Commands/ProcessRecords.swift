/// One setting of a process.
public struct SettingRecord: Codable, Equatable, Sendable {
    /// `limits.frame`, `worker.listeners.mqtt.listen`.
    public var key: String
    /// YAML in one line; `(hidden)` where it may hold secrets.
    public var value: String
    /// Where it was given: `file:line:column`, `--set key` or a variable's name; nil if its default holds.
    public var place: String?
    /// What it will be from the next start on, where that is another value.
    public var next: String?

    public init(key: String, value: String, place: String? = nil, next: String? = nil) {
        (self.key, self.value, self.place, self.next) = (key, value, place, next)
    }
}

/// The settings with which a process runs.
public struct SettingsRecord: Codable, Equatable, Sendable {
    public var settings: [SettingRecord]

    public init(settings: [SettingRecord]) { self.settings = settings }
}

/// What came of reading a process's configuration again.
public struct ReloadRecord: Codable, Equatable, Sendable {
    /// Keys, with their old and new values, that have changed.
    public var changed: [String]
    /// The same of those that stay until the next start.
    public var waiting: [String]

    public init(changed: [String], waiting: [String]) { (self.changed, self.waiting) = (changed, waiting) }
}

/// Which level a process's log is to have from now on, until its configuration is read again; nothing given: none changes.
public struct LogLevelRequest: Codable, Equatable, Sendable {
    /// One of trace, debug, info, notice, warning, error, critical.
    public var level: String?
    /// The subsystem that is meant; nil: all.
    public var subsystem: String?

    public init(level: String? = nil, subsystem: String? = nil) { (self.level, self.subsystem) = (level, subsystem) }
}

/// The levels of a process's log.
public struct LogLevelsRecord: Codable, Equatable, Sendable {
    /// By subsystem.
    public var levels: [String: String]

    public init(levels: [String: String]) { self.levels = levels }
}

/// What a master's process and workers have answered.
public struct ProcessAnswersRecord<Answer: Codable & Sendable>: Codable, Sendable {
    /// The master's own; nil where one worker was asked, or the master's process is a worker's too.
    public var master: Answer?
    /// Why the master has not done it.
    public var error: WorkerAnswersRecord<Answer>.Problem?
    public var workers: [WorkerAnswersRecord<Answer>.Worker]
    public var missing: [String]

    public init(master: Result<Answer, ShuntError>?, _ answers: WorkerAnswersRecord<Answer>) {
        switch master {
        case .success(let answer): self.master = answer
        case .failure(let error): self.error = .init(error)
        case nil: break
        }
        (workers, missing) = (answers.workers, answers.missing)
    }
}
