import ShuntClient
import ShuntConfig
import ShuntCore

/// What one place says of who a client is, and of TLS: options, the environment, or a context.
struct AccessSource {
    enum Secret {
        case password(String)
        case passwordFile(String)
        case tokenFile(String)
    }

    var user: String?
    var secret: Secret?
    var cafile: String?
    var cert: String?
    var certKey: String?

    init(user: String?) { self.user = user }

    init(_ environment: [String: String]) {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        user = variable("SHUNT_USER")
        cafile = variable("SHUNT_CAFILE")
        secret =
            variable("SHUNT_TOKEN_FILE").map(Secret.tokenFile) ?? variable("SHUNT_PASSWORD_FILE").map(Secret.passwordFile)
            ?? variable("SHUNT_PASSWORD").map(Secret.password)
    }

    init(_ context: ClientContext) {
        func value(_ text: String) -> String? { text.isEmpty ? nil : text }
        (user, cafile) = (value(context.user), value(context.cafile))
        (cert, certKey) = (value(context.cert), value(context.certKey))
        secret = value(context.jwtFile).map(Secret.tokenFile) ?? value(context.passwordFile).map(Secret.passwordFile)
    }
}

/// Who a client is, and how it speaks TLS, when all places are put together.
struct AccessSettings {
    var tls: Bool
    /// The first that says something counts.
    var sources: [AccessSource]

    /// How TLS is spoken; nil without it.
    /// - Throws: `tls.invalid`.
    func client() throws(ShuntError) -> TLSClient? {
        guard tls else { return nil }
        let own = sources.first { $0.cert != nil }
        return try TLSClient(authorities: sources.lazy.compactMap(\.cafile).first, certificate: own?.cert, key: own?.certKey)
    }

    /// Who the client is.
    struct Credentials {
        var user: String?
        /// Of the user, or a token.
        var password: String?
        var isToken = false

        /// What workers are shown by the exchange protocol; nil: nothing.
        /// - Throws: `usage` for a user without a password, and the other way round.
        func token() throws(ShuntError) -> String? {
            switch (user, password) {
            case (_, let token?) where isToken: return token
            case (let user?, let password?): return "\(user):\(password)"
            case (nil, nil): return nil
            case (_?, nil): throw ShuntError(.usage, "a user without a password", help: "give its file with --password-file")
            case (nil, _?): throw ShuntError(.usage, "a password without a user", help: "name the user with --user")
            }
        }
    }

    /// A secret that a place has for another user is not this user's.
    /// - Throws: `config.missing` or `config.invalid` for a file that cannot be read, `usage` for one that has no secret.
    func credentials() throws(ShuntError) -> Credentials {
        var credentials = Credentials(user: sources.lazy.compactMap(\.user).first)
        let source = sources.first { $0.secret != nil && ($0.user == nil || $0.user == credentials.user) }
        switch source?.secret {
        case .password(let password): credentials.password = password
        case .passwordFile(let file): credentials.password = try Self.firstLine(of: file)
        case .tokenFile(let file): (credentials.password, credentials.isToken) = (try Self.firstLine(of: file), true)
        case nil: break
        }
        return credentials
    }

    private static func firstLine(of path: String) throws(ShuntError) -> String {
        let line = try SecretText(path: path).text.prefix { !$0.isNewline }
        guard !line.isEmpty, line.utf8.count <= limit else {
            throw ShuntError(.usage, "the file's first line is no secret", at: path, help: "1 to \(limit) bytes of UTF-8")
        }
        return String(line)
    }

    /// The most bytes of a password or a token.
    private static let limit = 64 << 10
}
