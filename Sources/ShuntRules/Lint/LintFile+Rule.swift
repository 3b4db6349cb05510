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
}
