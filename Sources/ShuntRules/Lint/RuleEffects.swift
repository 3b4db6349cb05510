import LuaSyntax

/// What a rule's hooks do with messages, as far as that is written out: drops by topic alone, copies past the rules below, rewritten payloads.
struct RuleEffects {
    struct Drop: Equatable {
        var hook: String
        /// nil: all.
        var filter: String?
        /// The condition besides the topic, as `GuardText` writes it, and the verdict's name.
        var condition: String?
        var offset: Int
    }

    /// Decisions that no later rule can change and that follow from the topic alone.
    private(set) var drops: [Drop] = []
    /// What `on_message` sends past the rules after it: the words, and where.
    private(set) var copies: [(what: String, offset: Int)] = []
    /// It gives messages another payload: rules above it must not send them on unseen.
    private(set) var guards = false
    /// It gives messages another topic, or what it gives them is not written out: rules after it see topics that their `match` does not take.
    private(set) var renames = false

    init(_ outline: RuleOutline) {
        let wanted = outline.kinds?.map(\.text)
        for hook in outline.hooks where ["on_message", "on_broadcast", "on_chat"].contains(hook.name) {
            guard let function = hook.function else { continue }
            // A hook that match keeps from being called does nothing.
            if let wanted, let kinds = RuleHook(rawValue: hook.name)?.kinds, !kinds.contains(where: { wanted.contains("\($0)") }) { continue }
            for filter in outline.isMatchKnown ? outline.filters?.map({ Optional($0.text) }) ?? [nil] : [] {
                addDrops(hook.name, function, within: filter)
            }
            if hook.name == "on_message" { addCopies(function) }
        }
    }

    private mutating func addDrops(_ hook: String, _ function: LuaFunction, within filter: String?) {
        let message = function.parameters.first
        let text = GuardText(function)
        for statement in function.body.statements {
            switch statement.kind {
            case .returned(let values):
                if let value = values.first, Self.isDrop(value) { drops.append(Drop(hook: hook, filter: filter, offset: value.offset)) }
                return
            case .choice(let cases, nil, _):
                guard cases.count == 1, case .returned(let values)? = cases[0].block.statements.first?.kind, let value = values.first,
                    Self.isDrop(value)
                else { return }
                guard let topic = Self.topic(cases[0].condition, of: message) else {
                    guard let condition = text.text(of: cases[0].condition), let verdict = Self.verdict(value)?.name else { return }
                    drops.append(Drop(hook: hook, filter: filter, condition: "\(verdict) \(condition)", offset: value.offset))
                    continue
                }
                if filter.map({ LintFilters.meet($0, topic) }) ?? true { drops.append(Drop(hook: hook, filter: topic, offset: value.offset)) }
            case .local(_, let values) where values.allSatisfy({ !Self.calls($0) || text.text(of: $0) != nil }): continue
            default: return
            }
        }
    }

    private static func calls(_ value: LuaExpression) -> Bool {
        if case .suffixed(_, let suffixes) = value.kind { return suffixes.contains(where: \.isCall) }
        return false
    }

    /// The name and the arguments of `route.NAME(…)`.
    private static func verdict(_ value: LuaExpression) -> (name: String, arguments: [LuaExpression])? {
        guard case .suffixed(let base, let suffixes) = value.kind, case .name(let library) = base.kind, library.variable == nil,
            library.text == "route", suffixes.count == 2, case .field(let name) = suffixes[0].kind, case .call(let arguments) = suffixes[1].kind
        else { return nil }
        return (name, arguments)
    }

    private static func isDrop(_ value: LuaExpression) -> Bool {
        guard let verdict = verdict(value) else { return false }
        if verdict.name == "always" { return verdict.arguments.first.map(isDrop) ?? false }
        return verdict.name == "drop" || verdict.name == "reject"
    }

    /// The filter that a condition stands for: `match(msg.topic, "a/#")`, `msg.topic == "a"`.
    private static func topic(_ condition: LuaExpression, of message: LuaVariable?) -> String? {
        switch condition.kind {
        case .suffixed(let base, let suffixes):
            guard case .name(let name) = base.kind, name.variable == nil, name.text == "match", suffixes.count == 1,
                case .call(let arguments) = suffixes[0].kind, arguments.count == 2, isTopic(arguments[0], of: message),
                case .text(let filter) = arguments[1].kind
            else { return nil }
            return filter
        case .operations(let first, let rest):
            guard rest.count == 1, rest[0].sign == "==", isTopic(first, of: message), case .text(let topic) = rest[0].right.kind else { return nil }
            return topic
        case .parenthesis(let inner): return self.topic(inner, of: message)
        default: return nil
        }
    }

    private static func isTopic(_ value: LuaExpression, of message: LuaVariable?) -> Bool {
        guard case .suffixed(let base, let suffixes) = value.kind, case .name(let name) = base.kind, suffixes.count == 1,
            case .field("topic") = suffixes[0].kind, let message
        else { return false }
        return name.variable === message
    }

    // MARK: copies

    private mutating func addCopies(_ function: LuaFunction) {
        let message = function.parameters.first
        var copies: [(String, Int)] = []
        var rewrites = false
        var renames = false
        func isMessage(_ value: LuaExpression) -> Bool {
            switch value.kind {
            case .name(let name): return name.variable != nil && name.variable === message
            case .suffixed(let base, let suffixes):
                guard case .name(let name) = base.kind, name.variable != nil, name.variable === message, suffixes.count == 1,
                    case .method("with", let arguments) = suffixes[0].kind, case .table? = arguments.first?.kind
                else { return false }
                return !Self.changes("payload", arguments)
            default: return false
            }
        }
        // A copy that is given a topic meets the rules of that topic, too.
        func staysThere(_ value: LuaExpression) -> Bool {
            guard isMessage(value) else { return false }
            guard case .suffixed(_, let suffixes) = value.kind, case .method(_, let arguments)? = suffixes.last?.kind,
                case .table(let fields)? = arguments.first?.kind
            else { return true }
            return fields.allSatisfy { if case .name(let name) = $0.key { name != "topic" } else { false } }
        }
        var walker = LintWalker()
        walker.expression = { one, _ in
            if let verdict = Self.verdict(one) {
                switch verdict.name {
                case "done": copies.append(("route.done()", one.offset))
                case "push", "chat":
                    if verdict.arguments.count < 2 || isMessage(verdict.arguments[1]) { copies.append(("route.\(verdict.name)", one.offset)) }
                case "fanout":
                    guard case .table(let fields)? = verdict.arguments.first?.kind, fields.contains(where: { staysThere($0.value) }) else { return }
                    copies.append(("route.fanout", one.offset))
                default: break
                }
            }
            guard case .suffixed(_, let suffixes) = one.kind, case .method(let name, let arguments)? = suffixes.last?.kind else { return }
            if name == "emit", arguments.first.map(staysThere) == true { copies.append(("ctx:emit", one.offset)) }
            guard name == "with" else { return }
            if Self.changes("payload", arguments) { rewrites = true }
            if case .table? = arguments.first?.kind { renames = renames || Self.changes("topic", arguments) } else { renames = true }
        }
        walker.walk(function.body)
        self.copies = copies
        guards = rewrites
        self.renames = renames
    }

    private static func changes(_ key: String, _ arguments: [LuaExpression]) -> Bool {
        // What is not written out may be anything.
        guard case .table(let fields)? = arguments.first?.kind else { return false }
        return fields.contains { if case .name(key) = $0.key { true } else { false } }
    }
}
