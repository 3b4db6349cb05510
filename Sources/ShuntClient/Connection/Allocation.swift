import ExchangeCodec
import NIOCore
import ShuntCore

/// Asks a master which workers there are (§9.6): one short connection for each question.
enum Allocation {
    /// - Returns: the live workers, least loaded first; never none.
    /// - Throws: `worker.none` if the master knows none, `address.unavailable` or `connection.lost` if it is not there.
    static func ask(_ master: ServerAddress, options: ConnectionOptions) async throws(ShuntError) -> [ServerAddress] {
        var ids = RequestIDs.fresh()
        let id = ids.take()
        let reply = FrameConnection.loops.next().makePromise(of: Frame.self)
        let connection: FrameConnection
        do throws(ShuntError) {
            connection = try await FrameConnection.open(to: master, options: options) { _ in
                SingleReply(to: id, at: master, reply: reply)
            }
        } catch {
            reply.fail(error)
            throw error
        }
        defer { connection.close() }
        let answer = try await connection.request(.allocation(id: id, .all), reply: reply, timeout: options.replyTimeout)
        return try workers(in: answer, from: master)
    }

    static func workers(in answer: Frame, from master: ServerAddress) throws(ShuntError) -> [ServerAddress] {
        if answer.isError {
            let refusal = Refusal(answer)
            guard refusal.code == .workerNone else { throw refusal.error(at: master.description) }
            throw ShuntError(
                .workerNone, "the master knows no live worker", at: master.description,
                help: "start one with: shunt worker --config FILE, and see that its 'masters' names this master")
        }
        let listed = AllocationReply.decode(answer.text)
        var workers: [ServerAddress] = []
        for text in listed.prefix(maximumWorkers) {
            guard let worker = ServerAddress(text) else { continue }
            if !workers.contains(worker) { workers.append(worker) }
        }
        guard !workers.isEmpty else {
            throw ShuntError(.workerNone, "the master's list has no usable worker address", at: master.description)
        }
        return workers
    }

    /// More are not connected to.
    static let maximumWorkers = 1024
}

extension RequestIDs {
    /// For a connection that begins now.
    static func fresh(clock: ClientClock = .system) -> RequestIDs {
        RequestIDs(seconds: clock.milliseconds / 1000, salt: .random(in: 0...UInt32.max))
    }
}
