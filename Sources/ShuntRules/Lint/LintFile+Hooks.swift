import LuaSyntax

extension RulePlugin {
    /// Whether its files ask others: `http.get`, `http.post`, `resolve`.
    public var looksUp: Bool {
        sources.contains { source in
            guard let tree = try? LuaTree(LuaSource(source.text)) else { return false }
            var found = false
            var walker = LintWalker()
            walker.expression = { expression, _ in found = found || LintFile.lookup(expression) != nil }
            walker.walk(tree.body)
            return found
        }
    }
}

/// What each hook may return, and where others may be asked: what a worker finds when the hook runs.
extension LintFile {
    /// By hook, the verdicts that it may return; the other hooks take any but those of ``own``.
    private static let verdicts: [String: Set<String>] = [
        "on_connect": ["reject", "redirect"], "on_register": ["reject"], "on_auth": ["continue", "reject"], "on_subscribe": ["reject"],
        "on_chat_open": ["done", "drop", "redirect", "reject"], "on_chat_join": ["done", "drop", "redirect", "reject"],
        "on_deliver": ["drop"], "on_select": [],
    ]
    /// Verdicts that only some hooks may return.
    private static let own: [String: Set<String>] = [
        "continue": ["on_auth"], "redirect": ["on_connect", "on_chat_open", "on_chat_join", "on_chat"],
    ]
    private static let looking: Set<String> = ["on_connect", "on_auth", "on_register", "on_subscribe"]

    /// Hooks that may not send.
    private static let silent: Set<String> = ["on_select", "on_deliver", "on_undelivered", "on_acked"]

    private static func context(of function: LuaFunction, _ hook: String) -> LuaVariable? {
        zip(function.parameters, RuleVocabulary.hookParameters[hook] ?? []).first { $1 == "shunt.Context" }?.0
    }

    mutating func checkHook(_ hook: RuleOutline.Key) {
        guard let function = hook.function else { return }
        var found: [(RuleFinding.Kind, Int, String, String)] = []
        var walker = LintWalker()
        walker.statement = { statement, depth in
            guard depth == 0, case .returned(let values) = statement.kind, let value = values.first else { return }
            if let (verdict, offset) = Self.verdict(value), !Self.mayReturn(verdict, hook.name) {
                let allowed = Self.verdicts[hook.name]?.sorted().map { "route.\($0)" } ?? []
                let help = allowed.isEmpty ? "docs/rules.md, Hooks" : "nothing, or " + allowed.joined(separator: ", ")
                found.append((.hook, offset, "\(hook.name) can't return route.\(verdict)", help))
            }
            if let problem = LiteralChecks.problem(returned: value, by: hook.name) {
                found.append((.hook, problem.offset, problem.message, problem.help))
            }
            if hook.name == "on_deliver" {
                for key in ["topic", "key", "qos", "retain", "filter"] {
                    guard let offset = Self.key(key, ofWithIn: value) else { continue }
                    found.append((.hook, offset, "on_deliver can't change the \(key): the call fails", "change it in on_message"))
                }
            }
            if hook.name == "on_register", let offset = Self.key("uid", ofWithIn: value) {
                found.append((.hook, offset, "on_register can't change the uid", "conn:with { tags = …, alias = … }"))
            }
        }
        let context = Self.context(of: function, hook.name)
        // A function that others call, or that is two hooks, may ask whether there is a sender.
        let isAlone = hook.variable.map { $0.reads == 1 } ?? true
        var message = Self.withoutSender.contains(hook.name) && isAlone ? function.parameters.first : nil
        if Self.asksForSender(of: message, function) { message = nil }
        let isAboutMessage = RuleVocabulary.hookParameters[hook.name]?.contains("shunt.Message") == true
        walker.expression = { expression, _ in
            if let offset = Self.sender(of: message, in: expression) {
                let help = hook.name == "on_will" ? "conn is the will's client" : "conn is the recipient; nobody knows who has sent it"
                found.append((.field, offset, "no message has a sender in \(hook.name)", help))
            }
            if let (what, offset) = Self.lookupInCoroutine(expression), Self.looking.contains(hook.name) {
                found.append((.hook, offset, "\(what) can't be called in a coroutine of the rule's own", "in the hook itself"))
            }
            if let context, case .suffixed(let base, let suffixes) = expression.kind, case .name(let name) = base.kind, name.variable === context,
                case .method("emit", let arguments)? = suffixes.first?.kind
            {
                if Self.silent.contains(hook.name) {
                    let text = "ctx:emit can't be called in \(hook.name), to which what it sends would come back"
                    found.append((.hook, suffixes[0].offset, text, "in another hook"))
                } else if !isAboutMessage, let value = arguments.first, let (verdict, offset) = Self.withoutMessage(value) {
                    let text = "\(hook.name) has no message that route.\(verdict) could send"
                    found.append((.arguments, offset, text, "give it one, as in route.to(topic, route.message { payload = text })"))
                }
            }
            guard !Self.looking.contains(hook.name), let (what, offset) = Self.lookup(expression) else { return }
            found.append(
                (.hook, offset, "\(what) can't be called in \(hook.name), where nobody waits", "in " + Self.looking.sorted().joined(separator: ", ")))
        }
        walker.walk(function.body)
        for (kind, offset, text, help) in found { find(.error, kind, offset, text, help: help) }
    }

