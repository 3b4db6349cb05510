import ArgumentParser
import ShuntCore

/// What `trace` and `record` follow.
struct FollowOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Only messages of these topics: a topic filter, as in 'orders/#'.", valueName: "filter"))
    var topic: String

    @Option(help: "Only messages that this user sends.")
    var uid: String?

    @Option(help: ArgumentHelp("Only messages of the client with this identifier, or device.", valueName: "id"))
    var client: String?

    @Option(name: .customLong("for"), help: ArgumentHelp("How long, as in 60s or 5m; without it until it is stopped.", valueName: "time"))
    var duration: String?

    @Option(help: ArgumentHelp("End after so many messages.", valueName: "number"))
    var limit: Int?

    func validate() throws {
        guard limit.map({ $0 > 0 }) ?? true else { throw ValidationError("--limit is a number from 1.") }
        if let duration, Self.seconds(duration) == nil { throw ValidationError("--for is a time such as 60s, 5m or 1h.") }
    }

    var seconds: Double? { duration.flatMap(Self.seconds) }

    private static func seconds(_ text: String) -> Double? {
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
        guard let (unit, size) = units.first(where: { text.hasSuffix($0.0) }), let count = Double(text.dropLast(unit.count)) else { return nil }
        return (0.001...1e7).contains(count * size) ? count * size : nil
    }

    func request(payloads: Bool) -> TraceRequest {
        var request = TraceRequest(topic: topic)
        (request.uid, request.client, request.payloads) = (uid, client, payloads)
        return request
    }
}

/// `shunt admin trace`: live messages, a line a step.
struct TraceCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Follow live messages through the rules, a line a step.",
        discussion: """
            Received from whom, what each rule decides and why, to how many it went. Payloads are hidden unless --payloads, which needs a \
            token of role operate and is an event. Ends by Ctrl-C, --for or --limit; workers end a trace that nobody reads after 15 seconds. \
            A loop tells at most 1,000 messages a second.

              shunt admin trace --topic 'orders/#'
              shunt admin trace --topic 'orders/#' --uid bob --for 60s
              shunt admin trace --topic orders/7 --payloads --limit 10
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption
    @OptionGroup var follow: FollowOptions

    @Flag(help: "Show payloads.")
    var payloads = false

    func report(_ session: AdminSession) async throws(ShuntError) {
        guard session.output != .csv else { throw ShuntError(.usage, "trace has no CSV", help: "use --output json: a line of JSON for each message") }
        let worker = try await only.name(session)
        try await Follower(session, follow, payloads: payloads).run(worker) { (worker, message) throws(ShuntError) in
            guard session.output == .json else { return try session.console.write(TraceReport.lines(worker, message)) }
            try session.write(json: try session.json(of: TraceReport.Line(worker: worker, message: message)))
        }
    }
}

/// Reads a trace of all workers until its end.
struct Follower {
    private let session: AdminSession
    private let options: FollowOptions
    private let payloads: Bool

    /// Seconds between two looks.
    private static let pause = 0.25

    init(_ session: AdminSession, _ options: FollowOptions, payloads: Bool) {
        (self.session, self.options, self.payloads) = (session, options, payloads)
    }

    func run(_ worker: String?, take: (String, TracedMessage) throws(ShuntError) -> Void) async throws(ShuntError) {
        let request = options.request(payloads: payloads)
        let (begun, _) = try await session.ask(.trace(.begin(request, worker: worker)), as: WorkerAnswersRecord<TraceID>.self)
        let names = await session.workerNames()
        session.noteRefusals(await session.named(begun))
        session.noteMissing(await session.named(begun), "it is not followed")
        try session.requireWorkers(begun)
        guard let id = begun.workers.compactMap({ $0.answer?.id }).first else {
            guard let error = begun.workers.first?.error else { throw ShuntError(.connectionLost, "no worker is connected to this master") }
            throw ShuntError(ErrorCode(rawValue: error.code) ?? .internalError, error.message, at: begun.workers.first?.worker, help: error.help)
        }
        let workers = begun.workers.filter { $0.answer != nil }.map(\.worker)
        let interrupt = Interrupt()
        session.note(
            "following \(options.topic) at \(workers.map { names[$0] }.joined(separator: ", "))" + (options.seconds == nil ? "; Ctrl-C ends it" : ""))
        var failure: ShuntError?
        do throws(ShuntError) {
            try await read(id, workers, interrupt) { (worker, message) throws(ShuntError) in try take(names[worker], message) }
        } catch {
            failure = error
        }
        _ = try? await session.source.answer(.trace(.end(TraceQuestion(id: id, after: 0, payloads: payloads))))
        if let failure { throw failure }
    }

    private func read(
        _ id: String, _ workers: [String], _ interrupt: Interrupt, take: (String, TracedMessage) throws(ShuntError) -> Void
    ) async throws(ShuntError) {
        var places = Dictionary(uniqueKeysWithValues: workers.map { ($0, (after: 0, skipped: 0)) })
        var taken = 0
        let began = ContinuousClock.now
        while !places.isEmpty {
            let isLast = interrupt.isSet || Task.isCancelled || options.seconds.map { ContinuousClock.now - began >= .seconds($0) } ?? false
            for worker in workers {
                while let place = places[worker] {
                    guard let page = try await page(id, worker, after: place.after) else {
                        places[worker] = nil
                        break
                    }
                    if page.lost > 0 { session.note("\(worker): \(page.lost) messages were lost: they came faster than they were read") }
                    for message in page.messages {
                        try take(worker, message)
                        taken += 1
                        if let limit = options.limit, taken >= limit { return }
                    }
                    if page.skipped > place.skipped {
                        let count = page.skipped - place.skipped
                        session.note("\(worker): \(count) messages were not looked at: more than 1,000 a second came on a loop")
                    }
                    places[worker] = (page.messages.last?.number ?? place.after + page.lost, page.skipped)
                    if !page.hasMore { break }
                }
            }
            if isLast { return }
            let isShort = options.seconds.map { .seconds($0) - (ContinuousClock.now - began) } ?? .seconds(Self.pause)
            try? await Task.sleep(for: max(.milliseconds(1), min(isShort, .seconds(Self.pause))))
        }
    }

    private func page(_ id: String, _ worker: String, after: Int) async throws(ShuntError) -> TracePage? {
        let question = TraceQuestion(id: id, after: after, payloads: payloads)
        let answer: WorkerAnswersRecord<TracePage>
        do throws(ShuntError) {
            answer = try await session.ask(.trace(.read(question, worker: worker)), as: WorkerAnswersRecord<TracePage>.self).answer
        } catch {
            switch error.code {
            case .workerUnknown: session.note("\(worker) has gone")
            case .notFound: session.note("\(worker): \(error.message)")
            default: throw error
            }
            return nil
        }
        if let page = answer.workers.first?.answer { return page }
        if let error = answer.workers.first?.error {
            session.note("\(worker): \(error.message)")
            return nil
        }
        session.note("no answer from \(worker): it is asked again")
        return TracePage(messages: [], lost: 0, skipped: 0, hasMore: false)
    }
}
