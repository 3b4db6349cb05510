import Logging
import ShuntConfig
import ShuntCore
import ShuntFetch
import Synchronization

/// What rules look up, for all loops: who may ask what, answers that are kept, equal questions that share one request, hosts that do not
/// answer.
final class LookupService: Sendable {
    /// What the rule of a plugin may ask.
    struct Permit: Equatable, Sendable {
        var settings: Configuration.Rules.Lookups
        var hosts: [LookupHost]
        var names: [LookupName]
        /// PEM; nil: those of the system.
        var authorities: [UInt8]?
    }

    struct Figures: Equatable, Sendable {
        var asked = 0
        var answered = 0
        var failed = 0
        /// Answers that were kept, and questions that joined one under way.
        var cached = 0
        var refused = 0
    }

    typealias Waiter = @Sendable (LookupAnswer) -> Void

    private struct State {
        var permits: [String: Permit] = [:]
        var figures: [String: Figures] = [:]
        var cache = LookupCache()
        /// Questions under way that others may join.
        var joined: [LookupKey: [Waiter]] = [:]
        var breakers: [String: HostBreaker] = [:]
    }

    private let state = Mutex(State())
    private let fetcher = Fetcher(connections: 256)
    private let resolver = Resolver()
    /// The most questions that wait for their turn, of a rule and loop.
    private static let longestQueue = 10_000
    /// The most waiters of one question.
    private static let mostWaiters = 10_000
    private static let mostHosts = 1024

    /// - Returns: what was before.
    @discardableResult
    func set(_ permits: [String: Permit]) -> [String: Permit] {
        state.withLock { state in
            defer { state.permits = permits }
            // Answers that others were allowed to ask for are nobody's now.
            if state.permits != permits { state.cache.removeAll() }
            return state.permits
        }
    }

    func allows(_ plugin: String) -> Bool { state.withLock { $0.permits[plugin] != nil } }
    func patience(of plugin: String) -> Double { state.withLock { $0.permits[plugin]?.settings.wait.seconds } ?? 0 }
    func figures() -> [String: Figures] { state.withLock { $0.figures } }

    /// - Parameter done: called once, on any thread, where this returns `.waits`.
    func lookUp(_ lookup: RuleLookup, of plugin: String, on loop: UInt8, timeLimit: Double, _ done: @escaping Waiter) -> LookupStep {
        guard let permit = state.withLock({ $0.permits[plugin] }) else { return .refused("this rule may look nothing up: see rules.lookups") }
        do throws(ShuntError) {
            let question = try Question(lookup, permit, plugin)
            return ask(question, permit, plugin, loop, min(timeLimit, permit.settings.timeout.seconds), done)
        } catch {
            count(plugin) { $0.refused += 1 }
            return .refused(error.message + (error.help.map { "; \($0)" } ?? ""))
        }
    }

    private func ask(
        _ question: Question, _ permit: Permit, _ plugin: String, _ loop: UInt8, _ timeLimit: Double, _ done: @escaping Waiter
    ) -> LookupStep {
        enum Step { case known(LookupAnswer), joined, ask }
        let now = Doorkeeper.uptime
        let step = state.withLock { state -> Step in
            state.figures[plugin, default: Figures()].asked += 1
            if let key = question.key {
                if question.cache != nil, let answer = state.cache.answer(to: key, now: now) {
                    state.figures[plugin]?.cached += 1
                    return .known(answer)
                }
                if let waiters = state.joined[key] {
                    guard waiters.count < Self.mostWaiters else { return .known(.failed("too many look-ups wait")) }
                    state.joined[key]?.append(done)
                    state.figures[plugin]?.cached += 1
                    return .joined
                }
            }
            if state.breakers[question.place]?.refuses(network: question.network, now: now) == true {
                state.figures[plugin]?.failed += 1
                return .known(.failed("\(question.place) has not answered for a while: not asked (breaker)"))
            }
            if let key = question.key { state.joined[key] = [done] }
            return .ask
        }
        switch step {
        case .known(let answer): return .known(answer)
        case .joined: return .waits
        case .ask: break
        }
        let settled: Waiter = { [self] answer in settle(question, plugin, answer, question.key == nil ? done : nil) }
        switch question.what {
        case .http(let target, let body):
            var request = FetchRequest(
                url: target.url, body: body,
                lane: FetchLane(
                    "\(plugin)/\(loop)", limit: permit.settings.atOnce, waiting: Self.longestQueue, patience: timeLimit))
            (request.authorities, request.maximumSize, request.timeLimit) = (permit.authorities, permit.settings.answer, timeLimit)
            (request.headers, request.sharer) = (question.headers, question.network)
            fetcher.fetch(request) { settled(LookupAnswer($0)) }
        case .name(let name): resolver.resolve(name, within: timeLimit, settled)
        }
        return .waits
    }

    /// - Parameter alone: who waits, where nobody could join.
    private func settle(_ question: Question, _ plugin: String, _ answer: LookupAnswer, _ alone: Waiter?) {
        let now = Doorkeeper.uptime
        let waiters = state.withLock { state in
            let worked = !answer.isFailure
            if worked { state.figures[plugin]?.answered += 1 } else { state.figures[plugin]?.failed += 1 }
            if case .http = question.what {
                if state.breakers.count >= Self.mostHosts, state.breakers[question.place] == nil { state.breakers.removeAll() }
                state.breakers[question.place, default: HostBreaker()].ended(
                    worked: answer.showsHostWorks, network: question.network, now: now)
            }
            if let key = question.key, let seconds = question.cache, worked { state.cache.keep(answer, for: key, seconds: seconds, now: now) }
            return question.key.flatMap { state.joined.removeValue(forKey: $0) } ?? []
        }
        if let alone { alone(answer) }
        for waiter in waiters { waiter(answer) }
    }

    private func count(_ plugin: String, _ change: (inout Figures) -> Void) { state.withLock { change(&$0.figures[plugin, default: Figures()]) } }

    /// Ends what is under way.
    func stop() { fetcher.stop() }
}

extension LookupAnswer {
    init(_ outcome: Fetcher.Outcome) {
        switch outcome {
        case .success(let response): self = .response(status: response.status, headers: response.headers, body: response.body)
        case .failure(.timedOut): self = .failed("timed out")
        case .failure(.busy): self = .failed("too many look-ups wait (at_once)")
        case .failure(.tooLarge): self = .failed("the answer is too large")
        case .failure(let why): self = .failed(PrintableText.of(String(why.description.prefix(200))))
        }
    }

    var isFailure: Bool { if case .failed = self { true } else { false } }

    /// Whether the host is there: what fails because many wait here is not its fault.
    var showsHostWorks: Bool? {
        switch self {
        case .failed("too many look-ups wait (at_once)"), .failed("the process ends"), .failed("the answer is too large"): nil
        case .failed: false
        case .response(let status, _, _): !(502...504).contains(status)
        case .addresses: true
        }
    }
}
