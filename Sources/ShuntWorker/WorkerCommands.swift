import ShuntCore
import Synchronization

/// Who performs the commands that operators give this worker: a handler for each command.
public final class WorkerCommands: Sendable {
    /// Performs a command, and gives its outcome, a JSON object, once and on any thread. Called on the control loop: what takes long is
    /// to be done elsewhere.
    public typealias Handler = @Sendable (_ arguments: [UInt8], _ done: @escaping Done) -> Void
    public typealias Done = @Sendable (Result<[UInt8], ShuntError>) -> Void

    private let handlers = Mutex<[WorkerCommand.Name: Handler]>([:])

    /// From now on this one performs the command.
    public func set(_ name: WorkerCommand.Name, _ handler: @escaping Handler) { handlers.withLock { $0[name] = handler } }

    func perform(_ name: WorkerCommand.Name, arguments: [UInt8], _ done: @escaping Done) {
        guard let handler = handlers.withLock({ $0[name] }) else {
            return done(.failure(ShuntError(.requestUnsupported, "this worker does not perform \(name.rawValue)")))
        }
        handler(arguments, done)
    }
}
