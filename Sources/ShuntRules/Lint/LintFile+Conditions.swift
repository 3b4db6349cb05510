import LuaSyntax
import ShuntCore

/// Conditions about a message's topic and kind that are never true, as the rule's `match` lets nothing else through.
extension LintFile {
    /// - Parameter isRenamed: whether a rule before this one gives messages another topic, which `match` does not look at again.
    mutating func checkConditions(_ outline: RuleOutline, isRenamed: Bool) {
        let kinds = ["on_message": "topic", "on_chat": "chat", "on_broadcast": "broadcast"]
        for hook in outline.hooks {
            guard let kind = kinds[hook.name] else { continue }
            guard let function = hook.function, let message = function.parameters.first, message.writes.isEmpty else { continue }
            // One that is called by others too may be given other messages.
            if let variable = hook.variable, variable.reads != 1 { continue }
            let reader = MessageReader(function, message)
            let isBroadcast = kind == "broadcast"
            let filters = outline.isMatchKnown && !isRenamed && !isBroadcast ? outline.filters?.map(\.text) : nil
            var found: [(offset: Int, text: String, help: String)] = []
            var walker = LintWalker()
            walker.expression = { one, _ in
                if let (filter, offset) = reader.matched(one), let filters, TopicFilter.isFilter(filter),
                    !filters.contains(where: { LintFilters.meet($0, filter) })
                {
                    let shown = PrintableText.of(filter)
                    found.append((offset, "this is never true: the rule's match takes no topic of \"\(shown)\"", Self.takes(filters)))
                }
                guard let (field, sign, text, offset) = reader.compared(one) else { return }
                let shown = PrintableText.of(text)
                if sign == "~=" {
                    guard field == "kind" else { return }
                    let told = "this is \(text == kind ? "never" : "always") true: \(hook.name) is called for messages of kind \(kind)"
                    return found.append((offset, told, "there is a hook for each kind"))
                }
                if field == "topic", isBroadcast, !text.isEmpty {
                    found.append((offset, "this is never true: a broadcast has no topic", "\(message.name).filter says whom it is for"))
                } else if field == "kind", text != kind {
                    found.append((offset, "this is never true: \(hook.name) is called for messages of kind \(kind)", "there is a hook for each kind"))
                } else if field == "topic", text.contains("#") || text.contains("+") {
                    found.append((offset, "this is never true: no topic has + or # in it", "match(\(message.name).topic, \"\(shown)\")"))
                } else if field == "topic", let filters, !filters.contains(where: { LintFilters.meet($0, text) }) {
                    found.append((offset, "this is never true: the rule's match does not take \"\(shown)\"", Self.takes(filters)))
                }
            }
            walker.walk(function.body)
            for one in found { find(.warning, .match, one.offset, one.text, help: one.help) }
        }
    }

    private static func takes(_ filters: [String]) -> String { "it takes " + filters.map { "\"\($0)\"" }.joined(separator: ", ") }

    /// What other programs have for wildcards, and is a topic's text here.
    static func foreignWildcard(in filter: String) -> String? {
        for level in filter.split(separator: "/") {
            if level.contains("*") { return "* is no wildcard: + takes one level, # at the end takes all that follow" }
            let isNamed = level.hasPrefix("{") && level.hasSuffix("}") || level.hasPrefix(":") || level.hasPrefix("<") && level.hasSuffix(">")
            if isNamed, level.utf8.count > 1 { return "\(level) takes the text \(level) alone: + takes one level, whatever it is" }
        }
        return nil
    }

    /// `match(topic, "orders/*")`, wherever it stands.
    mutating func checkFilters() {
        var found: [(Int, String, String)] = []
        var walker = LintWalker()
        walker.expression = { one, _ in
            guard case .suffixed(let base, let suffixes) = one.kind, case .name(let name) = base.kind, name.global == "match",
                case .call(let arguments)? = suffixes.first?.kind, arguments.count > 1, case .text(let filter) = arguments[1].kind,
                let why = Self.foreignWildcard(in: filter)
            else { return }
            found.append((arguments[1].offset, filter, why))
        }
        walker.walk(tree.body)
        for (offset, filter, why) in found {
            find(.warning, .match, offset, "\"\(PrintableText.of(filter))\" has a wildcard that is none", help: why)
        }
    }
}

/// What a hook's conditions ask of its message.
private struct MessageReader {
    private let message: LuaVariable
    /// Locals that hold a field of it.
    private var fields: [ObjectIdentifier: String] = [:]

    init(_ function: LuaFunction, _ message: LuaVariable) {
        self.message = message
        var found: [ObjectIdentifier: String] = [:]
        var walker = LintWalker()
        walker.statement = { one, _ in
            guard case .local(let variables, let values) = one.kind else { return }
            for (variable, value) in zip(variables, values) where variable.writes.isEmpty {
                if let field = Self.field(value, message) { found[ObjectIdentifier(variable)] = field }
            }
        }
        walker.walk(function.body)
        fields = found
    }

    private static func field(_ value: LuaExpression, _ message: LuaVariable) -> String? {
        guard case .suffixed(let base, let suffixes) = value.kind, suffixes.count == 1, case .name(let name) = base.kind, name.variable === message,
            case .field(let field) = suffixes[0].kind
        else { return nil }
        return field
    }

    private func field(_ value: LuaExpression) -> String? {
        switch value.kind {
        case .name(let name): name.variable.flatMap { fields[ObjectIdentifier($0)] }
        case .parenthesis(let inner): field(inner)
        default: Self.field(value, message)
        }
    }

    /// Of `match(msg.topic, "a/#")` the filter, and where it stands.
    func matched(_ one: LuaExpression) -> (String, Int)? {
        guard case .suffixed(let base, let suffixes) = one.kind, case .name(let name) = base.kind, name.global == "match",
            suffixes.count == 1, case .call(let arguments) = suffixes[0].kind, arguments.count == 2, field(arguments[0]) == "topic",
            case .text(let filter) = arguments[1].kind
        else { return nil }
        return (filter, arguments[1].offset)
    }

    /// Of `msg.topic == "a"` the field, the sign, the text, and where it stands.
    func compared(_ one: LuaExpression) -> (field: String, sign: String, text: String, offset: Int)? {
        guard case .operations(let first, let rest) = one.kind else { return nil }
        // What binds less may follow; `a == b == c` compares a boolean, `a .. b == c` a text that was made.
        let sign = rest[0].sign
        guard sign == "==" || sign == "~=", rest.count == 1 || rest[1].sign == "and" || rest[1].sign == "or" else { return nil }
        if let field = field(first), case .text(let text) = rest[0].right.kind { return (field, sign, text, rest[0].right.offset) }
        if let field = field(rest[0].right), case .text(let text) = first.kind { return (field, sign, text, first.offset) }
        return nil
    }
}
