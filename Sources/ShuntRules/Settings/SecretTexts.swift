import Glibc
import ShuntCore
import Synchronization

/// The texts of rules' secret settings, by the rule's name: what rules log and raise is told without them.
final class SecretTexts: Sendable {
    private let texts = Mutex<[String: Forms]>([:])
    static let hidden = "(hidden)"
    private static let mark = Array(hidden.utf8)
    /// What is at least as long, in bytes, may have been cut at its end: a reason keeps 512 bytes, a line and an error 1,024, fields 4,096.
    private static let (cutFrom, cutFieldsFrom) = (500, 4000)
    /// Bytes of a secret that a text may end with.
    private static let shownOfCut = 3
    private static let ellipsis = Array("…".utf8)

    /// Secrets as they may stand in a text.
    struct Forms: Sendable {
        /// The longest first: one may be a part of another.
        let all: [[UInt8]]

        init(_ secrets: Set<String>) {
            var forms = Set<[UInt8]>()
            for secret in secrets where !secret.isEmpty {
                let bytes = Array(secret.utf8), quoted = Self.quoted(bytes)
                // As it is, in JSON, in JSON within JSON, and in a line of an error or a reason.
                forms.formUnion([bytes, quoted, Self.quoted(quoted), bytes.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }])
            }
            all = forms.sorted { $0.count == $1.count ? $0.lexicographicallyPrecedes($1) : $0.count > $1.count }
        }

        /// As `json.encode` and the fields of log lines write a text.
        private static func quoted(_ bytes: [UInt8]) -> [UInt8] {
            let letters: [UInt8: String] = [0x22: "\\\"", 0x5C: "\\\\", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"]
            return bytes.flatMap { byte -> [UInt8] in
                if let escape = letters[byte] { return Array(escape.utf8) }
                guard byte < 0x20 else { return [byte] }
                return Array("\\u00\(byte < 0x10 ? "0" : "")\(String(byte, radix: 16))".utf8)
            }
        }
    }

    /// - Parameter before: rules that may still say something.
    func set(_ rules: [RuleSet.Rule], and before: [RuleSet.Rule] = []) {
        let all = (rules + before).reduce(into: [String: Set<String>]()) { $0[$1.definition.name, default: []].formUnion($1.secrets) }
        texts.withLock { $0 = all.filter { !$0.value.isEmpty }.mapValues { Forms($0) } }
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

    static func hide(_ secrets: Set<String>, in text: String) -> String { hide(Forms(secrets), in: text) }

    /// - Parameter isCut: whether the text may end within a secret; nil: as its length says.
    private static func hide(_ secrets: Forms, in text: String, isCut: Bool? = nil) -> String {
        let bytes = Array(text.utf8)
        let whole = secrets.all.reduce(bytes) { hide($1, in: $0) }
        let hiding = hideCut(secrets, in: whole, isCut: isCut ?? (bytes.count >= cutFrom))
        return hiding == bytes ? text : String(decoding: hiding, as: UTF8.self)
    }

    /// Compares bytes: characters of a text may join with those beside them.
    private static func hide(_ secret: [UInt8], in text: [UInt8]) -> [UInt8] {
        var (hiding, from) = ([UInt8](), 0)
        while let place = place(of: secret, in: text, from: from) {
            hiding += text[from..<place]
            hiding += mark
            from = place + secret.count
        }
        return from == 0 ? text : hiding + text[from...]
    }

    private static func place(of part: [UInt8], in text: [UInt8], from: Int) -> Int? {
        text.withUnsafeBytes { text in
            guard let start = text.baseAddress, from + part.count <= text.count else { return nil }
            return (from...text.count - part.count).first { memcmp(start + $0, part, part.count) == 0 }
        }
    }

    /// Hides how a secret begins where a text has been cut within it: before an ellipsis, and at its end where `isCut` says so.
    private static func hideCut(_ secrets: Forms, in text: [UInt8], isCut: Bool) -> [UInt8] {
        var (hiding, from) = ([UInt8](), 0)
        while let place = place(of: ellipsis, in: text, from: from) {
            hiding += withoutBeginning(of: secrets, text[from..<place])
            hiding += ellipsis
            from = place + ellipsis.count
        }
        let rest = text[from...]
        return hiding + (isCut ? withoutBeginning(of: secrets, rest) : Array(rest))
    }

    private static func withoutBeginning(of secrets: Forms, _ text: ArraySlice<UInt8>) -> [UInt8] {
        for secret in secrets.all {
            let most = min(secret.count - 1, text.count)
            guard most > shownOfCut else { continue }
            for count in stride(from: most, to: shownOfCut, by: -1) where text.suffix(count).elementsEqual(secret.prefix(count)) {
                return text.dropLast(count) + mark
            }
        }
        return Array(text)
    }

    /// The same of JSON, which stays JSON: a number with a secret in it becomes a text.
    private static func hide(_ secrets: Forms, inJSON json: String) -> String {
        var (hiding, token, isText, isEscaped) = ("", "", false, false)
        let isCut = json.utf8.count >= cutFieldsFrom
        func endToken() {
            let shown = hide(secrets, in: token, isCut: isCut && isText)
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
