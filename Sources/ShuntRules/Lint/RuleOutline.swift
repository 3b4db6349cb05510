import LuaSyntax

/// What a file says of its rule: the table that it returns, its keys and its hooks.
struct RuleOutline {
    struct Key {
        var name: String
        var offset: Int
        var value: LuaExpression?
        var function: LuaFunction?
        var isMethod = false
    }

    private(set) var keys: [Key] = []

    /// Of a file that is no rule.
    init(empty: Void) {}

    init(_ tree: LuaTree) {
        guard case .returned(let values)? = tree.body.statements.last?.kind, let value = values.first else { return }
        switch value.kind {
        case .table(let fields): add(fields)
        case .name(let name):
            guard let rule = name.variable else { return }
            for one in tree.body.statements { add(one, rule) }
        default: break
        }
    }

    private mutating func add(_ fields: [LuaTableField]) {
        for field in fields {
            if case .name(let name) = field.key { add(name, field.offset, field.value) }
        }
    }

    private mutating func add(_ name: String, _ offset: Int, _ value: LuaExpression) {
        var key = Key(name: name, offset: offset, value: value)
        if case .function(let function) = value.kind { key.function = function }
        keys.append(key)
    }

    private mutating func add(_ one: LuaStatement, _ rule: LuaVariable) {
        switch one.kind {
        case .local(let variables, let values):
            guard let index = variables.firstIndex(where: { $0 === rule }), index < values.count else { return }
            if case .table(let fields) = values[index].kind { add(fields) }
        case .assignment(let targets, let values):
            for (target, value) in zip(targets, values) {
                if let (name, offset) = Self.key(target, of: rule) { add(name, offset, value) }
            }
        case .function(let target, let function, let isMethod):
            guard let (name, offset) = Self.key(target, of: rule) else { return }
            keys.append(Key(name: name, offset: offset, function: function, isMethod: isMethod))
        default: break
        }
    }

    private static func key(_ target: LuaExpression, of rule: LuaVariable) -> (String, Int)? {
        guard case .suffixed(let base, let suffixes) = target.kind, suffixes.count == 1, case .field(let name) = suffixes[0].kind,
            case .name(let owner) = base.kind, owner.variable === rule
        else { return nil }
        return (name, suffixes[0].offset)
    }

    func value(_ name: String) -> LuaExpression? { keys.last { $0.name == name }?.value }

    var hooks: [Key] { keys.filter { RuleHook(rawValue: $0.name) != nil && $0.function != nil } }

    // MARK: match

    /// Its kinds and its filters, each with its place, as far as they are written out. nil: all, or nothing is known.
    var kinds: [(text: String, offset: Int)]? { texts("kind") }
    var filters: [(text: String, offset: Int)]? { texts("topic") }

    /// Whether `match` is written out or missing, so that it can be told what the rule takes.
    var isMatchKnown: Bool {
        guard keys.contains(where: { $0.name == "match" }) else { return true }
        guard case .table(let fields)? = value("match")?.kind else { return false }
        return fields.allSatisfy { field in
            if case .name(let name) = field.key { return texts(name) != nil }
            return false
        }
    }

    private func texts(_ key: String) -> [(text: String, offset: Int)]? {
        guard case .table(let fields)? = value("match")?.kind,
            let field = fields.last(where: { if case .name(key) = $0.key { true } else { false } })
        else { return nil }
        switch field.value.kind {
        case .text(let text): return [(text, field.value.offset)]
        case .table(let values):
            let texts = values.compactMap { value -> (String, Int)? in
                if case .text(let text) = value.value.kind { (text, value.value.offset) } else { nil }
            }
            return texts.count == values.count ? texts : nil
        default: return nil
        }
    }

    var priority: Int {
        switch value("priority")?.kind {
        case .number(let text): Int(text) ?? 0
        case .unary("-", let inner): if case .number(let text) = inner.kind { -(Int(text) ?? 0) } else { 0 }
        default: 0
        }
    }
}
