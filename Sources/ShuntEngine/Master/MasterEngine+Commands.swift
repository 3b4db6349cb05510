import ExchangeCodec
import ShuntCore

/// Operators' commands, which the workers perform. The master passes them on, and the answers back, and keeps nothing of them.
extension MasterEngine {
    /// An operator gives a command to all workers, or to one.
    /// - Returns: the command's number, by which `takeCommands` gives the answers, within the command's patience.
    /// - Throws: `worker.unknown`, `limit.memory` while too many commands are under way, `request.invalid` where the clients of a worker that is
    ///   to drain would have nowhere to go.
    public func command(_ command: WorkerCommand, now: Double) throws(ShuntError) -> Int64 {
        guard !commands.isFull else {
            throw ShuntError(.memoryLimit, "too many commands are under way", help: "try again in a moment")
        }
        var (asked, missing) = askable()
        if let worker = command.worker {
            asked = asked.filter { $0.value == worker }
            missing = missing.filter { $0 == worker }
            guard !asked.isEmpty || !missing.isEmpty else {
                throw ShuntError(
                    .workerUnknown, "no worker \(worker) takes commands of this master", help: "`shunt admin workers` lists the workers")
            }
        }
        try noteDrain(command, now: now)
        let id = ids.next(now: now)
        let frame = Frame.command(id: id, CommandRequestBody(command.name, arguments: command.arguments)).encoded()
        for connection in asked.keys { actions.append(.send(connection, frame)) }
        commands.begin(id, [], workers: asked, missing: missing, patience: command.patience, now: now)
        return id
    }

    /// Which workers take clients is decided here: the registry, and the workers' heartbeats, say it later.
    private func noteDrain(_ command: WorkerCommand, now: Double) throws(ShuntError) {
        guard let worker = command.worker else { return }
        switch command.name {
        case .drain: try directory.beginDrain(worker, now: now)
        case .undrain: directory.endDrain(worker)
        default: break
        }
    }

    /// What this master knows of its workers at this moment, by name.
    public var workers: [WorkerRecord] { directory.records }

    /// Tells a worker of message-channel how many connections it should have (exchange protocol §9.7). It says nothing to that.
    /// - Throws: `worker.unknown`, `connection.lost`.
    public func balance(_ worker: String, connections: Int, now: Double) throws(ShuntError) {
        guard directory.record(worker) != nil else { throw ShuntError(.workerUnknown, "no worker \(worker)") }
        guard let connection = directory.connection(of: worker) else { throw ShuntError(.connectionLost, "\(worker) is not connected") }
        actions.append(.send(connection, Frame.balance(id: ids.next(now: now), connections: connections).encoded()))
    }

    /// What has come of commands since.
    public func takeCommands() -> [(id: Int64, answers: WorkerAnswers)] {
        commands.takeEnded().map { ended in
            (ended.id, WorkerAnswers(answers: ended.sum.sorted { $0.worker < $1.worker }, missing: ended.missing))
        }
    }

    /// What a worker says of a command; nil where it can't be read.
    static func result(of frame: FrameView, _ value: Bytes?, _ start: UnsafeRawPointer) -> Result<[UInt8], ShuntError>? {
        guard frame.isError else { return value.flatMap { try? CommandAnswerBody(decoding: $0).result } }
        let text = frame.value(in: start).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return .failure(ShuntError(.internalError, "the worker has refused: \(text)"))
    }
}
