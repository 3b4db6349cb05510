import LuaSyntax
import ShuntCore

/// Values that are written out, beside the types of the API's table: what the worker would refuse when the call is made.
enum LiteralChecks {
    /// What is wrong with a value, where, and what would be right.
    struct Problem {
        var offset: Int
        var message: String
        var help: String
    }

    /// A value as it stands in the source; nil where it comes from elsewhere.
    enum Literal {
        /// Its parts, as far as they are written out.
        case text([String], isWhole: Bool)
        case number(String)
        case boolean(Bool)
        case table, function

        init?(_ value: LuaExpression) {
            switch value.kind {
            case .text(let text): self = .text([text], isWhole: true)
            case .bytes: self = .text([], isWhole: false)
            case .number(let digits): self = .number(digits)
            case .boolean(let isTrue): self = .boolean(isTrue)
            case .table: self = .table
            case .function: self = .function
            case .parenthesis(let inner): self.init(inner)
            case .unary("-", let inner):
                guard case .number(let digits) = inner.kind else { return nil }
                self = .number("-" + digits)
            case .operations(let first, let rest):
                guard rest.allSatisfy({ $0.sign == ".." }) else { return nil }
                self = .text(([first] + rest.map(\.right)).compactMap { if case .text(let text) = $0.kind { text } else { nil } }, isWhole: false)
            default: return nil
            }
        }

        var shown: String {
            switch self {
            case .text(let parts, true): "the text \"\(PrintableText.of(parts.first ?? ""))\""
            case .text: "a text"
            case .number(let digits): "the number \(digits)"
            case .boolean(let isTrue): "\(isTrue)"
            case .table: "a table"
            case .function: "a function"
            }
        }

        /// Whether it is of one of the types that a union names, such as `string|false`.
        func fits(_ types: [String]) -> Bool { types.contains(where: isOf) }

        private func isOf(_ type: String) -> Bool {
            if type == "any" { return true }
            switch self {
            case .text(let parts, let isWhole):
                guard type.hasPrefix("\"") else { return type == "string" }
                return !isWhole || type == "\"\(parts.first ?? "")\""
            case .number(let digits):
                if type == "integer" { return Double(digits).map { $0 == $0.rounded() } ?? true }
                return type == "number" || type == digits || (Int(digits) == nil && Double(digits) == nil && Int(type) != nil)
            case .boolean(let isTrue): return type == "boolean" || type == "\(isTrue)"
            case .table:
                return type == "table" || type.hasPrefix("{") || type.hasPrefix("table<") || type.hasSuffix("[]") || type == "shunt.Filter"
            case .function: return type.hasPrefix("fun(")
            }
        }
    }

    /// The members of a union, without the spaces around them; a question mark stands for nil.
    static func union(_ type: some StringProtocol) -> [String] {
        var parts: [String] = [""]
        var depth = 0
        for letter in type {
            switch letter {
            case "{", "<", "(": depth += 1
            case "}", ">", ")": depth -= 1
            default: break
            }
            if letter == "|" && depth == 0 { parts.append("") } else { parts[parts.count - 1].append(letter) }
        }
        return parts.map { part in
            var name = part.drop { $0 == " " }
            while name.last == " " || name.last == "?" { name.removeLast() }
            return String(name)
        }
    }

    /// Types in the words of an error.
    /// - Parameter isSent: whether a value that goes out is wanted.
    static func told(_ types: [String], isSent: Bool = false) -> String {
        let words = types.map { type in
            switch type {
            case "string": "a text"
            case "integer": "a whole number"
            case "number": "a number"
            case "boolean": "true or false"
            case "string[]": "a list of texts"
            case "shunt.Message": "msg, msg:with{…}"
            case "shunt.Verdict": isSent ? "a verdict such as route.to(\"a/b\")" : "a verdict such as route.drop()"
            case "shunt.Client": "conn:with{…}"
            case "shunt.Subscription": "sub:with{…}"
            case "shunt.Member": "one of the members"
            case "shunt.Filter": "a device filter"
            case _ where type.hasSuffix("[]") && type.contains("shunt."): "a list such as { msg, route.to(\"a/b\") }"
            case _ where type.hasPrefix("{") || type.hasPrefix("table"): "a table"
            default: type
            }
        }
        return words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
    }

