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
        let settings: Configuration.Rules.Lookups
        let hosts: [LookupHost]
        let names: [LookupName]
        /// PEM; nil: those of the system.
        let authorities: [UInt8]?
        /// Tells what is asked under it from what is asked under another.
        let stamp: Int

        init(_ settings: Configuration.Rules.Lookups, authorities: [UInt8]?) {
            (self.settings, self.authorities) = (settings, authorities)
            (hosts, names) = (settings.hosts.compactMap(LookupHost.init), settings.names.compactMap(LookupName.init))
            var hasher = Hasher()
            hasher.combine(settings)
            hasher.combine(authorities)
            stamp = hasher.finalize()
        }
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

    /// Who asked, and when: its rule gives it so many seconds.
    private struct Asker: Sendable {
        let plugin: String
        let loop: UInt8
        let began: Double
        let timeLimit: Double
        let done: Waiter
        func left(_ now: Double) -> Double { began + timeLimit - now }
    }

    /// A question under way, until when it has time, and who waits for its answer.
    private struct Flight {
        let number: UInt64
        let until: Double
        var askers: [Asker]
    }

    private struct State {
        var figures: [String: Figures] = [:]
        var cache = LookupCache()
        /// Questions under way that others may join: several of one key where some have less time than others.
        var flights: [LookupKey: [Flight]] = [:]
        var lastFlight: UInt64 = 0
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

    /// Keeps none of the answers that there are.
    func forgetAnswers() { state.withLock { $0.cache.removeAll() } }

    func figures() -> [String: Figures] { state.withLock { $0.figures } }

    /// - Parameters:
    ///   - permit: what the rule may ask; nil: nothing.
    ///   - done: called once, on any thread, where this returns `.waits`.
    func lookUp(
        _ lookup: RuleLookup, of plugin: String, by permit: Permit?, on loop: UInt8, timeLimit: Double, _ done: @escaping Waiter
    ) -> LookupStep {
        guard let permit else { return .refused("this rule may look nothing up: see rules.lookups") }
        do throws(ShuntError) {
            let question = try Question(lookup, permit, plugin)
            let asker = Asker(
                plugin: plugin, loop: loop, began: Doorkeeper.uptime, timeLimit: min(timeLimit, permit.settings.timeout.seconds), done: done)
            return ask(question, permit, asker)
        } catch {
            count(plugin) { $0.refused += 1 }
            return .refused(error.message + (error.help.map { "; \($0)" } ?? ""))
        }
    }

    private func ask(_ question: Question, _ permit: Permit, _ asker: Asker) -> LookupStep {
        enum Step { case known(LookupAnswer), joined, ask(flight: UInt64) }
        let plugin = asker.plugin
        let now = asker.began
        let step = state.withLock { state -> Step in
            state.figures[plugin, default: Figures()].asked += 1
            if let key = question.key {
                if let age = question.cache, let answer = state.cache.answer(to: key, within: age, now: now) {
                    state.figures[plugin]?.cached += 1
                    return .known(answer)
                }
                // One that has more time than this rule gives it would answer too late.
                if let flights = state.flights[key], let place = flights.firstIndex(where: { $0.until <= now + asker.timeLimit }) {
                    guard flights[place].askers.count < Self.mostWaiters else { return .known(.failed("too many look-ups wait")) }
                    state.flights[key]?[place].askers.append(asker)
                    state.figures[plugin]?.cached += 1
                    return .joined
                }
            }
            if state.breakers[question.place]?.refuses(network: question.network, now: now) == true {
                state.figures[plugin]?.failed += 1
                return .known(Self.refusal(of: question))
            }
            return .ask(flight: Self.begin([asker], question, now, &state))
        }
        switch step {
        case .known(let answer): return .known(answer)
        case .joined: return .waits
        case .ask(let flight): fetch(question, permit, asker, flight, within: asker.timeLimit)
        }
        return .waits
    }

    private static func refusal(of question: Question) -> LookupAnswer {
        .failed("\(question.place) has not answered for a while: not asked (breaker)")
    }

    /// - Returns: the number of a new flight, which others may join where the question has a key.
    private static func begin(_ askers: [Asker], _ question: Question, _ now: Double, _ state: inout State) -> UInt64 {
        state.lastFlight += 1
        if let key = question.key {
            let until = now + (askers.map { $0.left(now) }.min() ?? 0)
            state.flights[key, default: []].append(Flight(number: state.lastFlight, until: until, askers: askers))
        }
        return state.lastFlight
    }

    private func fetch(_ question: Question, _ permit: Permit, _ asker: Asker, _ flight: UInt64, within timeLimit: Double) {
        let settled: Waiter = { [self] answer in settle(question, permit, asker, flight, answer) }
        switch question.what {
        case .http(let target, let body):
            var request = FetchRequest(
                url: target.url, body: body,
                lane: FetchLane(
                    "\(asker.plugin)/\(asker.loop)", limit: permit.settings.atOnce, waiting: Self.longestQueue, patience: timeLimit))
            (request.authorities, request.maximumSize, request.timeLimit) = (permit.authorities, permit.settings.answer, timeLimit)
            (request.headers, request.sharer) = (question.headers, question.network)
            fetcher.fetch(request) { settled(LookupAnswer($0)) }
        case .name(let name): resolver.resolve(name, within: timeLimit, settled)
        }
    }

    /// - Parameter asker: the first who asked: the only one where nobody could join.
    private func settle(_ question: Question, _ permit: Permit, _ asker: Asker, _ flight: UInt64, _ answer: LookupAnswer) {
        let now = Doorkeeper.uptime
        let plugin = asker.plugin
        let askers = state.withLock { state in
            let worked = !answer.isFailure
            if worked { state.figures[plugin]?.answered += 1 } else { state.figures[plugin]?.failed += 1 }
            if case .http = question.what {
                if state.breakers.count >= Self.mostHosts, state.breakers[question.place] == nil { state.breakers.removeAll() }
                state.breakers[question.place, default: HostBreaker()].ended(
                    worked: answer.showsHostWorks, network: question.network, now: now)
            }
            guard let key = question.key else { return [asker] }
            if question.cache != nil, worked { state.cache.keep(answer, for: key, now: now) }
            guard var flights = state.flights[key], let place = flights.firstIndex(where: { $0.number == flight }) else { return [] }
            let askers = flights.remove(at: place).askers
            state.flights[key] = flights.isEmpty ? nil : flights
            return askers
        }
        var (over, others) = (askers, [Asker]())
        if case .failed(Self.timedOut) = answer, question.key != nil {
            // An asker that joined later may have time for a look-up of its own.
            others = askers.filter { $0.left(now) >= $0.timeLimit / 2 }
            over = askers.filter { $0.left(now) < $0.timeLimit / 2 }
        }
        for asker in over { asker.done(answer) }
        if let first = others.first { askAgain(question, permit, first, others, now) }
    }

    private func askAgain(_ question: Question, _ permit: Permit, _ first: Asker, _ askers: [Asker], _ now: Double) {
        let flight = state.withLock { state -> UInt64? in
            guard state.breakers[question.place]?.refuses(network: question.network, now: now) != true else { return nil }
            return Self.begin(askers, question, now, &state)
        }
        guard let flight else {
            for asker in askers { asker.done(Self.refusal(of: question)) }
            return
        }
        fetch(question, permit, first, flight, within: askers.map { $0.left(now) }.min() ?? 0)
    }

    /// What an answer says that did not come in time.
    static let timedOut = "timed out"

    private func count(_ plugin: String, _ change: (inout Figures) -> Void) { state.withLock { change(&$0.figures[plugin, default: Figures()]) } }

    /// Ends what is under way.
    func stop() { fetcher.stop() }
}

extension LookupAnswer {
    init(_ outcome: Fetcher.Outcome) {
        switch outcome {
        case .success(let response): self = .response(status: response.status, headers: response.headers, body: response.body)
        case .failure(.timedOut): self = .failed(LookupService.timedOut)
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
