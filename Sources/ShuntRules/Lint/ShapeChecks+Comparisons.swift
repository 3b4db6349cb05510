import LuaSyntax
import ShuntCore

/// Comparisons that are always false, or always true: of two types, or with a text that is none of the possible ones.
extension ShapeChecks {
    mutating func checkComparisons(_ all: [LuaExpression]) {
        for one in all {
            guard case .operations(let first, let rest) = one.kind, let sign = rest.first?.sign, sign == "==" || sign == "~=",
                // What binds less may follow; `a == b == c` compares a boolean.
                rest.count == 1 || rest[1].sign == "and" || rest[1].sign == "or"
            else { continue }
            check(first, rest[0].right, isEqual: sign == "==")
            check(rest[0].right, first, isEqual: sign == "==")
        }
    }

    private mutating func check(_ value: LuaExpression, _ other: LuaExpression, isEqual: Bool) {
        guard let literal = LiteralChecks.Literal(other), LiteralChecks.Literal(value) == nil else { return }
        let never = isEqual ? "this is never true" : "this is always true"
        if case .text(let parts, true) = literal, let values = possible(value), let text = parts.first, !values.contains(text) {
            let near = Suggestion.closest(to: text, in: values).map { "did you mean \"\($0)\"? " } ?? ""
            return file.find(
                .warning, .match, other.offset, "\(never): there is no \"\(PrintableText.of(text))\" here",
                help: near + "one of " + values.map { "\"\($0)\"" }.joined(separator: ", "))
        }
        guard let type = type(of: value), let kind = Self.kind(of: literal), Self.compared.keys.contains(type), Self.compared[type] != kind else {
            return
        }
        file.find(.warning, .match, other.offset, "\(never): a \(Self.shown(type)) is no \(kind)", help: Self.help[Self.compared[type] ?? ""])
    }

    /// The types that are looked at, in the words of an error.
    private static let compared = ["string": "text", "integer": "number", "number": "number", "boolean": "boolean"]
    private static let help = ["number": "a number, without quotes", "boolean": "true or false", "text": "a text, in quotes"]

    private static func kind(of literal: LiteralChecks.Literal) -> String? {
        switch literal {
        case .text: "text"
        case .number: "number"
        case .boolean: "boolean"
        case .table, .function: nil
        }
    }

    /// The texts that a value may be, where the API says so.
    private func possible(_ value: LuaExpression) -> [String]? {
        switch value.kind {
        case .name(let name): return name.variable.flatMap { texts[ObjectIdentifier($0)] }
        case .parenthesis(let inner): return possible(inner)
        case .suffixed(let base, let suffixes):
            // The check of hooks' kinds finds wrong comparisons of `msg.kind`.
            guard case .field(let name)? = suffixes.last?.kind, name != "kind", let owner = type(of: base, suffixes.dropLast()) else { return nil }
            let field = RuleVocabulary.classes[owner]?.fields.first { RuleVocabulary.plain($0.name) == name }
            return field.flatMap { RuleVocabulary.texts(of: $0.type) }
        default: return nil
        }
    }
}
