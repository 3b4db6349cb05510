import Logging
import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntFetch
import Synchronization

/// The HTTP service of `access.http`, which is asked about clients, for all loops.
final class AccessService: Sendable {
    struct Settings: Equatable, Sendable {
        let address: HTTPAddress
        /// PEM; nil: those of the system.
        let authorities: [UInt8]?
        let http: Configuration.Access.HTTP
    }

    enum Verdict: Sendable {
        case answer(ServiceAnswer)
        /// Too many clients wait, or what they show is too long.
        case busy
        /// No answer, or none that can be read.
        case failed
    }

    enum Result: String, CaseIterable, Sendable {
        case allow, deny, ignore, failed, busy, cached
    }

    private typealias Waiter = @Sendable (Verdict) -> Void

    private struct State {
        var cache: AnswerCache<Waiter>
        var outage = Outage()
        var results: [Result: Int] = [:]
    }

    let settings: Settings
    private let fetcher: Fetcher
    private let lane: FetchLane
    private let state: Mutex<State>
    private let logger: Logger
    /// The longest question, in bytes.
    private static let longestQuestion = 16 << 10

    init(_ settings: Settings, _ fetcher: Fetcher, _ logger: Logger) {
        (self.settings, self.fetcher, self.logger) = (settings, fetcher, logger)
        lane = FetchLane(settings.address.text, limit: settings.http.concurrency, patience: settings.http.timeout.seconds)
        state = Mutex(State(cache: AnswerCache(seconds: settings.http.cache.seconds)))
    }

    /// - Parameter decided: called once, on any thread: before this returns where the answer is known.
    func ask(_ question: ServiceQuestion, _ decided: @escaping @Sendable (Verdict) -> Void) {
        let json = question.json
        guard json.count <= Self.longestQuestion else {
            count(.busy)
            return decided(.busy)
        }
        let key = QuestionKey(json)
        let step = state.withLock { state in
            let step = state.cache.ask(key, decided, now: Doorkeeper.uptime, time: Worker.now)
            if case .answer = step { state.results[.cached, default: 0] += 1 }
            if case .full = step { state.results[.busy, default: 0] += 1 }
            return step
        }
        switch step {
        case .answer(let answer): decided(.answer(answer))
        case .full: decided(.busy)
        case .wait: break
        case .ask: fetch(json, key, question.user)
        }
    }

    private func fetch(_ json: [UInt8], _ key: QuestionKey, _ user: String?) {
        var request = FetchRequest(url: settings.address.text, body: json, lane: lane)
        (request.authorities, request.maximumSize) = (settings.authorities, ServiceAnswer.maximumSize)
        (request.timeLimit, request.retries) = (settings.http.timeout.seconds, settings.http.retries)
        fetcher.fetch(request) { [self] outcome in
            switch outcome {
            case .success(let response): answered(key, response, user)
            case .failure(.busy): settle(key, .busy)
            case .failure(.stopped): settle(key, .failed)
            case .failure(let why): failed(key, why.description)
            }
        }
    }

    private func answered(_ key: QuestionKey, _ response: FetchResponse, _ user: String?) {
        guard response.status == 200 else { return failed(key, "it answers \(response.status)") }
        do throws(ServiceAnswer.Unreadable) {
            let answer = try ServiceAnswer(response.body, user: user)
            if state.withLock({ $0.outage.worked(now: Doorkeeper.uptime) }) != nil {
                logger.notice("the service of access.http answers again", metadata: ["address": "\(settings.address)"])
            }
            settle(key, .answer(answer))
        } catch {
            failed(key, "its answer cannot be read: \(error.why)")
        }
    }

    private func failed(_ key: QuestionKey, _ why: String) {
        if state.withLock({ $0.outage.failed(now: Doorkeeper.uptime) }) != nil {
            let why = PrintableText.of(String(why.prefix(200)))
            logger.error("the service of access.http gives no answer: \(why)", metadata: ["address": "\(settings.address)"])
        }
        settle(key, .failed)
    }

    private func settle(_ key: QuestionKey, _ verdict: Verdict) {
        let waiters = state.withLock { state in
            state.results[Result(verdict), default: 0] += 1
            if case .answer(let answer) = verdict { return state.cache.answered(key, answer, now: Doorkeeper.uptime) }
            return state.cache.answered(key, nil, now: Doorkeeper.uptime)
        }
        for waiter in waiters { waiter(verdict) }
    }

    private func count(_ result: Result) { state.withLock { $0.results[result, default: 0] += 1 } }

    func results() -> [Result: Int] { state.withLock { $0.results } }

    /// Called regularly.
    func tick() { state.withLock { $0.cache.forget(now: Doorkeeper.uptime) } }
}

extension AccessService.Result {
    init(_ verdict: AccessService.Verdict) {
        self =
            switch verdict {
            case .answer(.allow): .allow
            case .answer(.deny): .deny
            case .answer(.ignore): .ignore
            case .failed: .failed
            case .busy: .busy
            }
    }
}
