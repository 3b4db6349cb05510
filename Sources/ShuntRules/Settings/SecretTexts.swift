import ShuntCore
import Synchronization

/// The texts of rules' secret settings, by the rule's name: what rules log and raise is told without them.
final class SecretTexts: Sendable {
    private let texts = Mutex<[String: Set<String>]>([:])
    static let hidden = "(hidden)"

    /// - Parameter before: rules that may still say something.
    func set(_ rules: [RuleSet.Rule], and before: [RuleSet.Rule] = []) {
        let all = (rules + before).reduce(into: [String: Set<String>]()) { $0[$1.definition.name, default: []].formUnion($1.secrets) }
        texts.withLock { $0 = all.filter { !$0.value.isEmpty } }
    }

    func hiding(_ entry: RuleLogEntry) -> RuleLogEntry {
        guard let secrets = texts.withLock({ $0[entry.rule] }) else { return entry }
        var entry = entry
        entry.text = Self.hide(secrets, in: entry.text)
        entry.fields = Self.hide(secrets, inJSON: entry.fields)
        return entry
    }

    /// What a rule has said, without its secrets.
    func hiding(_ text: String, of rule: String) -> String { texts.withLock({ $0[rule] }).map { Self.hide($0, in: text) } ?? text }

    static func hide(_ secrets: Set<String>, in text: String) -> String {
        // The longest first: one may be a part of another.
        secrets.sorted { ($1.utf8.count, $0) < ($0.utf8.count, $1) }.reduce(text) { text, secret in
            let quoted = secret.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            return text.replacing(secret, with: hidden).replacing(quoted, with: hidden)
        }
    }

    /// The same of JSON, which stays JSON: a number with a secret in it becomes a text.
    private static func hide(_ secrets: Set<String>, inJSON json: String) -> String {
        var (hiding, token, isText, isEscaped) = ("", "", false, false)
        func endToken() {
            let shown = hide(secrets, in: token)
            hiding += isText || shown == token ? shown : "\"\(hidden)\""
            token = ""
        }
        for scalar in json.unicodeScalars {
            if isText, isEscaped || scalar == "\\" {
                isEscaped.toggle()
            } else if scalar == "\"" || !isText && "[]{},: ".unicodeScalars.contains(scalar) {
                endToken()
                if scalar == "\"" { isText.toggle() }
                hiding.unicodeScalars.append(scalar)
                continue
            }
            token.unicodeScalars.append(scalar)
        }
        endToken()
        return hiding
    }

    static func hide(_ secrets: Set<String>, in error: ShuntError) -> ShuntError {
        var error = error
        if !secrets.isEmpty { error.message = hide(secrets, in: error.message) }
        return error
    }
}
