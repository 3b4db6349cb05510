import LuaSyntax

/// What a rule's hooks do with messages, as far as that is written out: drops by topic alone, copies past the rules below, rewritten payloads.
struct RuleEffects {
    struct Drop: Equatable {
        var hook: String
        /// nil: all.
        var filter: String?
        /// The condition besides the topic, as `GuardText` writes it.
        var condition: String?
        /// `drop` or `reject`.
        var verdict: String
        var offset: Int
    }

    /// Decisions that no later rule can change and that follow from the topic alone.
    private(set) var drops: [Drop] = []
    /// What `on_message` sends past the rules after it: the words, and where.
    private(set) var copies: [(what: String, offset: Int)] = []
    /// What `on_message` sends with the message's payload to another topic: the words, the topic, and where.
    private(set) var elsewhere: [(what: String, topic: String, offset: Int)] = []
    /// What `on_will` sends past the rules of the will's topic.
    private(set) var willCopies: [(what: String, offset: Int)] = []
    /// It gives messages, or wills, another payload: other rules must not send them on unseen.
    private(set) var guards = false
    private(set) var guardsWills = false
    /// It may give messages another topic: rules after it see topics that their `match` does not take.
    private(set) var renames = false
    /// It may change messages.
    private(set) var changes = false

    /// - Parameters:
    ///   - tree: of `rule.lua`.
    ///   - others: of the plugin's other files.
    init(_ outline: RuleOutline, _ tree: LuaTree, others: [LuaTree] = []) {
        let wanted = outline.kinds?.map(\.text)
        let file = LuaAssignments(tree, outline)
        for hook in outline.hooks {
            guard let function = hook.function else { continue }
            // A hook that match keeps from being called does nothing.
            if let wanted, let kinds = RuleHook(rawValue: hook.name)?.kinds, !kinds.contains(where: { wanted.contains("\($0)") }) { continue }
            if ["on_message", "on_broadcast", "on_chat"].contains(hook.name) {
                for filter in outline.isMatchKnown ? outline.filters?.map({ Optional($0.text) }) ?? [nil] : [] {
                    addDrops(hook.name, function, within: filter)
                }
            }
            switch hook.name {
            case "on_message":
                let flow = MessageFlow(of: function, in: file)
                (copies, elsewhere, guards) = (flow.copies, flow.elsewhere, flow.rewrites)
            case "on_will":
                let flow = MessageFlow(of: function, in: file, isWill: true)
                (willCopies, guardsWills) = (flow.copies, flow.rewrites)
            default: break
            }
            if Self.deciding.contains(hook.name), !changes { addChanges(outline, [tree] + others) }
        }
    }

    /// Hooks whose changes the rules after this one see.
    private static let deciding: Set<String> = ["on_message", "on_chat", "on_broadcast"]

    /// Copies with changes, wherever the plugin makes them, except in other hooks: what a hook calls may stand in any file.
    private mutating func addChanges(_ outline: RuleOutline, _ trees: [LuaTree]) {
        var other: [Int] = []
        var own: Set<Int> = []
        for hook in outline.hooks {
            guard let function = hook.function else { continue }
            var walker = LintWalker()
            let isDeciding = Self.deciding.contains(hook.name)
            walker.expression = { one, _ in if isDeciding { own.insert(one.offset) } else { other.append(one.offset) } }
            walker.walk(function.body)
        }
        let left = Set(other).subtracting(own)
        for (index, tree) in trees.enumerated() {
            let file = LuaAssignments(tree, index == 0 ? outline : RuleOutline(empty: ()))
            var walker = LintWalker()
            var found: [LuaExpression?] = []
            walker.expression = { one, _ in
                guard case .suffixed(_, let suffixes) = one.kind, index > 0 || !left.contains(one.offset) else { return }
                for suffix in suffixes {
                    switch suffix.kind {
                    case .method("with", let arguments): found.append(arguments.first)
                    case .field("with"): found.append(nil)
                    default: break
                    }
                }
            }
            walker.walk(tree.body)
            for one in found {
                changes = true
                guard let (names, areAll) = one.map(file.keys) else {
                    renames = true
                    continue
                }
                if !areAll || names.contains("topic") { renames = true }
            }
        }
    }

