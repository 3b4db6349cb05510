import Logging

/// The handler of one logger: it formats entries for the log.
struct ShuntLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private let system: LogSystem
    private let subsystem: String
    private let level: LogLevels.Level
    /// The level of this logger alone, in place of its subsystem's level.
    private var ownLevel: Logger.Level?

    init(system: LogSystem, subsystem: String, level: LogLevels.Level) {
        self.system = system
        self.subsystem = subsystem
        self.level = level
    }

    var logLevel: Logger.Level {
        get { ownLevel ?? level.value }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get(), !provided.isEmpty { all.merge(provided) { _, new in new } }
        if let given = event.metadata, !given.isEmpty { all.merge(given) { _, new in new } }
        if let error = event.error, all["error"] == nil { all["error"] = "\(error)" }
        system.log(event.level, subsystem, event.message.description, all)
    }
}
