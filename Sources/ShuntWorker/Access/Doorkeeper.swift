import Dispatch
import Logging
import ShuntAccess
import ShuntCore
import ShuntEngine
import Synchronization

/// Decides for all loops whether clients are let in. The first that knows a client decides: its certificate, its token, the password file, an
/// HTTP service; then the rules and `allow_anonymous`, which the loop asks. A check that cannot be made refuses.
final class Doorkeeper: Sendable {
    /// Why a client was refused, for the figures.
    enum Refusal: String, CaseIterable, Sendable {
        case password, token, anonymous, delayed, busy, flapping
        /// An HTTP service has denied it.
        case http
        /// No keys for tokens, no answer of the HTTP service.
        case keys, unavailable
    }

    private let doors: Mutex<[Door]>
    private let delays = Mutex(FailureDelays())
    /// By the numbers of listeners, of those that refuse clients which connect again and again.
    private let flapping: Mutex<[Int: Flapping]>
    let remote: RemoteAccess
    private let refusals = Mutex<[Refusal: Int]>([:])
    /// Whom this worker has refused.
    let refused = RefusalList()
    private let turns: LoginTurns
    private let logger: Logger
    /// Seconds that a client waits for its turn at most; then it hears that it is to come again.
    private static let patience = 8.0

    /// - Parameter doors: of the listeners, by their numbers.
    init(_ doors: [Door], threads: Int, _ logger: Logger) {
        self.doors = Mutex(doors)
        flapping = Mutex(Self.flapping(at: doors, [:]))
        remote = RemoteAccess(doors, logger)
        self.logger = logger
        turns = LoginTurns(threads: threads)
    }

    func set(_ doors: [Door]) {
        // First: a door finds what it names.
        remote.set(doors)
        self.doors.withLock { $0 = doors }
        flapping.withLock { $0 = Self.flapping(at: doors, $0) }
    }

    /// By the numbers of listeners.
    var current: [Door] { doors.withLock { $0 } }

    /// What is known of clients stays where the settings do.
    private static func flapping(at doors: [Door], _ before: [Int: Flapping]) -> [Int: Flapping] {
        var all: [Int: Flapping] = [:]
        for (listener, door) in doors.enumerated() {
            guard let settings = door.flapping else { continue }
            all[listener] = before[listener].flatMap { $0.settings == settings ? $0 : nil } ?? Flapping(settings)
        }
        return all
    }

    func access() -> [ListenerAccess] { doors.withLock { $0 }.map { $0.access() } }

    /// How often clients were refused, since the start.
    func refused(_ why: Refusal) -> Int { refusals.withLock { $0[why] ?? 0 } }

    /// - Parameters:
    ///   - certificate: what the client has shown and was verified.
    ///   - decided: called once, on any thread.
    func decide(_ credentials: Credentials, _ certificate: ClientCertificate?, _ decided: @escaping @Sendable (Admission) -> Void) {
        // Who is in has connected before.
        guard !credentials.isRenewal else { return identify(credentials, certificate, decided) }
        let asked = flapping.withLock { all in
            all[credentials.listener]?.refusal(
                clientID: credentials.clientID, uid: credentials.user ?? "", address: credentials.address, now: Self.uptime)
        }
        if let refusal = refusal(credentials, flapping: asked) { return decided(refusal) }
        identify(credentials, certificate) { [self] admission in
            switch admission {
            case .refused, .unknown(mayEnter: false): decided(admission)
            case .admitted(let admitted): decided(connects(credentials, as: admitted.uid ?? "") ?? admission)
            case .unknown(mayEnter: true): decided(connects(credentials, as: "") ?? admission)
            }
        }
    }

    /// A client would be let in, which counts as a connect.
    /// - Parameter uid: that it has proved; empty: none. What it says of itself would count against another.
    /// - Returns: the refusal of a client that connects again and again.
    private func connects(_ credentials: Credentials, as uid: String) -> Admission? {
        let seconds = flapping.withLock { all in
            all[credentials.listener]?.connects(clientID: credentials.clientID, uid: uid, address: credentials.address, now: Self.uptime)
        }
        return refusal(credentials, flapping: seconds)
    }

    private func refusal(_ credentials: Credentials, flapping seconds: Double?) -> Admission? {
        guard let seconds else { return nil }
        note(.flapping, credentials)
        log(credentials, "flapping")
        return .refused(ShuntError(.accessRate, "this client has connected too often: try again in \(Int(seconds.rounded(.up))) s"))
    }

