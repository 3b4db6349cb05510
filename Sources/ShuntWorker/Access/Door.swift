import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntEngine

/// How a listener lets clients in, as its configuration and files say at present.
struct Door: Sendable {
    var allowsAnonymous = true
    var passwords: PasswordFile?
    var tokens: TokenVerifier?
    var lists = AccessLists()
    /// Whether clients may have certificates, and where these name the client.
    var uidFrom: ClientCertificate.UIDSource?
    /// nil where clients may connect as often as they like.
    var flapping: Flapping.Settings?

    /// Whether anything has to be asked: else everybody comes in, and may do everything.
    var asks: Bool { !allowsAnonymous || passwords != nil || tokens != nil || lists.isSet || uidFrom != nil || flapping != nil }

    /// What a loop needs to know of it.
    func access() -> ListenerAccess {
        var access = ListenerAccess(asks: asks, takesTokens: tokens != nil, permissions: nil)
        access.counts = { [passwords] admitted in
            admitted.passwordStamp == nil || passwords?.stamp(of: admitted.uid ?? "") == admitted.passwordStamp
        }
        // A token may have lists of its own.
        guard lists.isSet || tokens != nil else { return access }
        let rights = Rights(lists)
        access.permissions = { admitted, clientID, address in
            rights.rights(
                of: Who(
                    uid: admitted.uid ?? "", clientID: clientID, address: address, certificate: admitted.certificate, acl: admitted.acl))
        }
        return access
    }
}

extension AccessLists {
    var isSet: Bool { rules != nil || acl != nil }
}

extension Door {
    /// Reads the files of all listeners; a file that several name is read once.
    /// - Parameter names: of the listeners, in the order of their numbers.
    /// - Throws: every error of a file, with its line; `config.invalid` for a listener that lets nobody in.
    static func all(of configuration: Configuration, _ names: [String]) throws(ShuntError) -> [Door] {
        var files = AccessFiles()
        var doors: [Door] = []
        for name in names {
            guard let listener = configuration.worker.listeners[name] else { continue }
            let key = "worker.listeners.\(name)"
            let isOwn = !listener.access.isEmpty
            do throws(ShuntError) {
                doors.append(try Door(listener, isOwn ? listener.access : configuration.access, key, isOwn ? "\(key).access" : "access", &files))
            } catch {
                throw configuration.placed(error)
            }
        }
        return doors
    }

    private init(
        _ listener: Configuration.Worker.Listener, _ access: Configuration.Access, _ key: String, _ section: String, _ files: inout AccessFiles
    ) throws(ShuntError) {
        allowsAnonymous = listener.allowAnonymous
        if !access.passwordFile.isEmpty { passwords = try files.passwords(access.passwordFile, "\(section).password_file") }
        if !access.aclFile.isEmpty { lists.acl = try files.acl(access.aclFile, "\(section).acl_file") }
        if !access.rules.isEmpty { lists.rules = try files.rules(access.rules, "\(section).rules") }
        if !access.jwt.keys.isEmpty {
            var settings = TokenVerifier.Settings()
            (settings.issuer, settings.audience, settings.uid) = (access.jwt.issuer, access.jwt.audience, access.jwt.uid)
            settings.skew = access.jwt.skew.seconds
            tokens = TokenVerifier(keys: try files.keys(access.jwt.keys, "\(section).jwt.keys"), settings: settings)
        }
        if access.flapping.connects > 0 {
            var settings = Flapping.Settings()
            (settings.connects, settings.window) = (access.flapping.connects, access.flapping.within.seconds)
            settings.refusal = access.flapping.refusedFor.seconds
            flapping = settings
        }
        if listener.tls.isOn, listener.tls.verify != .none { uidFrom = listener.tls.uidFrom }
        guard listener.limits.connectionsPerAddress == 0 || listener.proxies.isEmpty else {
            throw ShuntError(
                .configInvalid, "\(key).limits.connections_per_address would count proxies, which all clients come through",
                at: "\(key).limits.connections_per_address", help: "leave it out: a proxy knows its clients' addresses and can count them")
        }
        guard allowsAnonymous || passwords != nil || tokens != nil || uidFrom != nil else {
            throw ShuntError(
                .configInvalid, "nobody can come in by \(key): nothing says who clients are, and anonymous ones may not come", at: key,
                help: "`access:` names a password file or keys of tokens, tls.verify asks for certificates; allow_anonymous: true lets everybody in")
        }
    }
}
