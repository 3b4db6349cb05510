import LuaSyntax
import ShuntCore

/// Uses of `ctx.settings`, and of what `on_load` is given, beside what the rule says of its settings.
struct SettingChecks {
    private(set) var file: LintFile
    private let schema: SettingsSchema?
    private let calls: LintCalls
    private var contexts: Set<ObjectIdentifier> = []
    /// What local variables hold of the settings; nil where nothing is known of them but that they are settings.
    private var held: [ObjectIdentifier: SettingType.Kind?] = [:]

    /// Of these, what `on_load` was given: the rule's own table, which it may fill in.
    private var given: Set<ObjectIdentifier> = []
    /// Names that any table of the file is given.
    private var added: Set<String> = []

    /// What a chain of fields comes to.
    private enum Place {
        case elsewhere
        case setting(SettingType.Kind?)
        case missing(name: String, offset: Int, among: [String], of: String)
    }

    /// - Parameter schema: nil where the rule does not say what its settings are.
    init(_ file: LintFile, _ outline: RuleOutline, _ schema: SettingsSchema?) {
        (self.file, self.schema) = (file, schema)
        calls = LintCalls(file.tree, outline)
        // A function may hand the context on to another.
        for _ in 0..<4 {
            let known = contexts
            for parameter in calls.settled("shunt.Context", known) { contexts.insert(ObjectIdentifier(parameter)) }
            if contexts.count == known.count { break }
        }
        for hook in outline.hooks {
            if hook.name == "on_load", let settings = hook.function?.parameters.first, settings.writes.isEmpty {
                held[ObjectIdentifier(settings)] = .some(schema.map { .table($0.fields) })
                given.insert(ObjectIdentifier(settings))
            }
        }
    }

    mutating func run() {
        var steps: [(LuaStatement?, LuaExpression?)] = []
        var walker = LintWalker()
        var added: Set<String> = []
        walker.statement = { one, _ in
            steps.append((one, nil))
            guard case .assignment(let targets, _) = one.kind else { return }
            for target in targets {
                if case .suffixed(_, let suffixes) = target.kind, case .field(let name)? = suffixes.last?.kind { added.insert(name) }
            }
        }
        walker.expression = { one, _ in steps.append((nil, one)) }
        walker.walk(file.tree.body)
        self.added = added
        learnParameters()
        for (statement, expression) in steps {
            if let statement { learn(statement) }
            if let expression, case .suffixed(let base, let suffixes) = expression.kind { check(base, suffixes) }
        }
    }

    /// A function that is called once, with settings.
    private mutating func learnParameters() {
        for parameter in calls.parameters where parameter.types.isEmpty && parameter.values.count == 1 {
            guard let value = parameter.values[0], case .suffixed(let base, let suffixes) = value.kind,
                case .setting(let kind) = place(base, suffixes[...])
            else { continue }
            held[ObjectIdentifier(parameter.variable)] = .some(kind)
            if isGiven(base) { given.insert(ObjectIdentifier(parameter.variable)) }
        }
    }

    private mutating func learn(_ statement: LuaStatement) {
        switch statement.kind {
        case .local(let variables, let values):
            for (variable, value) in zip(variables, values) where variable.writes.isEmpty {
                guard case .suffixed(let base, let suffixes) = value.kind, case .setting(let kind) = place(base, suffixes[...]) else { continue }
                held[ObjectIdentifier(variable)] = .some(kind)
                if isGiven(base) { given.insert(ObjectIdentifier(variable)) }
            }
        case .generic(let variables, let values, _):
            guard variables.count > 1, variables[1].writes.isEmpty, let (name, _, suffixes) = values.first?.ofGlobal,
                name == "ipairs" || name == "pairs", suffixes.count == 1, case .call(let arguments) = suffixes[0].kind, let list = arguments.first
            else { return }
            let (base, rest): (LuaExpression, [LuaSuffix]) = if case .suffixed(let base, let rest) = list.kind { (base, rest) } else { (list, []) }
            guard case .setting(let kind) = place(base, rest[...]) else { return }
            switch kind {
            case .list(let element)?: held[ObjectIdentifier(variables[1])] = .some(element.kind)
            case .map(let value)?: held[ObjectIdentifier(variables[1])] = .some(value.kind)
            default: return
            }
            if isGiven(base) { given.insert(ObjectIdentifier(variables[1])) }
        case .assignment(let targets, _):
            for target in targets {
                guard case .suffixed(let base, let suffixes) = target.kind, let last = suffixes.last, !isGiven(base),
                    case .setting = place(base, suffixes.dropLast())
                else { continue }
                file.find(
                    .error, .field, last.offset, "no setting can be set: the worker raises an error",
                    help: "keep it in a local of the rule, in kv or in shared")
            }
        default: break
        }
    }

    private mutating func check(_ base: LuaExpression, _ suffixes: [LuaSuffix]) {
        guard case .missing(let name, let offset, let known, let owner) = place(base, suffixes[...]), !added.contains(name) else { return }
        let help = known.isEmpty ? "the rule's settings say that there are none" : Self.meant(name, known)
        file.find(.error, .field, offset, "there is no setting \(name) in \(owner)", help: help)
    }

    private func isGiven(_ base: LuaExpression) -> Bool {
        guard case .name(let name) = base.kind, let variable = name.variable else { return false }
        return given.contains(ObjectIdentifier(variable))
    }

    private static func meant(_ name: String, _ known: [String]) -> String {
        (Suggestion.closest(to: name, in: known).map { "did you mean \($0)? " } ?? "") + "it has " + known.joined(separator: ", ")
    }

    private func place(_ base: LuaExpression, _ suffixes: ArraySlice<LuaSuffix>) -> Place {
        guard case .name(let name) = base.kind, let variable = name.variable.map(ObjectIdentifier.init) else { return .elsewhere }
        var rest = suffixes
        var path = name.text
        var kind: SettingType.Kind?
        if let known = held[variable] {
            kind = known
        } else {
            guard contexts.contains(variable), case .field("settings")? = rest.first?.kind else { return .elsewhere }
            rest = rest.dropFirst()
            path += ".settings"
            kind = schema.map { .table($0.fields) }
        }
        for suffix in rest {
            let key: String?
            switch suffix.kind {
            case .field(let name): key = name
            case .index(let value): if case .text(let name) = value.kind { key = name } else { key = nil }
            case .call, .method: return .elsewhere
            }
            switch kind {
            case .table(let fields)?:
                guard let key else {
                    kind = nil
                    continue
                }
                guard let type = fields[key] else { return .missing(name: key, offset: suffix.offset, among: fields.keys.sorted(), of: path) }
                kind = type.kind
                path += ".\(key)"
            case .list(let element)?: kind = element.kind
            case .map(let value)?: kind = value.kind
            default: kind = nil
            }
        }
        return .setting(kind)
    }
}
