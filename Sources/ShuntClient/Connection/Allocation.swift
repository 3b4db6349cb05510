import ExchangeCodec
import NIOCore
import ShuntCore

/// Asks a master which workers there are (§9.6): one short connection for each question.
enum Allocation {
    /// - Returns: the live workers, least loaded first; never none.
    /// - Throws: `worker.none` if the master knows no worker, `address.unavailable` or `connection.lost` if the master is not there.
    static func ask(_ master: HostPort, options: ConnectionOptions) async throws(ShuntError) -> [HostPort] {
        try workers(in: await answer(of: master, to: .allocation(id: 0, .all), options), from: master)
    }

    /// - Returns: the workers that hold an online device of this uid; empty if the master knows none, or does not know the question.
    /// - Throws: `address.unavailable` or `connection.lost` if it is not there.
    static func ask(
        _ master: HostPort, holding uid: String, options: ConnectionOptions
    ) async throws(ShuntError) -> [HostPort] {
        let answer = try await answer(of: master, to: .allocation(id: 0, DeviceAllocationBody(uid: uid)), options)
        // Message-channel's masters send another answer, which has no name and means nothing here.
        guard !answer.isError, answer.name == DeviceAllocationBody.frameName else { return [] }
        return addresses(in: answer)
    }

    private static func answer(
        of master: HostPort, to question: Frame, _ options: ConnectionOptions
    ) async throws(ShuntError) -> Frame {
        var ids = RequestIDs.fresh()
        let id = ids.take()
        let reply = ServerConnection.loops.next().makePromise(of: Frame.self)
        let connection: ServerConnection
        do throws(ShuntError) {
            connection = try await ServerConnection.open(toMaster: master, options: options) { _ in
                SingleReply(to: id, at: master, reply: reply)
            }
        } catch {
            reply.fail(error)
            throw error
        }
        defer { connection.close() }
        var question = question
        question.id = id
        return try await connection.request(question, reply: reply, timeout: options.replyTimeout)
    }

    static func workers(in answer: Frame, from master: HostPort) throws(ShuntError) -> [HostPort] {
        if answer.isError {
            let refusal = Refusal(answer)
            guard refusal.code == .workerNone else { throw refusal.error(at: master.description) }
            throw ShuntError(
                .workerNone, "the master knows no live worker", at: master.description,
                help: "start one with: shunt worker --config FILE, and see that its 'masters' names this master")
        }
        let workers = addresses(in: answer)
        guard !workers.isEmpty else {
            throw ShuntError(.workerNone, "the master's list has no usable worker address", at: master.description)
        }
        return workers
    }

    /// The addresses that can be read, each once.
    private static func addresses(in answer: Frame) -> [HostPort] {
        var workers: [HostPort] = []
        for text in AllocationReply.decode(answer.text).prefix(maximumWorkers) {
            guard let worker = HostPort(text) else { continue }
            if !workers.contains(worker) { workers.append(worker) }
        }
        return workers
    }

    /// The most workers that a client connects to.
    static let maximumWorkers = 1024
}

extension RequestIDs {
    /// The ids of a connection that begins now.
    static func fresh(clock: ClientClock = .system) -> RequestIDs {
        RequestIDs(seconds: clock.milliseconds / 1000, salt: .random(in: 0...UInt32.max))
    }
}
