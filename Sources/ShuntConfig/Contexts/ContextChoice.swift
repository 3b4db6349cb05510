public import ShuntCore

/// The context that a command uses, and how it was chosen.
public struct ContextChoice: Equatable, Sendable {
    public var name: String
    public var context: ClientContext
    /// Whether an option named it: then it goes before the environment, else after it.
    public var isAskedFor: Bool

    /// - Parameter option: the context of `--context`; an empty name: none, and the file is not read.
    /// - Returns: nil where no context counts.
    /// - Throws: errors of the file, with their places; `config.missing` where the context is not there.
    public static func find(_ option: String?, environment: [String: String]) throws(ShuntError) -> ContextChoice? {
        guard option != "" else { return nil }
        let variable = environment[ClientContexts.variable].flatMap { $0.isEmpty ? nil : $0 }
        let place = option != nil ? "--context" : "the environment's \(ClientContexts.variable)"
        guard let path = ClientContexts.path(environment) else {
            guard let name = option ?? variable else { return nil }
            throw ShuntError(.configMissing, "there is no context '\(name)'", at: place, help: "set HOME or XDG_CONFIG_HOME: the file is below")
        }
        let contexts = try ClientContexts(path: path, home: environment["HOME"])
        guard let name = option ?? variable ?? (contexts.current.isEmpty ? nil : contexts.current) else { return nil }
        return ContextChoice(name: name, context: try contexts.context(name, at: place), isAskedFor: option != nil)
    }
}
