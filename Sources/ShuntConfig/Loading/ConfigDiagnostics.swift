import ShuntCore

/// All errors of a configuration.
public struct ConfigurationErrors: Error, Equatable, Sendable, CustomStringConvertible {
    /// At least one.
    public let errors: [ShuntError]

    init(errors: [ShuntError]) { self.errors = errors }

    package init(_ error: ShuntError) { errors = [error] }

    /// - Throws: the errors, where there are any.
    public static func throwAny(of errors: [ShuntError]) throws(ConfigurationErrors) {
        guard errors.isEmpty else { throw ConfigurationErrors(errors: errors) }
    }

    /// One error a line.
    public var description: String {
        errors.map(\.description).joined(separator: "\n")
    }
}

/// Collects errors, so that the caller can tell all of them at once.
package struct ConfigDiagnostics {
    package private(set) var errors: [ShuntError] = []
    private var untold = 0
    /// The most errors that a report lists: a file of nonsense would have one for each line.
    static let capacity = 100

    package init() {}

    package mutating func add(_ code: ErrorCode, _ message: String, at location: String, help: String? = nil) {
        add(ShuntError(code, message, at: location, help: help))
    }

    package mutating func add(_ error: ShuntError) {
        if errors.count < Self.capacity { errors.append(error) } else { untold += 1 }
    }

    package func throwAny() throws(ConfigurationErrors) {
        guard !errors.isEmpty else { return }
        let rest = untold == 0 ? [] : [ShuntError(.configInvalid, "\(untold) more errors")]
        throw ConfigurationErrors(errors: errors + rest)
    }

    /// A value as an error shows it: short, in one line.
    package static func excerpt(_ given: String) -> String {
        let text = withoutSecrets(given)
        let shown = text.unicodeScalars.prefix(60).map { $0.value < 0x20 || $0.value == 0x7f ? "?" : String($0) }.joined()
        return text.unicodeScalars.count > 60 ? shown + "…" : shown
    }

    /// An address without its user and password, and without what follows a question mark.
    private static func withoutSecrets(_ text: String) -> String {
        guard let scheme = text.firstRange(of: "://") else { return text }
        let rest = text[scheme.upperBound...]
        let address = rest.prefix { $0 != "?" }
        let shown = rest.endIndex == address.endIndex ? address : address + "?…"
        let authority = shown.prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return String(text[..<scheme.upperBound] + shown) }
        return text[..<scheme.upperBound] + "…" + shown[at...]
    }
}
