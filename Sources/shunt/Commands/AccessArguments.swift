import ArgumentParser
import ShuntClient
import ShuntConfig
import ShuntCore

/// The options by which a client command speaks TLS, and shows who it is. Secrets come from files, which `ps` does not show.
struct AccessArguments: ParsableArguments {
    @Flag(help: "Speak TLS with workers or the broker. A master, which knows addresses and no more, is asked in plain bytes.")
    var tls = false

    @Option(
        help: ArgumentHelp(
            "TLS: the certificates of the authorities to trust, in PEM. Default: what the environment's SHUNT_CAFILE says, else the "
                + "context, else those that the system trusts.", valueName: "file"), completion: .file())
    var cafile: String?

    @Option(help: ArgumentHelp("TLS: this client's certificate, in PEM.", valueName: "file"), completion: .file())
    var cert: String?

    @Option(
        help: ArgumentHelp(
            "TLS: its private key. Default: beside the certificate's file, as its name with .key, or in it.", valueName: "file"),
        completion: .file())
    var certKey: String?

    @Option(help: ArgumentHelp("The user name. Default: what the environment's SHUNT_USER says, else the context.", valueName: "name"))
    var user: String?

    @Option(
        help: ArgumentHelp(
            "The file whose first line is the password. Default: what the environment's SHUNT_PASSWORD or "
                + "SHUNT_PASSWORD_FILE says, else the context.", valueName: "file"), completion: .file())
    var passwordFile: String?

    @Option(
        help: ArgumentHelp(
            "The file whose first line is a token (JWT), instead of a password. Default: what the environment's "
                + "SHUNT_TOKEN_FILE says, else the context.", valueName: "file"),
        completion: .file())
    var tokenFile: String?

    func validate() throws {
        if certKey != nil, cert == nil { throw ValidationError("--cert-key needs --cert.") }
        if passwordFile != nil, tokenFile != nil { throw ValidationError("--password-file and --token-file exclude each other.") }
    }

    /// Options go first, then a context that is asked for, then the environment, then another context. A context's files and name are for its own
    /// hosts alone.
    /// - Throws: `usage` for an option that needs TLS, without it.
    func settings(_ choice: ContextChoice?, for addresses: [HostPort]) throws(ShuntError) -> AccessSettings {
        var options = AccessSource(user: user)
        (options.cafile, options.cert, options.certKey) = (cafile, cert, certKey)
        options.secret = passwordFile.map(AccessSource.Secret.passwordFile) ?? tokenFile.map(AccessSource.Secret.tokenFile)
        let known = choice.flatMap { choice in addresses.allSatisfy { choice.context.knows(host: $0.host) } ? choice : nil }
        let settings = AccessSettings(
            tls: tls || known?.context.tls == true,
            sources: [
                options, known.flatMap { $0.isAskedFor ? AccessSource($0.context) : nil }, AccessSource(ProcessEnvironment.variables),
                known.flatMap { $0.isAskedFor ? nil : AccessSource($0.context) },
            ].compactMap { $0 })
        let needsTLS = [("--cafile", cafile), ("--cert", cert), ("--cert-key", certKey)]
        if !settings.tls, let option = needsTLS.first(where: { $0.1 != nil }) {
            throw ShuntError(.usage, "\(option.0) needs --tls", help: "say --tls too, or tls: true in the context")
        }
        return settings
    }
}
