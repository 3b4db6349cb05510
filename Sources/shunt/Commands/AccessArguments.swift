import ArgumentParser
import Glibc
import ShuntClient
import ShuntCore

/// The options by which a client command speaks TLS, and shows who it is. Secrets come from files, which `ps` does not show.
struct AccessArguments: ParsableArguments {
    @Flag(help: "Speak TLS with workers or the broker. A master, which knows addresses and no more, is asked in plain bytes.")
    var tls = false

    @Option(
        help: ArgumentHelp(
            "TLS: the certificates of the authorities to trust, in PEM. Default: what the environment's SHUNT_CAFILE says, else those that the "
                + "system trusts.", valueName: "file"), completion: .file())
    var cafile: String?

    @Option(help: ArgumentHelp("TLS: this client's certificate, in PEM.", valueName: "file"), completion: .file())
    var cert: String?

    @Option(
        help: ArgumentHelp(
            "TLS: its private key. Default: beside the certificate's file, as its name with .key, or in it.", valueName: "file"),
        completion: .file())
    var certKey: String?

    @Option(help: ArgumentHelp("The user name. Default: what the environment's SHUNT_USER says.", valueName: "name"))
    var user: String?

    @Option(
        help: ArgumentHelp(
            "The file whose first line is the password. Default: what SHUNT_PASSWORD_FILE says.", valueName: "file"), completion: .file())
    var passwordFile: String?

    @Option(
        help: ArgumentHelp(
            "The file whose first line is a token (JWT), instead of a password. Default: what SHUNT_TOKEN_FILE says.", valueName: "file"),
        completion: .file())
    var tokenFile: String?

    func validate() throws {
        let needsTLS = [("--cafile", cafile), ("--cert", cert), ("--cert-key", certKey)]
        if !tls, let option = needsTLS.first(where: { $0.1 != nil }) { throw ValidationError("\(option.0) needs --tls.") }
        if certKey != nil, cert == nil { throw ValidationError("--cert-key needs --cert.") }
        if passwordFile != nil, tokenFile != nil { throw ValidationError("--password-file and --token-file exclude each other.") }
    }

    /// How TLS is spoken; nil without --tls.
    /// - Throws: `tls.invalid`.
    func client() throws(ShuntError) -> TLSClient? {
        guard tls else { return nil }
        return try TLSClient(authorities: cafile ?? Self.variable("SHUNT_CAFILE"), certificate: cert, key: certKey)
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

    /// - Throws: `io.failed`, or `usage` for a file that has no secret.
    func credentials() throws(ShuntError) -> Credentials {
        var credentials = Credentials(user: user ?? Self.variable("SHUNT_USER"))
        let isGiven = passwordFile != nil || tokenFile != nil
        let token = tokenFile ?? (isGiven ? nil : Self.variable("SHUNT_TOKEN_FILE"))
        let password = passwordFile ?? (isGiven ? nil : Self.variable("SHUNT_PASSWORD_FILE"))
        guard let file = token ?? password else { return credentials }
        credentials.isToken = token != nil
        credentials.password = try Self.firstLine(of: file)
        return credentials
    }

    private static func variable(_ name: String) -> String? {
        ProcessEnvironment.variables[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func firstLine(of path: String) throws(ShuntError) -> String {
        guard let file = fopen(path, "re") else {
            throw ShuntError(.ioFailed, "the file cannot be read: \(String(cString: strerror(errno)).lowercased())", at: path)
        }
        defer { fclose(file) }
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { $1 = fread($0.baseAddress, 1, limit, file) }
        let line = bytes.prefix { $0 != 0x0A && $0 != 0x0D }
        guard !line.isEmpty, line.count < limit, let text = String(validating: line, as: UTF8.self) else {
            throw ShuntError(.usage, "the file's first line is no secret", at: path, help: "1 to \(limit - 1) bytes of UTF-8")
        }
        return text
    }

    /// More bytes than a password or a token has.
    private static let limit = 64 << 10
}
