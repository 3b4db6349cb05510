public import ShuntCore

/// The contexts of a user: `shunt/client.yaml` in the folder for configuration.
public struct ClientContexts: Equatable, Sendable {
    /// The name of the one that counts where none is asked for; empty: none.
    public private(set) var current = ""
    public private(set) var contexts: [String: ClientContext] = [:]
    /// The file.
    public let path: String

    /// The variable that names the context to use.
    public static let variable = "SHUNT_CONTEXT"

    private static let keys: [ConfigKey<ClientContexts>] = [
        ConfigKey("current", \.current, .name(maximum: 64, emptyMeans: "none"), .restart, "The context that counts where none is asked for."),
        ConfigKey(
            "contexts", \.contexts, .entries("contexts by name", keys: ClientContext.keys, count: 0...256) { ClientContext() }, .restart,
            "The contexts."),
    ]

    /// The file for this environment: below `XDG_CONFIG_HOME`, else below `.config` in the home folder; nil where neither is known.
    public static func path(_ environment: [String: String]) -> String? {
        if let folder = environment["XDG_CONFIG_HOME"], folder.hasPrefix("/") { return folder + "/shunt/client.yaml" }
        return environment["HOME"].flatMap { $0.isEmpty ? nil : $0 + "/.config/shunt/client.yaml" }
    }

    /// - Parameter path: of a file; one that is not there has no contexts.
    /// - Throws: the first error, with file, line and column.
    public init(path: String, home: String?) throws(ShuntError) {
        self.path = path
        let text: String
        do throws(ShuntError) {
            text = try ConfigFile.text(of: path)
        } catch {
            guard error.code == .configMissing else { throw error }
            return
        }
        try read(text, home: home)
    }

    /// - Parameter text: as it would stand in the file.
    init(_ text: String, path: String, home: String? = nil) throws(ShuntError) {
        self.path = path
        try read(text, home: home)
    }

    private mutating func read(_ text: String, home: String?) throws(ShuntError) {
        guard let root = try YAMLDocument.parse(text, from: .file(path)) else { return }
        var diagnostics = ConfigDiagnostics()
        ConfigReader(keys: Self.keys).read(root, label: "", into: &self, &diagnostics)
        if let error = diagnostics.errors.first { throw error }
        guard current.isEmpty || contexts[current] != nil else { throw unknown(current, at: root["current"]?.location ?? path) }
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        contexts = contexts.mapValues { context in
            var context = context
            for file in [\ClientContext.tokenFile, \.cafile, \.cert, \.certKey, \.passwordFile, \.jwtFile] {
                context[keyPath: file] = Self.absolute(context[keyPath: file], folder, home)
            }
            return context
        }
    }

    /// Paths are relative to the folder of the file, and `~/` is the home folder.
    private static func absolute(_ path: String, _ folder: String, _ home: String?) -> String {
        if path.isEmpty || path.hasPrefix("/") { return path }
        if path.hasPrefix("~/"), let home { return home + path.dropFirst(1) }
        return folder + path
    }

    /// - Throws: `config.missing` where there is no context of this name.
    public func context(_ name: String, at place: String) throws(ShuntError) -> ClientContext {
        guard let context = contexts[name] else { throw unknown(name, at: place) }
        return context
    }

    private func unknown(_ name: String, at place: String) -> ShuntError {
        let names = contexts.keys.sorted()
        let help =
            names.isEmpty
            ? "\(path) has none"
            : Suggestion.closest(to: name, in: names).map { "did you mean '\($0)'?" } ?? "there is " + names.joined(separator: ", ")
        return ShuntError(.configMissing, "there is no context '\(ConfigDiagnostics.excerpt(name))'", at: place, help: help)
    }

    /// The text of a file with another current context; comments and all else stay.
    /// - Throws: `config.invalid` where it is not written a key a line.
    public static func using(_ name: String, in text: String, path: String) throws(ShuntError) -> String {
        var contexts = try ClientContexts(text, path: path)
        _ = try contexts.context(name, at: path)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let line = "current: \(YAMLText.scalar(name))"
        if let place = lines.firstIndex(where: { $0.hasPrefix("current:") }) {
            lines[place] = line
        } else {
            lines.insert(line, at: lines.first == "---" ? 1 : 0)
        }
        let edited = lines.joined(separator: "\n")
        do throws(ShuntError) {
            contexts = try ClientContexts(edited, path: path)
        } catch {
            contexts.current = ""
        }
        guard contexts.current == name else {
            throw ShuntError(.configInvalid, "the file is not written a key a line", at: path, help: "write \(line) by hand")
        }
        return edited
    }
}
