import Logging
import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntFetch
import Synchronization

/// Keys for tokens that an address gives: fetched off the loops, and kept while it is down.
final class RemoteKeys: Sendable {
    struct Settings: Equatable, Sendable {
        let address: HTTPAddress
        /// PEM; nil: those of the system.
        let authorities: [UInt8]?
        let fetching: KeyFetching.Settings
    }

    enum Outcome: Sendable {
        case claims(TokenClaims)
        case refused(TokenRefusal)
        /// No keys count, or too many clients wait for them.
        case unavailable
    }

    struct Figures: Sendable {
        /// Seconds since the last fetch that worked; nil before it.
        var age: Double?
        var countNow = false
        var worked = 0
        var failed = 0
    }

    private struct State {
        var fetching: KeyFetching
        var keys: TokenKeys?
        /// Clients that wait for a fetch.
        var waiters: [@Sendable () -> Void] = []
        var worked = 0
        var failed = 0

        func keys(now: Double) -> TokenKeys? { fetching.mayUse(now: now) ? keys : nil }
    }

    let settings: Settings
    private let fetcher: Fetcher
    private let state: Mutex<State>
    private let logger: Logger
    private static let lane = FetchLane("keys", limit: 4, waiting: 100, patience: 30)
    private static let mostWaiters = 1000

    init(_ settings: Settings, _ fetcher: Fetcher, _ logger: Logger) {
        (self.settings, self.fetcher, self.logger) = (settings, fetcher, logger)
        state = Mutex(State(fetching: KeyFetching(settings.fetching)))
        tick()
    }

    /// Called regularly.
    func tick() {
        let now = Doorkeeper.uptime
        let (isDue, change) = state.withLock { ($0.fetching.isDue(now: now), $0.fetching.tick(now: now)) }
        tell(change)
        if isDue { fetch() }
    }

    /// - Parameter decided: called once, on any thread: before this returns where the keys are there.
    func verify(_ token: [UInt8], _ settings: TokenVerifier.Settings, _ decided: @escaping @Sendable (Outcome) -> Void) {
        let first = outcome(token, settings)
        switch first {
        case .unavailable, .refused(.unknownKey): break
        default: return decided(first)
        }
        let remedy: KeyFetching.Remedy = state.withLock { state in
            guard state.waiters.count < Self.mostWaiters else { return .none }
            let remedy = state.fetching.keyIsMissing(now: Doorkeeper.uptime)
            if remedy != .none { state.waiters.append { [self] in decided(outcome(token, settings)) } }
            return remedy
        }
        switch remedy {
        case .none: decided(first)
        case .wait: break
        case .fetch: fetch()
        }
    }

    private func outcome(_ token: [UInt8], _ settings: TokenVerifier.Settings) -> Outcome {
        guard let keys = state.withLock({ $0.keys(now: Doorkeeper.uptime) }) else { return .unavailable }
        do throws(TokenRefusal) {
            return .claims(try TokenVerifier(keys: keys, settings: settings).verify(token, now: Worker.now))
        } catch {
            return .refused(error)
        }
    }

    private func fetch() {
        var request = FetchRequest(url: settings.address.text, lane: Self.lane)
        (request.authorities, request.maximumSize) = (settings.authorities, TokenKeys.maximumSize)
        fetcher.fetch(request) { [self] outcome in
            switch outcome {
            case .success(let response): fetched(response)
            case .failure(.stopped): settle { _, _ in nil }
            case .failure(let why): failed(why.description)
            }
        }
    }

    private func fetched(_ response: FetchResponse) {
        guard response.status == 200 else { return failed("it answers \(response.status)") }
        guard let text = String(validating: response.body, as: UTF8.self) else { return failed("it answers what is no text") }
        do throws(ShuntError) {
            let keys = try TokenKeys(text, name: settings.address.description)
            settle { state, now in
                (state.keys, state.worked) = (keys, state.worked + 1)
                return state.fetching.fetched(now: now)
            }
        } catch {
            failed(error.message)
        }
    }

    private func failed(_ why: String) {
        settle(PrintableText.of(String(why.prefix(200)))) { state, now in
            state.failed += 1
            return state.fetching.failed(now: now)
        }
    }

    /// A fetch has ended. Clients that wait get their answer, and the log a line where something has changed.
    private func settle(_ why: String = "", _ end: (inout State, Double) -> KeyFetching.Change?) {
        let (change, waiters) = state.withLock { state in
            let change = end(&state, Doorkeeper.uptime)
            defer { state.waiters = [] }
            return (change, state.waiters)
        }
        tell(change, why)
        for waiter in waiters { waiter() }
    }

    private func tell(_ change: KeyFetching.Change?, _ why: String = "") {
        let address: Logger.Metadata = ["address": "\(settings.address)"]
        switch change {
        case nil: break
        case .works: logger.notice("keys for tokens are fetched", metadata: address)
        case .down(0): logger.error("keys for tokens cannot be fetched, tokens are refused: \(why)", metadata: address)
        case .down(let seconds):
            logger.warning("keys for tokens cannot be fetched, the last ones count for \(Int(seconds)) s: \(why)", metadata: address)
        case .lapsed: logger.error("keys for tokens are too old, tokens are refused", metadata: address)
        }
    }

    func figures() -> Figures {
        let now = Doorkeeper.uptime
        return state.withLock { state in
            Figures(age: state.fetching.age(now: now), countNow: state.fetching.mayUse(now: now), worked: state.worked, failed: state.failed)
        }
    }
}

/// Where a listener's keys for tokens come from.
enum TokenSource: Sendable {
    case file(TokenVerifier)
    case address(RemoteKeys.Settings, TokenVerifier.Settings)
}
