import LuaSyntax

/// What a file says of its rule: the table that it returns, its keys and its hooks.
struct RuleOutline {
    struct Key {
        var name: String
        var offset: Int
        var value: LuaExpression?
        var function: LuaFunction?
        var isMethod = false
        /// The local function that is the value: `on_message = decide`.
        var variable: LuaVariable?
    }

    private(set) var keys: [Key] = []
    /// The variable that holds the table; nil where the file returns a table as it stands, or nothing.
    private(set) var table: LuaVariable?
    /// Where the table is made.
    private(set) var start: Int?
    private var functions: [ObjectIdentifier: LuaFunction] = [:]

    /// Of a file that is no rule.
    init(empty: Void) {}

    init(_ tree: LuaTree) {
        guard case .returned(let values)? = tree.body.statements.last?.kind, let value = values.first else { return }
        functions = tree.localFunctions.mapValues(\.function)
        let returned = Self.plain(value)
        switch returned.kind {
        case .table(let fields):
            start = returned.offset
            add(fields)
        case .name(let name):
            guard let rule = name.variable else { return }
            table = rule
            for one in tree.body.statements { add(one, rule) }
        default: break
        }
    }

    /// Without parentheses, and without a `setmetatable` around it, which gives the table back.
    private static func plain(_ value: LuaExpression) -> LuaExpression {
        switch value.kind {
        case .parenthesis(let inner): return plain(inner)
        case .suffixed(let base, let suffixes):
            guard case .name(let name) = base.kind, name.variable == nil, name.text == "setmetatable", suffixes.count == 1,
                case .call(let arguments) = suffixes[0].kind, let first = arguments.first
            else { return value }
            return plain(first)
        default: return value
        }
    }

    private mutating func add(_ fields: [LuaTableField]) {
        for field in fields {
            switch field.key {
            case .name(let name): add(name, field.offset, field.value)
            case .value(let key): if case .text(let name) = key.kind { add(name, field.offset, field.value) }
            case .position: break
            }
        }
    }

    private mutating func add(_ name: String, _ offset: Int, _ value: LuaExpression) {
        var key = Key(name: name, offset: offset, value: value)
        switch value.kind {
        case .function(let function): key.function = function
        case .name(let name):
            guard let variable = name.variable, let function = functions[ObjectIdentifier(variable)] else { break }
            (key.function, key.variable) = (function, variable)
        default: break
        }
        keys.append(key)
    }

    private mutating func add(_ one: LuaStatement, _ rule: LuaVariable) {
        switch one.kind {
        case .local(let variables, let values):
            guard let index = variables.firstIndex(where: { $0 === rule }), index < values.count else { return }
            let value = Self.plain(values[index])
            guard case .table(let fields) = value.kind else { return }
            start = value.offset
            add(fields)
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
        guard case .suffixed(let base, let suffixes) = target.kind, suffixes.count == 1, case .name(let owner) = base.kind, owner.variable === rule
        else { return nil }
        switch suffixes[0].kind {
        case .field(let name): return (name, suffixes[0].offset)
        case .index(let key): if case .text(let name) = key.kind { return (name, suffixes[0].offset) } else { return nil }
        case .call, .method: return nil
        }
    }

    func value(_ name: String) -> LuaExpression? { keys.last { $0.name == name }?.value }

    /// Where a key stands; of `budget.time` the inner one, or the outer one where that is not written out.
    func offset(of path: String) -> Int? {
        let names = path.split(separator: ".", maxSplits: 1).map(String.init)
        guard let name = names.first, let key = keys.last(where: { $0.name == name }) else { return nil }
        guard names.count > 1, case .table(let fields)? = key.value?.kind else { return key.offset }
        return fields.last { if case .name(let inner) = $0.key { inner == names[1] } else { false } }?.offset ?? key.offset
    }

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
