public import ArgumentParser
import ShuntConfig
import ShuntCore

/// `shunt context`: the clusters that a user's commands reach.
public struct ContextCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "context",
        abstract: "Name the clusters that commands reach: addresses, and files of secrets.",
        discussion: """
            A context is written by hand, in shunt/client.yaml below XDG_CONFIG_HOME or ~/.config:

              current: prod
              contexts:
                prod: { admin: 10.0.0.1, master: 10.0.0.1, token_file: prod.token, user: ada, password_file: ~/prod.password }
                here: { master: 127.0.0.1 }

            There are admin (https:// before it for TLS), master, worker (host, or host:port; commas between several masters or workers), \
            tls, and files, relative to the folder of this one: token_file (of the admin API), password_file or jwt_file with user, \
            cafile, cert and cert_key. --context NAME, then the environment's SHUNT_CONTEXT, then current say \
            which one counts. Other options go before it, and so do other variables unless --context is given. Its secrets go to \
            its own hosts alone.
            """,
        subcommands: [ContextList.self, ContextShow.self, ContextUse.self])

    public init() {}
}

/// The file of the one who calls.
private func contextFile(_ console: Console) throws(ShuntError) -> String {
    if let path = ClientContexts.path(console.environment) { return path }
    throw ShuntError(.usage, "it is unknown where contexts are", help: "set HOME or XDG_CONFIG_HOME")
}

/// `shunt context list`.
struct ContextList: ConsoleCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the contexts; * is the one that counts.")

    func report(on console: Console) async throws(ShuntError) {
        let file = try contextFile(console)
        let contexts = try ClientContexts(path: file, home: console.environment["HOME"])
        // A missing context does not hide the ones that are there.
        let used = (try? ContextChoice.find(nil, environment: console.environment))?.name
        for name in contexts.contexts.keys.sorted() { try console.write("\(name == used ? "*" : " ") \(name)\n") }
        if contexts.contexts.isEmpty { console.writeError("there are none: write some in \(Text.printable(file))\n") }
    }
}

/// `shunt context show`.
struct ContextShow: ConsoleCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a context, the one that counts if none is named.")

    @Argument(help: "The context.")
    var name: String?

    func report(on console: Console) async throws(ShuntError) {
        guard let choice = try ContextChoice.find(name, environment: console.environment) else {
            throw ShuntError(.configMissing, "no context counts", help: "name one, or choose one with `shunt context use NAME`")
        }
        try console.write("# \(choice.name)\n")
        for field in choice.context.fields { try console.write("\(field.key): \(Text.printable(field.value))\n") }
    }
}

/// `shunt context use`.
struct ContextUse: ConsoleCommand {
    static let configuration = CommandConfiguration(commandName: "use", abstract: "Choose the context that counts from now on.")

    @Argument(help: "The context.")
    var name: String

    func report(on console: Console) async throws(ShuntError) {
        let path = try contextFile(console)
        let file = SecretFile(path: path)
        guard let text = try file.read() else {
            throw ShuntError(.configMissing, "there is no such file", at: path, help: "`shunt context --help` shows one")
        }
        try file.replace(by: ClientContexts.using(name, in: text, path: path))
        console.writeError("from now on \(Text.printable(name)) counts\n")
    }
}
