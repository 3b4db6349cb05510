import ShuntCore

/// What `shunt rule check` has found in a plugin's files, and where.
public struct RuleFinding: Equatable, Sendable {
    public enum Severity: String, Sendable {
        /// The rule fails there, or the text cannot be what its author meant.
        case error
        /// It is mostly a mistake.
        case warning
    }

    /// What kind it is; `-- shunt: ignore KIND` at the end of its line silences a warning.
    public enum Kind: String, Sendable, CaseIterable {
        case syntax, rule, field, library, arguments, colon, hook, duplicate, global, unused, shadowed, unreachable, empty, match, overlap, unguarded,
            payload, growth
    }

    public var severity: Severity
    public var kind: Kind
    /// `file:line:column`, or `file:line`.
    public var location: String
    public var message: String
    public var help: String?

    /// As errors are shown.
    public var description: String {
        "\(location): \(severity.rawValue): \(message) [\(kind.rawValue)]\(help.map { "; \($0)" } ?? "")"
    }

    /// As one of JSON's objects.
    public var json: String {
        "{\"severity\":\(Self.quoted(severity.rawValue)),\"code\":\(Self.quoted(kind.rawValue)),\"message\":\(Self.quoted(message)),"
            + "\"location\":\(Self.quoted(location)),\"help\":\(help.map(Self.quoted) ?? "null")}"
    }

    fileprivate static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case _ where scalar.value < 0x20: PrintableText.jsonEscape(scalar)
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }
}

extension RuleCheck {
    /// One line of JSON.
    public var json: String {
        let granted = grants.map { grant in
            "{\"rule\":\(RuleFinding.quoted(grant.rule)),\"rights\":[\(grant.rights.map(RuleFinding.quoted).joined(separator: ","))]}"
        }
        return "{\"plugins\":\(count),\"errors\":\(errors),\"warnings\":\(warnings),"
            + "\"findings\":[\(findings.map(\.json).joined(separator: ","))],\"grants\":[\(granted.joined(separator: ","))]}"
    }
}