    private func identify(_ credentials: Credentials, _ certificate: ClientCertificate?, _ decided: @escaping @Sendable (Admission) -> Void) {
        let door = doors.withLock { $0.indices.contains(credentials.listener) ? $0[credentials.listener] : nil }
        guard let door else { return decided(.refused(ShuntError(.accessUnavailable, "the listener is gone"))) }
        if let certificate, let source = door.uidFrom, let uid = certificate.uid(from: source) {
            var admitted = Admitted(uid: uid)
            admitted.certificate = certificate.commonName
            return decided(.admitted(admitted))
        }
        let isChecked = credentials.password != nil && (door.passwords != nil || door.tokens != nil)
        guard isChecked || door.service != nil else { return decided(unknown(door)) }
        let since = Self.uptime
        let user = credentials.user ?? ""
        let turn: LoginTurns.Check = { [self] in
            // What others of this address have tried meanwhile counts.
            if let seconds = delays.withLock({ $0.refusal(of: credentials.address, now: Self.uptime) }) {
                return decided(delayed(credentials, seconds))
            }
            guard Self.uptime - since <= Self.patience else { return decided(busy(credentials)) }
            check(credentials, certificate, door) { [self] admission in
                if case .admitted(let admitted) = admission {
                    delays.withLock { $0.succeeded(from: credentials.address, user: admitted.uid ?? "") }
                }
                decided(admission)
            }
        }
        let wait: LoginTurns.Check = { [self] in
            let isKnown = delays.withLock { $0.knows(user, from: credentials.address) }
            if !turns.add(from: credentials.address, isKnown: isKnown, turn) { decided(busy(credentials)) }
        }
        switch delays.withLock({ $0.attempt(from: credentials.address, user: user, now: since) }) {
        case .check: wait()
        case .hold(let seconds): if !turns.hold(user, seconds: seconds, wait) { decided(busy(credentials)) }
        case .refuse(let seconds): decided(delayed(credentials, seconds))
        }
    }

    private func delayed(_ credentials: Credentials, _ seconds: Double) -> Admission {
        note(.delayed, credentials)
        let wait = Int(seconds.rounded(.up))
        return .refused(ShuntError(.accessCredentials, "too many failures from this address", help: "try again in \(wait) s"))
    }

    private func busy(_ credentials: Credentials) -> Admission {
        note(.busy, credentials)
        return .refused(ShuntError(.accessUnavailable, "too many clients are waiting to be checked", help: "come again in a moment"))
    }

    private func check(
        _ credentials: Credentials, _ certificate: ClientCertificate?, _ door: Door, _ decided: @escaping @Sendable (Admission) -> Void
    ) {
        if let tokens = door.tokens, let password = credentials.password, password.withUnsafeBytes({ TokenVerifier.isToken($0) }) {
            return check(credentials, token: password, tokens, decided)
        }
        guard !credentials.isToken else { return decided(refuse(credentials, .token, "no token")) }
        guard let passwords = door.passwords, let user = credentials.user, let password = credentials.password,
            door.service == nil || passwords.knows(user)
        else {
            guard door.service == nil else { return ask(credentials, certificate, door, decided) }
            return decided(refuse(credentials, .token, "no token"))
        }
        guard password.withUnsafeBytes({ passwords.verify(user: user, password: $0) }) else {
            return decided(refuse(credentials, .password, "wrong user name or password"))
        }
        var admitted = Admitted(uid: user)
        admitted.passwordStamp = passwords.stamp(of: user)
        decided(.admitted(admitted))
    }

    /// The client is told no more than that; the log tells why, without the secret.
    func refuse(_ credentials: Credentials, _ refusal: Refusal, _ why: String) -> Admission {
        note(refusal, credentials)
        delays.withLock { $0.failed(from: credentials.address, user: credentials.user ?? "", now: Self.uptime) }
        log(credentials, why)
        return .refused(ShuntError(.accessCredentials, refusal == .token ? "the token does not count" : "wrong user name or password"))
    }

    func log(_ credentials: Credentials, _ why: String) {
        logger.debug(
            "refused a client",
            metadata: [
                "address": "\(credentials.address)", "client": "\(credentials.clientID)",
                // Some people type passwords, and tokens, as user names.
                "user": "\(RefusedClients.shown(credentials.user ?? ""))", "why": "\(why)",
            ])
    }

    /// - Parameter credentials: nil where it is not sure yet that the client is refused.
    func note(_ refusal: Refusal, _ credentials: Credentials? = nil) {
        refusals.withLock { $0[refusal, default: 0] += 1 }
        if let credentials { refused.note(credentials, refusal.rawValue) }
    }

    /// Called regularly.
    func tick() {
        delays.withLock { $0.forget(now: Self.uptime) }
        flapping.withLock { all in for listener in all.keys { all[listener]?.forget(now: Self.uptime) } }
        remote.tick()
    }

    static var uptime: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }
}
