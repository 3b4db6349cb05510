import Logging
import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntHTTP
import Synchronization

/// Who may ask the admin API: the holders of its tokens, or everybody where there are none.
final class AdminDoor: HTTPAuthority {
    /// Why a request was refused, for the figures.
    enum Refusal: String, CaseIterable, Sendable {
        case missing, token, rate, role

        fileprivate var sentence: String {
            switch self {
            case .missing: "no token"
            case .token: "a wrong token"
            case .rate: "too many wrong tokens"
            case .role: "a token that only reads"
            }
        }
    }

    /// Gets the address of who was refused, and a sentence.
    typealias RecordRefusals = @Sendable (_ from: String, _ what: String) -> Void

    private struct State {
        var tokens: AdminTokens?
        var delays = GuessDelays()
        var refusals: [Refusal: Int] = [:]
        /// Requests that were refused and are not in the log yet, and not among the events.
        var unlogged = Untold(interval: 1)
        var unrecorded = Untold(interval: 10)
    }

    /// Counts refusals, and says once in an interval how many there were.
    private struct Untold {
        /// Seconds.
        let interval: Double
        private var count = 0
        private var toldAt = -Double.infinity

        init(interval: Double) { self.interval = interval }

        /// - Returns: how many there were since the last time; nil where it is too early.
        mutating func add(now: Double) -> Int? {
            count += 1
            guard now - toldAt >= interval else { return nil }
            defer { (count, toldAt) = (0, now) }
            return count
        }
    }

    private let state: Mutex<State>
    private let start = ContinuousClock.now
    private let record: RecordRefusals
    private let logger: Logger

    init(_ tokens: AdminTokens?, record: @escaping RecordRefusals, logger: Logger) {
        state = Mutex(State(tokens: tokens))
        self.record = record
        self.logger = logger
    }

    /// Requests from now on need one of these.
    func set(_ tokens: AdminTokens?) { state.withLock { $0.tokens = tokens } }

    /// How often requests were refused, since the start.
    func refused(_ why: Refusal) -> Int { state.withLock { $0.refusals[why] ?? 0 } }

    func admit(authorization: String?, from source: String, to need: HTTPRoute.Need) async throws(ShuntError) -> String? {
        guard state.withLock({ $0.tokens != nil }) else { return nil }
        guard let token = authorization.flatMap(Self.token) else {
            refuse(source, .missing)
            throw ShuntError(
                .accessCredentials, "this master asks for a token", at: "Authorization", help: "send Authorization: Bearer TOKEN")
        }
        guard let tokens = state.withLock({ $0.tokens }) else { return nil }
        // A right token does not wait: else a stranger at the same address could keep it out.
        guard let holder = tokens.holder(of: token) else {
            throw await delayed(source)
        }
        guard need != .operate || holder.role == .operate else {
            refuse(source, .role)
            throw ShuntError(
                .accessDenied, "the token '\(holder.name)' may read, this is a command", at: "Authorization",
                help: "ask with a token whose role is operate")
        }
        return holder.name
    }

    func stillAdmits(authorization: String?, to need: HTTPRoute.Need) -> Bool {
        guard let tokens = state.withLock({ $0.tokens }) else { return true }
        guard let holder = authorization.flatMap(Self.token).flatMap({ tokens.holder(of: $0) }) else { return false }
        return need != .operate || holder.role == .operate
    }

    /// The answer to a wrong token, which comes the later the more of them the address has sent.
    private func delayed(_ source: String) async -> ShuntError {
        let now = now
        guard let wait = state.withLock({ $0.delays.turn(of: source, now: now) }) else {
            refuse(source, .rate)
            return ShuntError(.accessRate, "too many wrong tokens have come from this address", help: "wait some seconds")
        }
        state.withLock { $0.delays.failed(source, now: now) }
        refuse(source, .token)
        if wait > 0 { try? await Task.sleep(for: .seconds(wait)) }
        return ShuntError(
            .accessCredentials, "the token is none of this master's", at: "Authorization", help: "master.admin.tokens_file lists them")
    }

    /// What follows `Bearer` (RFC 6750 §2.1); nil where it is another scheme.
    private static func token(_ authorization: String) -> String? {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }

    /// Counts it, and tells of it: at most one line of the log a second, and one event in ten.
    private func refuse(_ source: String, _ why: Refusal) {
        let now = now
        let (logged, recorded) = state.withLock { state in
            state.refusals[why, default: 0] += 1
            return (state.unlogged.add(now: now), state.unrecorded.add(now: now))
        }
        if let logged {
            logger.warning("admin requests were refused", metadata: ["requests": "\(logged)", "from": "\(source)", "why": "\(why.sentence)"])
        }
        if let recorded { record(source, recorded == 1 ? why.sentence : "\(why.sentence); \(recorded) refusals since the last event") }
    }

    /// Seconds, of a clock that nobody sets.
    private var now: Double { start.duration(to: .now) / .seconds(1) }
}

extension AdminTokens {
    /// The tokens of a file; nil where the configuration names none.
    /// - Parameter warn: gets what is wrong with the file's mode.
    static func load(_ path: String, warn: (ShuntError) -> Void) throws(ConfigurationErrors) -> AdminTokens? {
        guard !path.isEmpty else { return nil }
        let file: SecretText
        do throws(ShuntError) {
            file = try SecretText(path: path)
        } catch {
            throw ConfigurationErrors(error)
        }
        if let warning = file.warning { warn(warning) }
        return try AdminTokens(file.text, name: path)
    }
}
