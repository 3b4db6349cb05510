import ShuntConfig
import ShuntCore
import ShuntJSON
import ShuntLog
import ShuntWorker
import Synchronization

/// What operators have a process do that is no matter of its loops: a command, and who waits for its outcome.
struct ProcessCommand: Sendable {
    static let names: [WorkerCommand.Name] = [.configuration, .reload, .logLevels]

    let name: WorkerCommand.Name
    /// A JSON object.
    let arguments: [UInt8]
    /// Takes a JSON object, once.
    let done: @Sendable (Result<[UInt8], ShuntError>) -> Void

    /// Has it performed after what the process has been told before. A process that has been told to end performs no more.
    func submit(_ add: (Signals.Event) -> Void) {
        guard !Signals.isStopRequested.load(ordering: .relaxed) else {
            return done(.failure(ShuntError(.connectionLost, "the process ends", help: "ask again when it runs")))
        }
        add(.command(self))
    }

    /// Answers with a record.
    static func answer(_ record: some Encodable) -> Result<[UInt8], ShuntError> {
        Result { try RecordJSON.encode(record) }.mapError { ShuntError(.internalError, "the answer cannot be written as JSON: \($0)") }
    }
}

extension LogLevelRequest {
    /// Carries it out for this process's log.
    func apply() throws(ShuntError) {
        guard let level else { return }
        guard let level = Configuration.Log.Level(rawValue: level), subsystem == nil || Configuration.Log.Subsystem(rawValue: subsystem ?? "") != nil
        else {
            throw ShuntError(
                .requestInvalid, "'\(level)' is no level, or '\(subsystem ?? "")' no subsystem of this process's log",
                help: "master and workers want the same version of Shunt")
        }
        ShuntLog.set(level, of: subsystem.flatMap(Configuration.Log.Subsystem.init(rawValue:)))
    }
}

extension SettingsRecord {
    /// - Parameter next: the configuration as it was read last.
    init(running: Configuration, next: Configuration) {
        let later = Dictionary(next.settings.map { ($0.key, $0.value) }) { first, _ in first }
        self.init(
            settings: running.settings.map { setting in
                let value = later[setting.key]
                return SettingRecord(key: setting.key, value: setting.value, place: setting.place, next: value == setting.value ? nil : value)
            })
    }
}