    /// - Parameters:
    ///   - what: who is given the value, as in `msg:with{}`.
    ///   - name: of the field or parameter.
    ///   - publishes: whether a topic is one that a message goes to, and no filter of a subscription.
    static func problem(_ value: LuaExpression, _ what: String, _ name: String, _ type: String, publishes: Bool) -> Problem? {
        guard let literal = Literal(value) else { return nil }
        let types = union(type)
        guard literal.fits(types) else {
            let help = name == "payload" ? "a text, such as json.encode makes of a table" : told(types, isSent: what != "route.always")
            return Problem(offset: value.offset, message: "\(what): \(name) is \(literal.shown)", help: help)
        }
        switch (literal, name) {
        case (.text(let parts, let isWhole), "topic"), (.text(let parts, let isWhole), "response_topic"), (.text(let parts, let isWhole), "id"):
            return topicProblem(parts, isWhole, value.offset, "\(what): \(name)", publishes: publishes)
        case (.text(let parts, true), "filter") where !TopicFilter.isFilter(parts[0]):
            return Problem(offset: value.offset, message: "\(what): \"\(parts[0])\" is no topic filter", help: filterHelp)
        case (.text([""], true), "payload"):
            return Problem(offset: value.offset, message: "\(what): payload is empty, and can't be sent", help: "route.drop() sends nothing")
        case (.text(let parts, true), "worker") where !isAddress(parts[0]):
            return Problem(
                offset: value.offset, message: "\(what): \"\(PrintableText.of(parts[0]))\" is no worker's address", help: "such as \"10.0.0.1:4091\"")
        case (.text([""], true), "group"):
            return Problem(offset: value.offset, message: "\(what): group is empty", help: "the name of a group")
        case (.number(let digits), "expiry"), (.number(let digits), "expires_at"), (.number(let digits), "seconds"):
            guard digits.hasPrefix("-") else { return nil }
            return Problem(offset: value.offset, message: "\(what): \(name) is the number \(digits)", help: "a number of at least 0")
        default: return nil
        }
    }

    /// Whether it has a port, and something before it.
    private static func isAddress(_ text: String) -> Bool {
        guard let colon = text.lastIndex(of: ":"), colon > text.startIndex, let port = Int(text[text.index(after: colon)...]) else { return false }
        return (1...65_535).contains(port)
    }

    static let filterHelp = "+ and # stand alone between slashes, # comes last"

    private static func topicProblem(_ parts: [String], _ isWhole: Bool, _ offset: Int, _ what: String, publishes: Bool) -> Problem? {
        let text = parts.joined(separator: "…")
        let shown = PrintableText.of(text)
        if isWhole && text.isEmpty { return Problem(offset: offset, message: "\(what) is empty", help: "such as \"orders/new\"") }
        if publishes {
            guard text.utf8.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") || $0 == 0 }) else { return nil }
            return Problem(
                offset: offset, message: "\(what) \"\(shown)\" has +, # or a zero byte in it, and no message can go there",
                help: "one topic, such as \"orders/new\"; + and # belong to match and to subscriptions")
        }
        guard isWhole, !TopicFilter.isFilter(text) else { return nil }
        return Problem(offset: offset, message: "\(what): \"\(shown)\" is no topic filter", help: filterHelp)
    }

    /// What a hook is to return, in a word.
    static func result(of types: [String]) -> String {
        types.contains("shunt.Verdict") ? "verdict" : types.contains("shunt.Member") ? "member" : "table"
    }

    /// What a hook returns, if that is written out and no verdict.
    static func problem(returned value: LuaExpression, by hook: String) -> Problem? {
        guard let types = RuleVocabulary.hookResults[hook], let literal = Literal(value), !literal.fits(types) else { return nil }
        var help = "nothing, " + told(types.filter { $0 != "nil" })
        if case .text(let parts, true) = literal, types.contains("shunt.Verdict"), let word = parts.first,
            let near = Suggestion.closest(to: word, in: RuleVocabulary.verdicts)
        {
            help = "did you mean route.\(near)(…)? \(help)"
        }
        return Problem(offset: value.offset, message: "\(hook) returns \(literal.shown), which is no \(result(of: types))", help: help)
    }
}
