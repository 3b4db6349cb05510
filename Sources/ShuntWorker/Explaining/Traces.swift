import ShuntCore
import ShuntEngine
import ShuntJSON
import Synchronization

/// The traces of operators at this worker. Loops know nothing of them while there is none.
final class Traces: Sendable {
    /// Traces at a time.
    static let capacity = 4
    /// Seconds after which a trace ends that nobody reads.
    static let patience = 15.0
    /// Messages and bytes of an answer.
    private static let page = (messages: 500, bytes: 192 << 10)

    private struct Trace {
        var request: TraceRequest
        var ring = TraceRing()
        var skipped = 0
        var readAt: Double
    }

    private let peers: LoopPeers
    private let traces = Mutex<[String: Trace]>([:])
    private let isAny = Atomic<Bool>(false)
    /// Whether this worker tells payloads at all.
    private let allowsPayloads: Bool

    init(_ peers: LoopPeers, allowsPayloads: Bool) { (self.peers, self.allowsPayloads) = (peers, allowsPayloads) }

    // MARK: Commands

    /// - Parameter reply: is called once all loops follow what the trace is for.
    func begin(_ arguments: [UInt8], now: Double, _ reply: @escaping WorkerCommands.Done) {
        let answer = add(arguments, now: now)
        guard case .success = answer else { return reply(answer) }
        change { reply(answer) }
    }

    private func add(_ arguments: [UInt8], now: Double) -> Result<[UInt8], ShuntError> {
        Self.answer { () throws(ShuntError) -> TraceID in
            guard let request = try? RecordJSON.decode(TraceRequest.self, from: arguments), let id = request.id else {
                throw ShuntError(.requestInvalid, "this is not what a trace takes", help: #"send {"topic": "orders/#"}"#)
            }
            guard TopicFilter.isFilter(request.topic), !request.topic.isEmpty else {
                throw ShuntError(
                    .topicInvalid, "'\(request.topic)' is not a topic filter", at: "topic",
                    help: "+ stands for one whole level, # for all levels at the end, as in orders/+ and orders/#")
            }
            guard request.payloads != true || allowsPayloads else {
                throw ShuntError(
                    .accessDenied, "this worker tells nobody payloads", help: "its configuration says worker.admin_payloads: false")
            }
            end(before: now - Self.patience)
            let hasRoom = traces.withLock { traces in
                guard traces.count < Self.capacity else { return false }
                traces[id] = Trace(request: request, readAt: now)
                return true
            }
            guard hasRoom else {
                throw ShuntError(
                    .memoryLimit, "\(Self.capacity) traces run at this worker already",
                    help: "end one; a trace that nobody reads ends after \(Int(Self.patience)) seconds")
            }
            return TraceID(id: id)
        }
    }

    func read(_ arguments: [UInt8], now: Double) -> Result<[UInt8], ShuntError> {
        Self.answer { () throws(ShuntError) -> TracePage in
            let question = try Self.question(arguments)
            let page = traces.withLock { traces -> TracePage? in
                guard traces[question.id] != nil, traces[question.id]?.request.payloads == question.payloads else { return nil }
                traces[question.id]?.readAt = now
                guard let read = traces[question.id]?.ring.read(after: question.after, limit: Self.page.messages, bytes: Self.page.bytes) else {
                    return nil
                }
                return TracePage(
                    messages: read.messages, lost: read.lost, skipped: traces[question.id]?.skipped ?? 0, hasMore: read.hasMore)
            }
            guard let page else { throw Self.unknown }
            return page
        }
    }

    func end(_ arguments: [UInt8]) -> Result<[UInt8], ShuntError> {
        Self.answer { () throws(ShuntError) -> TraceID in
            let question = try Self.question(arguments)
            let isKnown = traces.withLock { traces in
                guard traces[question.id]?.request.payloads == question.payloads else { return false }
                return traces.removeValue(forKey: question.id) != nil
            }
            guard isKnown else { throw Self.unknown }
            change()
            return TraceID(id: question.id)
        }
    }

    private static let unknown = ShuntError(
        .notFound, "this worker has no such trace", help: "one that nobody reads ends after \(Int(patience)) seconds")

    private static func question(_ arguments: [UInt8]) throws(ShuntError) -> TraceQuestion {
        guard let question = try? RecordJSON.decode(TraceQuestion.self, from: arguments) else {
            throw ShuntError(.requestInvalid, "this is not what a trace is asked")
        }
        return question
    }

    private static func answer<Answer: Encodable>(_ body: () throws(ShuntError) -> Answer) -> Result<[UInt8], ShuntError> {
        do throws(ShuntError) {
            let answer = try body()
            guard let json = try? RecordJSON.encode(answer) else { throw ShuntError(.internalError, "the answer cannot be written as JSON") }
            return .success(json)
        } catch {
            return .failure(error)
        }
    }

    // MARK: Loops

    /// Ends the traces that nobody reads. Each loop calls it once a second.
    func tick(now: Double) {
        guard isAny.load(ordering: .relaxed) else { return }
        if end(before: now - Self.patience) { change() }
    }

    @discardableResult
    private func end(before: Double) -> Bool {
        traces.withLock { traces in
            let count = traces.count
            traces = traces.filter { $0.value.readAt >= before }
            return traces.count < count
        }
    }

    /// Tells all loops what is followed now.
    private func change(done: @escaping @Sendable () -> Void = {}) {
        let requests = traces.withLock { traces in
            isAny.store(!traces.isEmpty, ordering: .relaxed)
            return traces.values.map(\.request)
        }
        let follow: @Sendable (WorkerLoop) -> Void = { [self] loop in
            guard !requests.isEmpty else { return loop.engine.setTracer(nil) }
            loop.engine.setTracer(
                MessageTracer(
                    requests, loop: loop.loop.index,
                    take: { [weak self] places, message in self?.take(message, places.compactMap { requests[$0].id }) },
                    skip: { [weak self] count in self?.skip(count, requests.compactMap(\.id)) }))
        }
        peers.onEach(follow, done: done)
    }

    private func take(_ message: TracedMessage, _ ids: [String]) {
        traces.withLock { traces in
            for id in ids {
                guard let payloads = traces[id]?.request.payloads else { continue }
                var message = message
                if !payloads { (message.payload, message.payloadBase64, message.more) = (nil, nil, nil) }
                traces[id]?.ring.append(message)
            }
        }
    }

    private func skip(_ count: Int, _ ids: [String]) {
        traces.withLock { traces in for id in ids { traces[id]?.skipped += count } }
    }
}