    private static func mayReturn(_ verdict: String, _ hook: String) -> Bool {
        if let hooks = own[verdict], !hooks.contains(hook) { return false }
        return RuleVocabulary.libraries["route"]?.functions.contains { $0.name == verdict } != true || verdicts[hook]?.contains(verdict) ?? true
    }

    /// Of what is to be sent, a verdict that is about the call's message, as it is given none.
    private static func withoutMessage(_ value: LuaExpression) -> (String, Int)? {
        guard let (name, arguments) = RuleEffects.verdict(value) else { return nil }
        switch (name, arguments.last?.kind) {
        case ("fanout", .table(let fields)?): return fields.lazy.compactMap { withoutMessage($0.value) }.first
        case ("to", _), ("push", _), ("chat", _), ("delay", _):
            if arguments.count > 1 { return name == "delay" ? withoutMessage(arguments[1]) : nil }
            // A call may give two values.
            if case .suffixed(_, let suffixes)? = arguments.last?.kind, suffixes.last?.isCall == true { return nil }
            if case .varargs? = arguments.last?.kind { return nil }
            return arguments.isEmpty ? nil : (name, value.offset)
        default: return nil
        }
    }

    /// Of `route.drop("no")` the name, and where it stands.
    private static func verdict(_ value: LuaExpression) -> (String, Int)? { member(value, of: "route") }

    /// Hooks whose messages have no sender.
    private static let withoutSender: Set<String> = ["on_deliver", "on_will", "on_acked"]

    /// Whether a function looks whether there is a sender.
    private static func asksForSender(of message: LuaVariable?, _ function: LuaFunction) -> Bool {
        guard let message else { return false }
        var found = false
        var walker = LintWalker()
        walker.expression = { one, _ in
            guard case .suffixed(let base, let suffixes) = one.kind, suffixes.count == 1, case .field("sender") = suffixes[0].kind,
                case .name(let name) = base.kind, name.variable === message
            else { return }
            found = true
        }
        walker.walk(function.body)
        return found
    }

    /// Of `msg.sender.uid` where the sender stands.
    private static func sender(of message: LuaVariable?, in value: LuaExpression) -> Int? {
        guard let message, case .suffixed(let base, let suffixes) = value.kind, suffixes.count > 1, case .name(let name) = base.kind,
            name.variable === message, case .field("sender") = suffixes[0].kind
        else { return nil }
        return suffixes[0].offset
    }

    /// Of `coroutine.wrap(function() … end)` what is looked up there.
    private static func lookupInCoroutine(_ value: LuaExpression) -> (String, Int)? {
        guard let (library, _, suffixes) = value.ofGlobal, library == "coroutine", suffixes.count > 1, case .field(let name) = suffixes[0].kind,
            name == "wrap" || name == "create", case .call(let arguments) = suffixes[1].kind, case .function(let function)? = arguments.first?.kind
        else { return nil }
        var found: (String, Int)?
        var walker = LintWalker()
        walker.expression = { one, _ in found = found ?? lookup(one) }
        walker.walk(function.body)
        return found
    }

    static func lookup(_ value: LuaExpression) -> (String, Int)? {
        if let (name, offset) = member(value, of: "http") { return ("http.\(name)", offset) }
        guard let (name, offset, suffixes) = value.ofGlobal, name == "resolve", case .call? = suffixes.first?.kind else { return nil }
        return ("resolve", offset)
    }

    private static func member(_ value: LuaExpression, of library: String) -> (String, Int)? {
        guard let (name, _, suffixes) = value.ofGlobal, name == library, suffixes.count > 1, case .field(let function) = suffixes[0].kind,
            case .call = suffixes[1].kind
        else { return nil }
        return (function, suffixes[0].offset)
    }

    /// Where `x:with { key = … }` names a key.
    private static func key(_ key: String, ofWithIn value: LuaExpression) -> Int? {
        guard case .suffixed(_, let suffixes) = value.kind, case .method("with", let arguments)? = suffixes.last?.kind,
            case .table(let fields)? = arguments.first?.kind
        else { return nil }
        return fields.first { if case .name(key) = $0.key { true } else { false } }?.offset
    }
}
