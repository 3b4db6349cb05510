import Logging
import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntEngine

/// How a listener lets clients in, as its configuration and files say at present.
struct Door: Sendable {
    /// The listener's.
    var name = ""
    var allowsAnonymous = true
    var passwords: PasswordFile?
    var tokens: TokenSource?
    /// Asked about clients that nothing before names.
    var service: AccessService.Settings?
    var lists = AccessLists()
    /// Whether clients may have certificates, and where these name the client.
    var uidFrom: ClientCertificate.UIDSource?
    /// nil where clients may connect as often as they like.
    var flapping: Flapping.Settings?

    /// Whether anything has to be asked: else everybody comes in, and may do everything.
    var asks: Bool { !allowsAnonymous || namesClients || lists.isSet || flapping != nil }

    /// Whether anything but rules may say who a client is.
    private var namesClients: Bool { passwords != nil || tokens != nil || service != nil || uidFrom != nil }

    /// What a loop needs to know of it.
    func access() -> ListenerAccess {
        var access = ListenerAccess(asks: asks, takesTokens: tokens != nil, permissions: nil)
        access.wantsCredentials = !allowsAnonymous && uidFrom == nil
        access.counts = { [passwords] admitted in
            admitted.passwordStamp == nil || passwords?.stamp(of: admitted.uid ?? "") == admitted.passwordStamp
        }
        // A token or a service's answer may have lists of its own.
        guard lists.isSet || tokens != nil || service != nil else { return access }
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
    /// Warns of what is wrong with those that can be used.
    /// - Parameter names: of the listeners, in the order of their numbers.
    /// - Throws: every error of a file, with its line; `config.invalid` for a listener that lets nobody in.
    static func all(of configuration: Configuration, _ names: [String], _ logger: Logger) throws(ShuntError) -> [Door] {
        var files = AccessFiles()
        defer { for warning in files.warnings { logger.warning("\(warning)") } }
        var doors: [Door] = []
        for name in names {
            guard let listener = configuration.worker.listeners[name] else { continue }
            let key = "worker.listeners.\(name)"
            guard !listener.proxies.isEmpty || !configuration.isGiven("\(key).proxy_protocol") else {
                throw configuration.placed(
                    ShuntError(
                        .configInvalid, "\(key).proxy_protocol.from names no proxy", at: "\(key).proxy_protocol.from",
                        help: "name the proxies' addresses, or take proxy_protocol away where clients connect themselves"))
            }
            let isOwn = !listener.access.isEmpty
            do throws(ShuntError) {
                var door = try Door(listener, isOwn ? listener.access : configuration.access, key, isOwn ? "\(key).access" : "access", &files)
                door.name = name
                // Rules may say who clients are: `on_auth`, and `on_connect`.
                if configuration.rules.enabled == .named([]) { try door.checkLetsSomebodyIn(key) }
                doors.append(door)
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
        tokens = try TokenSource(access.jwt, "\(section).jwt", &files)
        service = try AccessService.Settings(access.http, "\(section).http", &files)
        if access.flapping.connects > 0 {
            var settings = Flapping.Settings()
            (settings.connects, settings.window) = (access.flapping.connects, access.flapping.within.seconds)
            settings.refusal = access.flapping.refusedFor.seconds
            settings.keys = Set(access.flapping.by)
            flapping = settings
        }
        if listener.tls.isOn, listener.tls.verify != .none { uidFrom = listener.tls.uidFrom }
        guard listener.limits.connectionsPerAddress == 0 || listener.proxies.isEmpty else {
            throw ShuntError(
                .configInvalid, "\(key).limits.connections_per_address would count proxies, which all clients come through",
                at: "\(key).limits.connections_per_address", help: "leave it out: a proxy knows its clients' addresses and can count them")
        }
    }

    /// - Throws: `config.invalid`.
    private func checkLetsSomebodyIn(_ key: String) throws(ShuntError) {
        guard allowsAnonymous || namesClients else {
            throw ShuntError(
                .configInvalid, "nobody can come in by \(key): nothing says who clients are, and anonymous ones may not come", at: key,
                help: "`access:` names a password file or keys of tokens, tls.verify asks for certificates; allow_anonymous: true lets everybody in")
        }
    }
}
