import LuaSyntax
import ShuntCore

/// The rule's own table: its keys, its hooks, what its match takes.
extension LintFile {
    static let returnsNothing = "rule.lua returns nothing"

    /// The rule's table is made, and not given to the worker.
    mutating func checkReturn() {
        if case .returned(let values)? = tree.body.statements.last?.kind, !values.isEmpty { return }
        // What ends otherwise, as in a branch, is not looked at.
        var returns = false
        var walker = LintWalker()
        walker.statement = { one, depth in if depth == 0, case .returned = one.kind { returns = true } }
        walker.walk(tree.body)
        guard !returns else { return }
        var table = "R"
        for case .local(let variables, let values) in tree.body.statements.map(\.kind) {
            for (variable, value) in zip(variables, values) { if case .table = value.kind { table = variable.name } }
        }
        let bytes = tree.source.bytes
        let end = bytes.lastIndex { $0 > 32 } ?? 0
        find(.error, .rule, end, Self.returnsNothing, help: "return \(table) at the end")
    }

    mutating func checkRule(_ outline: RuleOutline) {
        for key in outline.keys where !RuleVocabulary.ruleKeys.contains(key.name) {
            let isHook = key.name.hasPrefix("on")
            let known = RuleVocabulary.ruleKeys.filter { $0.hasPrefix("on_") == isHook }
            find(
                .error, isHook ? .hook : .rule, key.offset,
                isHook ? "unknown hook \(key.name)" : "unknown key \(key.name) in the rule's table", help: Self.meant(key.name, in: known))
        }
        for hook in outline.hooks {
            if hook.isMethod || hook.function?.parameters.first?.name == "self" {
                find(
                    .error, .colon, hook.offset, "\(hook.name) has a parameter self, which gets what should be the next one",
                    help: "function R.\(hook.name)(…), with a dot")
            }
            checkHook(hook)
            if let wanted = RuleVocabulary.hookParameters[hook.name], let given = hook.function?.parameters, given.count > wanted.count {
                find(
                    .error, .hook, given[wanted.count].offset,
                    "\(hook.name) is given \(wanted.count == 1 ? "one value" : "\(wanted.count) values"): \(given[wanted.count].name) is always nil")
            }
        }
        checkMatch(outline)
    }

    private mutating func checkMatch(_ outline: RuleOutline) {
        let filters = outline.filters ?? []
        for (index, filter) in filters.enumerated() {
            if !TopicFilter.isFilter(filter.text) || filter.text.isEmpty {
                find(
                    .error, .match, filter.offset, "\"\(filter.text)\" is no topic filter", help: "+ and # stand alone between slashes, # comes last")
            } else if filter.text.hasPrefix("$share/") {
                find(.error, .match, filter.offset, "no topic begins with $share/", help: "name the topics: a group belongs to a subscription")
            } else if filter.text.hasPrefix("$SYS/") {
                find(.error, .match, filter.offset, "rules are not called for the worker's own topics below $SYS", help: "other topics")
            } else if let why = Self.foreignWildcard(in: filter.text) {
                find(.warning, .match, filter.offset, "\"\(filter.text)\" has a wildcard that is none", help: why)
            } else if let other = filters[..<index].first(where: { $0.text == filter.text }) {
                find(.warning, .match, filter.offset, "\"\(filter.text)\" stands here a second time", help: "the first: \(location(other.offset))")
            } else if let other = filters.enumerated().first(where: {
                $0.offset != index && TopicFilter.isFilter($0.element.text) && LintFilters.covers($0.element.text, filter.text)
            }) {
                find(.warning, .match, filter.offset, "\"\(other.element.text)\" takes all that \"\(filter.text)\" takes", help: "leave it out")
            }
        }
        guard let kinds = outline.kinds else { return }
        let known = MessageKind.allCases.map { "\($0)" }
        for kind in kinds where !known.contains(kind.text) {
            find(.error, .match, kind.offset, "there is no kind \"\(kind.text)\"", help: Self.meant(kind.text, in: known))
        }
        let wanted = Set(MessageKind.allCases.filter { kind in kinds.contains { $0.text == "\(kind)" } })
        guard !kinds.isEmpty, kinds.allSatisfy({ known.contains($0.text) }) else { return }
        for hook in outline.hooks {
            guard let about = RuleHook(rawValue: hook.name)?.kinds, about.isDisjoint(with: wanted) else { continue }
            find(
                .warning, .match, hook.offset, "match.kind keeps \(hook.name) from being called",
                help: "it is about kind " + about.map { "\($0)" }.sorted().joined(separator: ", "))
        }
        if wanted == [.broadcast], let filter = filters.first {
            find(.error, .match, filter.offset, "a broadcast has no topic: this can never match", help: "match = { kind = \"broadcast\" }")
        }
    }

    // MARK: payloads in the log, tables that grow