    private mutating func addDrops(_ hook: String, _ function: LuaFunction, within filter: String?) {
        let message = function.parameters.first
        let text = GuardText(function)
        for statement in function.body.statements {
            switch statement.kind {
            case .returned(let values):
                if let value = values.first, let verdict = Self.drop(value) {
                    drops.append(Drop(hook: hook, filter: filter, verdict: verdict, offset: value.offset))
                }
                return
            case .choice(let cases, nil, _):
                guard cases.count == 1, case .returned(let values)? = cases[0].block.statements.first?.kind, let value = values.first,
                    let verdict = Self.drop(value)
                else { return }
                guard let topics = Self.topics(cases[0].condition, of: message) else {
                    guard let condition = text.condition(cases[0].condition) else { return }
                    drops.append(Drop(hook: hook, filter: filter, condition: condition, verdict: verdict, offset: value.offset))
                    continue
                }
                for topic in topics where filter.map({ LintFilters.meet($0, topic) }) ?? true {
                    drops.append(Drop(hook: hook, filter: topic, verdict: verdict, offset: value.offset))
                }
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
    static func verdict(_ value: LuaExpression) -> (name: String, arguments: [LuaExpression])? {
        guard let (library, _, suffixes) = value.ofGlobal, library == "route", suffixes.count == 2, case .field(let name) = suffixes[0].kind,
            case .call(let arguments) = suffixes[1].kind
        else { return nil }
        return (name, arguments)
    }

    /// The name of a verdict that keeps a message back.
    private static func drop(_ value: LuaExpression) -> String? {
        guard let verdict = verdict(value) else { return nil }
        if verdict.name == "always" { return verdict.arguments.first.flatMap(drop) }
        return verdict.name == "drop" || verdict.name == "reject" ? verdict.name : nil
    }

    /// The filters that a condition stands for: `match(msg.topic, "a/#")`, `msg.topic == "a"`, and several with `or` between them.
    private static func topics(_ condition: LuaExpression, of message: LuaVariable?) -> [String]? {
        switch condition.kind {
        case .suffixed(let base, let suffixes):
            guard case .name(let name) = base.kind, name.global == "match", suffixes.count == 1,
                case .call(let arguments) = suffixes[0].kind, arguments.count == 2, isTopic(arguments[0], of: message),
                case .text(let filter) = arguments[1].kind
            else { return nil }
            return [filter]
        case .operations(let first, let rest): return topics(first, rest[...], of: message)
        case .parenthesis(let inner): return topics(inner, of: message)
        default: return nil
        }
    }

    /// What binds more stands in the operands, except at the beginning.
    private static func topics(_ first: LuaExpression, _ rest: ArraySlice<LuaOperation>, of message: LuaVariable?) -> [String]? {
        var found: [String]
        var rest = rest
        if let one = rest.first, one.sign == "==" {
            guard isTopic(first, of: message), case .text(let topic) = one.right.kind else { return nil }
            (found, rest) = ([topic], rest.dropFirst())
        } else {
            guard let topics = topics(first, of: message) else { return nil }
            found = topics
        }
        for one in rest {
            guard one.sign == "or", let topics = topics(one.right, of: message) else { return nil }
            found += topics
        }
        return found
    }

    private static func isTopic(_ value: LuaExpression, of message: LuaVariable?) -> Bool {
        guard case .suffixed(let base, let suffixes) = value.kind, case .name(let name) = base.kind, suffixes.count == 1,
            case .field("topic") = suffixes[0].kind, let message
        else { return false }
        return name.variable === message
    }
}
