import Glibc
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
        // A token may have lists of its own.
        guard lists.isSet || tokens != nil else { return ListenerAccess(asks: asks, permissions: nil) }
        let rights = Rights(lists)
        return ListenerAccess(asks: asks) { admitted, clientID, address in
            rights.rights(
                of: Who(
                    uid: admitted.uid ?? "", clientID: clientID, address: address, certificate: admitted.certificate, acl: admitted.acl))
        }
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
                help: "allow_anonymous: true lets everybody in; `access:` names a password file or keys of tokens")
        }
    }
}

/// The files of access that have been read, by path.
struct AccessFiles {
    private var passwords: [String: PasswordFile] = [:]
    private var acls: [String: ACLFile] = [:]
    private var rules: [String: AccessRules] = [:]
    private var keys: [String: TokenKeys] = [:]

    mutating func passwords(_ path: String, _ key: String) throws(ShuntError) -> PasswordFile {
        if let known = passwords[path] { return known }
        let text = try Self.text(of: path, key, maximum: PasswordFile.maximumSize)
        let file = try Self.first { () throws(ConfigurationErrors) in try PasswordFile(text, name: path) }
        passwords[path] = file
        return file
    }

    mutating func acl(_ path: String, _ key: String) throws(ShuntError) -> ACLFile {
        if let known = acls[path] { return known }
        let text = try Self.text(of: path, key, maximum: ACLFile.maximumSize)
        let file = try Self.first { () throws(ConfigurationErrors) in try ACLFile(text, name: path) }
        acls[path] = file
        return file
    }

    mutating func rules(_ path: String, _ key: String) throws(ShuntError) -> AccessRules {
        if let known = rules[path] { return known }
        let text = try Self.text(of: path, key, maximum: AccessRules.maximumSize)
        let file = try Self.first { () throws(ConfigurationErrors) in try AccessRules(text, name: path) }
        rules[path] = file
        return file
    }

    mutating func keys(_ path: String, _ key: String) throws(ShuntError) -> TokenKeys {
        if let known = keys[path] { return known }
        let file = try TokenKeys(try Self.text(of: path, key, maximum: TokenKeys.maximumSize), name: path)
        keys[path] = file
        return file
    }

    /// - Returns: the errors of a file as one, which has the place of the first and the words of the others.
    private static func first<File>(_ read: () throws(ConfigurationErrors) -> File) throws(ShuntError) -> File {
        do throws(ConfigurationErrors) {
            return try read()
        } catch {
            guard var first = error.errors.first else { throw ShuntError(.configInvalid, "the file cannot be read") }
            let others = error.errors.dropFirst().prefix(9).map(\.description)
            if !others.isEmpty { first.help = ([first.help].compactMap { $0 } + others).joined(separator: "; ") }
            throw first
        }
    }

    /// - Throws: `config.missing`, `config.range`, at the setting's place.
    private static func text(of path: String, _ key: String, maximum: Int) throws(ShuntError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ShuntError(.configMissing, "the file \(path) cannot be read: \(String(cString: strerror(errno)))", at: key)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &block, block.count)
            guard count >= 0 else {
                throw ShuntError(.configMissing, "the file \(path) cannot be read: \(String(cString: strerror(errno)))", at: key)
            }
            guard count > 0 else { break }
            bytes += block[..<count]
            guard bytes.count <= maximum else { throw ShuntError(.configRange, "the file \(path) has more than \(maximum) bytes", at: key) }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ShuntError(.configInvalid, "the file \(path) is no text in UTF-8", at: key)
        }
        return text
    }
}
