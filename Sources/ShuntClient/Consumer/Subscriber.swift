import ExchangeCodec
import NIOCore
import ShuntCore

/// Keeps a consumer subscribed at every worker: one task decides, one task for each worker connects, one asks the masters.
struct Subscriber: Sendable {
    let configuration: ConsumerConfiguration
    let inbox: Inbox<ReceivedMessage>
    /// Succeeds with the first subscription.
    let start: FirstResult
    let onEvent: @Sendable (ConsumerEvent) -> Void

    private enum Event: Sendable {
        case listed([HostPort])
        case mastersFailed(ShuntError)
        case subscribed(HostPort)
        /// For good.
        case refused(ShuntError)
        /// `lifetime` is nil if the worker never took the subscription.
        case ended(HostPort, lifetime: Duration?, ShuntError)
        case patienceOver
    }

    private typealias Events = AsyncStream<Event>.Continuation
    private var options: ConnectionOptions { configuration.connection }

    /// Runs until the task is cancelled, or a worker refuses the subscription for good.
    func run() async {
        let (stream, events) = AsyncStream<Event>.makeStream()
        await withDiscardingTaskGroup { group in
            group.addTask { await endPatience(events) }
            switch configuration.route {
            case .masters(let masters): group.addTask { await refresh(masters, events) }
            case .workers, .mqtt: events.yield(.listed(configuration.route.addresses))
            }
            var progress = Progress(workers: WorkerSet(backoff: options.backoff))
            for await event in stream {
                for case .connect(let worker, let delay) in handle(event, &progress) {
                    group.addTask { await serve(worker, after: delay, events) }
                }
                if progress.isOver { break }
            }
            group.cancelAll()
        }
    }

    private struct Progress {
        var workers: WorkerSet
        var isMasterAway = false
        var isOver = false
        var failure = ShuntError(.addressUnavailable, "no server was found")
    }

    private func handle(_ event: Event, _ progress: inout Progress) -> [WorkerSet.Action] {
        switch event {
        case .listed(let workers):
            if progress.isMasterAway { onEvent(.masterBack) }
            progress.isMasterAway = false
            return progress.workers.listed(workers)
        case .mastersFailed(let error):
            progress.failure = error
            if !progress.isMasterAway { onEvent(.masterUnavailable(error)) }
            progress.isMasterAway = true
        case .subscribed(let worker):
            onEvent(.subscribed(worker, isBack: progress.workers.subscribed(worker)))
            start.resolve(.success(()))
        case .refused(let error):
            start.resolve(.failure(error))
            inbox.finish(.failure(error))
            progress.isOver = true
        case .ended(let worker, let lifetime, let error):
            progress.failure = error
            if progress.workers.away(worker) {
                onEvent(lifetime == nil ? .unavailable(worker, error) : .lost(worker, error))
            }
            return progress.workers.lost(worker, after: lifetime ?? .zero, random: .random(in: 0..<1))
        case .patienceOver:
            start.resolve(.failure(progress.failure))
        }
        return []
    }

    private func endPatience(_ events: Events) async {
        try? await Task.sleep(for: options.patience)
        events.yield(.patienceOver)
    }

    // MARK: Masters

    /// Asks the masters for workers again and again; more often while no master answers.
    private func refresh(_ masters: [HostPort], _ events: Events) async {
        var backoff = options.backoff
        while !Task.isCancelled {
            do throws(ShuntError) {
                events.yield(.listed(try await ask(masters)))
                backoff.reset()
                try? await Task.sleep(for: configuration.refresh)
            } catch {
                events.yield(.mastersFailed(error))
                try? await Task.sleep(for: min(configuration.refresh, backoff.next(random: .random(in: 0..<1))))
            }
        }
    }

    /// The first answer that one of the masters gives.
    private func ask(_ masters: [HostPort]) async throws(ShuntError) -> [HostPort] {
        var failure: ShuntError?
        for master in masters {
            do throws(ShuntError) { return try await Allocation.ask(master, options: options) } catch { failure = error }
        }
        throw failure ?? ShuntError(.masterUnavailable, "no master to ask")
    }

    // MARK: Workers

    /// One connection, from the attempt to its end.
    private func serve(_ worker: HostPort, after delay: Duration, _ events: Events) async {
        if delay > .zero { try? await Task.sleep(for: delay) }
        guard !Task.isCancelled else { return }
        let loop = ServerConnection.loops.next()
        let subscribed = loop.makePromise(of: Frame.self)
        let closing = loop.makePromise(of: ShuntError.self)
        do throws(ShuntError) {
            let (connection, answer) = try await subscribe(at: worker, subscribed, closing)
            if answer.isError {
                connection.close()
                let refusal = Refusal(answer)
                let error = refusal.error(at: worker.description)
                if refusal.isPermanent { events.yield(.refused(error)) }
                throw error
            }
            events.yield(.subscribed(worker))
            let since = ClientClock.system.now
            await withTaskCancellationHandler {
                await connection.closed()
            } onCancel: {
                connection.close()
            }
            let error = (try? await closing.futureResult.get()) ?? .hungUp(worker)
            events.yield(.ended(worker, lifetime: ClientClock.system.now - since, error))
        } catch {
            // Both may have their value already; if the connection never came about, they have not.
            subscribed.fail(error)
            closing.succeed(error)
            if error.refusesIdentity { events.yield(.refused(error)) }
            events.yield(.ended(worker, lifetime: nil, error))
        }
    }

    private func subscribe(
        at worker: HostPort, _ subscribed: EventLoopPromise<Frame>, _ closing: EventLoopPromise<ShuntError>
    ) async throws(ShuntError) -> (ServerConnection, Frame) {
        var ids = RequestIDs.fresh()
        let id = ids.take()
        let connection = try await ServerConnection.open(toWorker: worker, options: options, keepsAlive: true) { [inbox] connection in
            ConsumerReceiver(
                connection: connection, inbox: inbox, subscribeID: id, subscribed: subscribed, onClose: closing)
        }
        do throws(ShuntError) {
            let request = Frame.subscribe(id: id, configuration.subscription)
            return (connection, try await connection.request(request, reply: subscribed, timeout: options.replyTimeout))
        } catch {
            connection.close()
            throw error
        }
    }
}
