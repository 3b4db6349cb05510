import ExchangeCodec
import NIOCore
import ShuntCore

/// Broadcasts to devices, wherever they are connected.
///
/// A worker knows only its own devices, so a broadcast goes to every worker that a master lists. A broadcast for a uid goes only to the
/// workers that hold a device of the uid; Shunt's masters know them a moment after the device has registered. If the master names no
/// worker, or the device has left the named workers, the notifier asks the other workers too. A worker without a match says so at
/// once, and its devices are not disturbed. One short connection to each worker for each broadcast.
///
/// Over MQTT a broadcast is one message to `$shunt/notify`. A broker says at most, in 5.0 and with QoS 1 or 2, that nobody gets it.
public struct Notifier: Sendable {
    /// Where the workers are found.
    public var route: ClientRoute
    /// How connections are made.
    public var connection: ConnectionOptions
    /// The most workers that get the broadcast at the same time.
    public var concurrency: Int

    /// A notifier for these servers. It keeps no connection.
    public init(route: ClientRoute, connection: ConnectionOptions = ConnectionOptions(), concurrency: Int = 64) {
        self.route = route
        self.connection = connection
        self.concurrency = concurrency
    }

    /// Sends a message to the devices that the filter takes, and waits for every worker's answer.
    ///
    /// Each worker is tried once: a broadcast is delivered at most once.
    /// - Throws: `usage` without an address, `filter.invalid`; `address.unavailable`, `connection.lost` or `worker.none` if
    ///   no master could name a worker within `ConnectionOptions.patience`.
    public func send(_ message: String, to filter: DeviceFilter = .all) async throws(ShuntError) -> NotifyReport {
        try route.check()
        try filter.validate()
        let body = NotifyBody(message: message, filter)
        if case .mqtt(let broker, let options) = route { return NotifyReport(workers: [try await publish(body, broker, options)]) }
        let holders = await holders(of: filter.uid)
        var report = NotifyReport(workers: await notify(holders, body))
        if report.isWithoutMatch {
            let others = try await workers().filter { !holders.contains($0) }
            report.workers += await notify(others, body)
        }
        return report
    }

    private func publish(_ body: NotifyBody, _ broker: HostPort, _ options: MQTTOptions) async throws(ShuntError) -> NotifyReport.Worker {
        let sender = MQTTSender(ProducerConfiguration(route: route, connection: connection), broker, options)
        try await sender.client.begin()
        let message = OutgoingMessage(topic: NotifyBody.mqttTopic, payload: body.encoded(), format: .json)
        let outcome = await sender.client.publish(message)
        let address = sender.address ?? broker
        await sender.disconnect()
        return NotifyReport.Worker(address, NotifyReport.Outcome(outcome))
    }

    private func notify(_ workers: [HostPort], _ body: NotifyBody) async -> [NotifyReport.Worker] {
        var results = [NotifyReport.Worker?](repeating: nil, count: workers.count)
        await withTaskGroup(of: (Int, NotifyReport.Worker).self) { group in
            for (number, worker) in workers.enumerated() {
                if number >= max(1, concurrency), let (done, result) = await group.next() { results[done] = result }
                group.addTask { (number, await self.notify(worker, body)) }
            }
            for await (done, result) in group { results[done] = result }
        }
        return results.compactMap { $0 }
    }

    /// The workers with an online device of this uid, from the first master that answers. Empty if that master knows none or, as Java
    /// masters, does not know the question, and if there is no master.
    private func holders(of uid: String?) async -> [HostPort] {
        guard let uid, case .masters(let masters) = route else { return [] }
        for master in masters {
            // The question for all workers meets the same error of the masters, and throws it.
            if let holders = try? await Allocation.ask(master, holding: uid, options: connection) { return holders }
        }
        return []
    }

    /// All workers, from the first master that answers.
    private func workers() async throws(ShuntError) -> [HostPort] {
        guard case .masters = route else { return route.addresses }
        var search = WorkerSearch(route: route, backoff: connection.backoff)
        let deadline = ClientClock.system.now + connection.patience
        var failure = ShuntError(.addressUnavailable, "no server was found")
        while true {
            switch search.next(random: .random(in: 0..<1)) {
            case .ask(let master):
                do throws(ShuntError) {
                    return try await Allocation.ask(master, options: connection)
                } catch {
                    failure = error
                    search.askFailed()
                }
            case .pause(let pause):
                guard !Task.isCancelled, ClientClock.system.now + pause < deadline else { throw failure }
                try? await Task.sleep(for: pause)
            case .connect: break
            }
        }
    }

    private func notify(_ worker: HostPort, _ body: NotifyBody) async -> NotifyReport.Worker {
        do throws(ShuntError) {
            return NotifyReport.Worker(worker, NotifyReport.Outcome(try await exchange(with: worker, body)))
        } catch {
            return NotifyReport.Worker(worker, .unreachable(error))
        }
    }

    private func exchange(with worker: HostPort, _ body: NotifyBody) async throws(ShuntError) -> Frame {
        var ids = RequestIDs.fresh()
        let id = ids.take()
        let reply = ServerConnection.loops.next().makePromise(of: Frame.self)
        let connection: ServerConnection
        do throws(ShuntError) {
            connection = try await ServerConnection.open(toWorker: worker, options: self.connection) { _ in
                SingleReply(to: id, at: worker, reply: reply)
            }
        } catch {
            reply.fail(error)
            throw error
        }
        defer { connection.close() }
        return try await connection.request(.notify(id: id, body), reply: reply, timeout: self.connection.replyTimeout)
    }
}

extension NotifyBody {
    init(message: String, _ filter: DeviceFilter) {
        self.init(
            message: message, uid: filter.uid, device: filter.device, matchTags: filter.matchTags,
            matchAlias: filter.matchAlias, filterTags: filter.filterTags, filterAlias: filter.filterAlias)
    }
}