    /// Payloads in the log, and tables that grow with what clients send.
    mutating func checkContent(_ outline: RuleOutline) {
        for (body, message) in messages(of: outline) {
            var found: [(RuleFinding.Kind, Int, String)] = []
            var walker = LintWalker()
            walker.expression = { expression, _ in
                guard case .suffixed(let base, let suffixes) = expression.kind, case .name(let name) = base.kind, name.variable == nil else { return }
                guard name.text == "log" || name.text == "print" else { return }
                for case .call(let arguments) in suffixes.map(\.kind) {
                    var inner = LintWalker()
                    inner.enters = { !Self.hidesContent($0) }
                    inner.expression = { one, _ in
                        if Self.isContent(one, of: message) { found.append((.payload, one.offset, "a payload goes to the log")) }
                    }
                    arguments.forEach { inner.walk($0, 0) }
                }
            }
            walker.walk(body)
            for (kind, offset, text) in found { find(.warning, kind, offset, text, help: "log what it is about: its topic, its length") }
        }
        checkGrowth(outline)
    }

    /// The variables that hold a message, each with where it is seen: of hooks, and of functions that are given messages alone.
    private func messages(of outline: RuleOutline) -> [(LuaBlock, LuaVariable)] {
        let calls = LintCalls(tree, outline)
        var known: Set<ObjectIdentifier> = []
        var found: [(LuaBlock, LuaVariable)] = []
        for _ in 0..<4 {
            for variable in calls.settled("shunt.Message", known) where known.insert(ObjectIdentifier(variable)).inserted {
                found.append((tree.body, variable))
            }
        }
        return found
    }

    /// Whether it says little of what it is made of: a length, a type, a hash.
    private static func hidesContent(_ value: LuaExpression) -> Bool {
        switch value.kind {
        case .unary("#", _): return true
        case .suffixed(let base, _):
            guard case .name(let name) = base.kind, name.variable == nil else { return false }
            return name.text == "hash" || name.text == "type"
        default: return false
        }
    }

    /// Whether it is `msg.payload` or `msg:json()`, or a field of that, and not its length.
    private static func isContent(_ value: LuaExpression, of message: LuaVariable) -> Bool {
        guard case .suffixed(let base, let suffixes) = value.kind, case .name(let name) = base.kind, name.variable === message else { return false }
        switch suffixes.first?.kind {
        case .field("payload"): return suffixes.count == 1
        case .method("json", _): return true
        default: return false
        }
    }

    /// `seen[msg.key] = true` with a table that nothing is ever taken out of.
    private mutating func checkGrowth(_ outline: RuleOutline) {
        var emptied: Set<ObjectIdentifier> = []
        var grown: [(table: LuaVariable, key: LuaExpression, offset: Int)] = []
        var walker = LintWalker()
        walker.statement = { one, _ in
            guard case .assignment(let targets, let values) = one.kind else { return }
            for (target, value) in zip(targets, values) {
                guard case .suffixed(let base, let suffixes) = target.kind, suffixes.count == 1, case .index(let key) = suffixes[0].kind,
                    case .name(let name) = base.kind, let table = name.variable
                else { continue }
                if case .null = value.kind { emptied.insert(ObjectIdentifier(table)) } else { grown.append((table, key, target.offset)) }
            }
        }
        walker.walk(tree.body)
        let file = LuaAssignments(tree)
        var chosen: [ObjectIdentifier: String] = [:]
        for hook in outline.hooks {
            guard let type = RuleVocabulary.hookParameters[hook.name]?.first, let parameter = hook.function?.parameters.first else { continue }
            chosen[ObjectIdentifier(parameter)] = type
        }
        for one in grown where one.table.depth == 1 && one.table.writes.isEmpty && !emptied.contains(ObjectIdentifier(one.table)) {
            guard let (root, path) = file.chain(of: one.key), Self.isChosen(path, by: chosen[ObjectIdentifier(root)]) else { continue }
            find(
                .warning, .growth, one.offset, "\(one.table.name) gets a key for each value that clients choose, and loses none",
                help: "kv.set with a ttl, or a bound")
        }
    }

    private static let ofClients: Set<String> = ["uid", "device", "id", "client_id", "address"]

    /// Whether a field of a hook's first parameter is another one with each message, or each client.
    private static func isChosen(_ path: [LuaSuffix], by type: String?) -> Bool {
        guard let first = path.first, path.count == 1 || type == "shunt.Message" else { return false }
        switch (type, first.kind) {
        case ("shunt.Message", .field("sender")):
            guard path.count == 2, case .field(let name) = path[1].kind else { return false }
            return ofClients.contains(name)
        case ("shunt.Message", .field(let name)): return ["key", "topic", "payload"].contains(name)
        case ("shunt.Message", .method("json", _)): return true
        case ("shunt.Client", .field(let name)): return ofClients.contains(name)
        default: return false
        }
    }
}
