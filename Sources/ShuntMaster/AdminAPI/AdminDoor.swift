import Logging
import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntHTTP
import Synchronization

/// Who may ask the admin API: the holders of its tokens, or everybody where there are none.
final class AdminDoor: HTTPAuthority {
    private struct State {
        var tokens: AdminTokens?
        var delays = GuessDelays()
        /// Requests that were refused and are not in the log yet.
        var untold = 0
        var toldAt = -Double.infinity
    }

    private let state: Mutex<State>
    private let start = ContinuousClock.now
    private let logger: Logger

    init(_ tokens: AdminTokens?, logger: Logger) {
        state = Mutex(State(tokens: tokens))
        self.logger = logger
    }

    /// Requests from now on need one of these.
    func set(_ tokens: AdminTokens?) { state.withLock { $0.tokens = tokens } }

    func admit(authorization: String?, from source: String, to need: HTTPRoute.Need) async throws(ShuntError) -> String? {
        guard state.withLock({ $0.tokens != nil }) else { return nil }
        guard let token = authorization.flatMap(Self.token) else {
            throw ShuntError(
                .accessCredentials, "this master asks for a token", at: "Authorization", help: "send Authorization: Bearer TOKEN")
        }
        guard let wait = state.withLock({ $0.delays.turn(of: source, now: now) }) else {
            tell(source, "too many wrong tokens")
            throw ShuntError(.accessRate, "too many wrong tokens have come from this address", help: "wait some seconds")
        }
        if wait > 0 { try? await Task.sleep(for: .seconds(wait)) }
        guard let holder = try holder(of: token, source) else { return nil }
        guard need != .operate || holder.role == .operate else {
            tell(source, "a token that only reads")
            throw ShuntError(
                .accessDenied, "the token '\(holder.name)' may read, this is a command", at: "Authorization",
                help: "ask with a token whose role is operate")
        }
        return holder.name
    }

    /// nil where there are no tokens any more.
    private func holder(of token: String, _ source: String) throws(ShuntError) -> AdminTokens.Holder? {
        let now = now
        guard let tokens = state.withLock({ $0.tokens }) else { return nil }
        if let holder = tokens.holder(of: token) { return holder }
        state.withLock { $0.delays.failed(source, now: now) }
        tell(source, "a wrong token")
        throw ShuntError(
            .accessCredentials, "the token is none of this master's", at: "Authorization", help: "master.admin.tokens_file lists them")
    }

    /// What follows `Bearer` (RFC 6750 §2.1); nil where it is another scheme.
    private static func token(_ authorization: String) -> String? {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].drop { $0 == " " }
        return token.isEmpty ? nil : String(token)
    }

    /// At most one line a second.
    private func tell(_ source: String, _ why: String) {
        let now = now
        let count = state.withLock { state in
            state.untold += 1
            guard now - state.toldAt >= 1 else { return 0 }
            defer { (state.untold, state.toldAt) = (0, now) }
            return state.untold
        }
        guard count > 0 else { return }
        logger.warning("admin requests were refused", metadata: ["requests": "\(count)", "from": "\(source)", "why": "\(why)"])
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
