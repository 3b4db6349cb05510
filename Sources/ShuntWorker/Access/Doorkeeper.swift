import Dispatch
import ShuntAccess
import ShuntCore
import ShuntEngine
import Synchronization

/// Decides for all loops whether clients are let in: the first that knows a client decides, of its certificate, the password file, and at last
/// the rules and `allow_anonymous`, which the loop asks. A check that cannot be made refuses.
final class Doorkeeper: Sendable {
    private let doors: Mutex<[Door]>
    /// Passwords are hashed here, which takes milliseconds of a processor each.
    private let hashing: [DispatchQueue]
    private let hashes = Atomic<Int>(0)
    /// The most passwords under way: beyond it clients are refused, to come again.
    private static let capacity = 1000

    /// - Parameter doors: of the listeners, by their numbers.
    init(_ doors: [Door], threads: Int) {
        self.doors = Mutex(doors)
        hashing = (0..<max(1, threads)).map { DispatchQueue(label: "shunt.passwords.\($0)", qos: .utility) }
    }

    func set(_ doors: [Door]) { self.doors.withLock { $0 = doors } }

    /// - Parameters:
    ///   - certificate: whom the client's verified certificate names; nil where it has none.
    ///   - decided: called once, on any thread.
    func decide(_ credentials: Credentials, certificate: CertificateName?, _ decided: @escaping @Sendable (Admission) -> Void) {
        let door = doors.withLock { $0.indices.contains(credentials.listener) ? $0[credentials.listener] : nil }
        guard let door else { return decided(.refused(ShuntError(.accessUnavailable, "the listener is gone"))) }
        if let certificate {
            var admitted = Admitted(uid: certificate.uid)
            admitted.certificate = certificate.commonName
            return decided(.admitted(admitted))
        }
        guard let user = credentials.user, let passwords = door.passwords else { return decided(.unknown(mayEnter: door.allowsAnonymous)) }
        guard hashes.wrappingAdd(1, ordering: .relaxed).newValue <= Self.capacity else {
            hashes.wrappingSubtract(1, ordering: .relaxed)
            return decided(.refused(ShuntError(.accessUnavailable, "too many passwords are under way", help: "come again in a moment")))
        }
        let password = credentials.password ?? []
        hashing[Int.random(in: hashing.indices)].async { [self] in
            let isRight = password.withUnsafeBytes { passwords.verify(user: user, password: $0) }
            hashes.wrappingSubtract(1, ordering: .relaxed)
            decided(isRight ? .admitted(Admitted(uid: user)) : .refused(ShuntError(.accessCredentials, "wrong user name or password")))
        }
    }
}

/// Whom a verified certificate names.
struct CertificateName: Sendable {
    var uid: String
    var commonName: String
}
