import ShuntConfig
import ShuntCore

/// A token of the admin API, and where it was found. It is never an argument: other users of a machine see those.
struct AdminToken: Sendable {
    static let variable = "SHUNT_ADMIN_TOKEN"

    let text: String
    /// For people.
    let origin: String

    /// The token of a file, else the environment's, else the context's, which goes before the environment's if it was asked for. A context's
    /// token is for its own hosts alone. nil where there is none.
    static func find(
        file: String?, _ choice: ContextChoice?, for address: HostPort, environment: [String: String]
    ) throws(ShuntError) -> AdminToken? {
        if let file { return try AdminToken(file: file) }
        let known = choice.flatMap { $0.context.knows(host: address.host) && !$0.context.tokenFile.isEmpty ? $0 : nil }
        if let known, known.isAskedFor { return try AdminToken(file: known.context.tokenFile) }
        if let text = environment[variable], !text.isEmpty { return try AdminToken(text, origin: "the environment's \(variable)") }
        if let known { return try AdminToken(file: known.context.tokenFile) }
        return nil
    }

    /// The first line of a file.
    init(file: String) throws(ShuntError) {
        let text = try SecretText(path: file).text
        try self.init(String(text.prefix { !$0.isNewline }), origin: file)
    }

    private init(_ text: String, origin: String) throws(ShuntError) {
        guard !text.isEmpty, text.utf8.count <= 4096, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ShuntError(.usage, "there is no token", at: origin, help: "it is one line of visible ASCII characters, without blanks")
        }
        self.text = text
        self.origin = origin
    }
}
