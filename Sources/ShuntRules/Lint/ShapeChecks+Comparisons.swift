import LuaSyntax
import ShuntCore

/// Comparisons that are always false, or always true: of two types, or with a text that is none of the possible ones.
extension ShapeChecks {
    mutating func checkComparisons(_ all: [LuaExpression]) {
        for one in all {
            guard case .operations(let first, let rest) = one.kind, let sign = rest.first?.sign, Self.comparing.contains(sign),
                // What binds less may follow; `a == b == c` compares a boolean.
                rest.count == 1 || rest[1].sign == "and" || rest[1].sign == "or"
            else { continue }
            guard sign == "==" || sign == "~=" else {
                checkOrdering(first, rest[0])
                continue
            }
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
        guard let type = type(of: value), let kind = Self.kind(of: literal) else { return }
        let compared = Self.kind(of: type)
        guard compared != kind else { return }
        var help = Self.help[compared] ?? (type.hasSuffix("[]") ? "one of its elements" : "one of its fields")
        if case .unary("not", _) = value.kind { help = isEqual ? "~= says that two values differ" : "== compares two values" }
        file.find(.warning, .match, other.offset, "\(never): \(Self.one(type)) is no \(kind)", help: help)
    }

    /// What is smaller or larger, of two kinds: the call fails.
    private mutating func checkOrdering(_ value: LuaExpression, _ operation: LuaOperation) {
        func kind(_ value: LuaExpression) -> (kind: String, shown: String)? {
            if let kind = LiteralChecks.Literal(value).flatMap(Self.kind) { return (kind, "a \(kind)") }
            return type(of: value).map { (Self.kind(of: $0), Self.one($0)) }
        }
        guard let left = kind(value), let right = kind(operation.right) else { return }
        guard !mayBeOrdered(left.kind), !mayBeOrdered(right.kind) else { return }
        guard left.kind != right.kind || left.kind != "text" && left.kind != "number" else { return }
        let help = [left.kind, right.kind].sorted() == ["number", "text"] ? "tonumber makes a number of a text" : nil
        file.find(.error, .match, operation.offset, "\(left.shown) can't be compared with \(right.shown): the call fails", help: help)
    }

    /// A type in the words of an error.
    private static func kind(of type: String) -> String { type == "integer" ? "number" : shown(type) }
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
