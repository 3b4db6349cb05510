import LuaSyntax

/// What the variables of a file are given: values, and what is put into the tables that they hold.
struct LuaAssignments {
    /// By variable; nil is a value that is not to be seen.
    private(set) var values: [ObjectIdentifier: [LuaExpression?]] = [:]
    /// Elements of lists: `list[#list + 1] = x`, `table.insert(list, x)`.
    private(set) var elements: [ObjectIdentifier: [LuaExpression]] = [:]
    /// Variables that are nil where they are declared.
    private(set) var undefined: Set<ObjectIdentifier> = []
    /// Fields that are set by their names: `changes.payload = x`.
    private(set) var fields: [ObjectIdentifier: Set<String>] = [:]
    /// The functions that local variables hold for good.
    private let functions: [ObjectIdentifier: LuaFunction]
    /// The functions that a local table is given under a name, once: `local send = {}; function send.all(msg) … end`.
    private var members: [ObjectIdentifier: [String: [Member]]] = [:]
    /// Tables that are given keys which the file makes: `changes[name] = x`.
    private var computed: Set<ObjectIdentifier> = []
    /// Tables that other names than those of their variables lead to: what functions are given and return, what stands in other tables.
    private(set) var handedOn: Set<ObjectIdentifier> = []

    private struct Member {
        /// nil: it is something else.
        let function: LuaFunction?
        let isMethod: Bool

        init(function: LuaFunction, isMethod: Bool) { (self.function, self.isMethod) = (function, isMethod) }

        init(_ value: LuaExpression?) {
            if case .function(let function)? = value?.kind { self.function = function } else { function = nil }
            isMethod = false
        }
    }

    init(_ tree: LuaTree, _ outline: RuleOutline) {
        functions = tree.localFunctions.mapValues(\.function)
        var statements: [LuaStatement] = []
        var calls: [LuaExpression] = []
        var inserted: [(LuaVariable, LuaExpression)] = []
        var walker = LintWalker()
        walker.statement = { one, _ in statements.append(one) }
        walker.expression = { one, _ in
            if case .suffixed(_, let suffixes) = one.kind, suffixes.contains(where: \.isCall) { calls.append(one) }
            guard case .suffixed(let base, let suffixes) = one.kind, case .name(let library) = base.kind, library.global == "table",
                suffixes.count == 2, case .field("insert") = suffixes[0].kind, case .call(let arguments) = suffixes[1].kind,
                case .name(let list)? = arguments.first?.kind, let variable = list.variable, let value = arguments.dropFirst().last
            else { return }
            inserted.append((variable, value))
        }
        walker.walk(tree.body)
        for (variable, value) in inserted { elements[ObjectIdentifier(variable), default: []].append(value) }
        for one in statements { add(one) }
        let copied = Self.copiedResults(of: outline)
        for one in statements where !copied.contains(one.offset) { handOn(one) }
        for one in calls { handOn(call: one) }
    }

    private mutating func add(_ one: LuaStatement) {
        switch one.kind {
        case .local(let variables, let given) where !given.isEmpty:
            for (index, variable) in variables.enumerated() { add(variable, index < given.count ? given[index] : nil) }
        case .local(let variables, _): undefined.formUnion(variables.map(ObjectIdentifier.init))
        case .assignment(let targets, let given):
            for (index, target) in targets.enumerated() { add(target, index < given.count ? given[index] : nil) }
        case .function(let target, let function, let isMethod):
            guard case .suffixed(let base, let suffixes) = target.kind, suffixes.count == 1, case .name(let name) = base.kind,
                let table = name.variable, case .field(let field) = suffixes[0].kind
            else { return }
            add(field, of: table, Member(function: function, isMethod: isMethod))
        case .numeric(let variable, _, _): add(variable, nil)
        case .generic(let variables, _, _): variables.forEach { add($0, nil) }
        default: break
        }
    }

    private mutating func add(_ variable: LuaVariable, _ value: LuaExpression?) {
        values[ObjectIdentifier(variable), default: []].append(value)
        guard case .table(let fields)? = value?.kind else { return }
        for case (.name(let name), let value) in fields.map({ ($0.key, $0.value) }) { add(name, of: variable, Member(value)) }
    }

    private mutating func add(_ name: String, of table: LuaVariable, _ member: Member) {
        members[ObjectIdentifier(table), default: [:]][name, default: []].append(member)
    }

    private mutating func add(_ target: LuaExpression, _ value: LuaExpression?) {
        if case .name(let name) = target.kind, let variable = name.variable { return add(variable, value) }
        guard case .suffixed(let base, let suffixes) = target.kind, suffixes.count == 1, let (table, path) = chain(of: base), path.isEmpty else {
            return
        }
        switch suffixes[0].kind {
        case .field(let name):
            fields[ObjectIdentifier(table), default: []].insert(name)
            add(name, of: table, Member(value))
        case .index(let key):
            if case .text(let name) = key.kind {
                fields[ObjectIdentifier(table), default: []].insert(name)
            } else {
                computed.insert(ObjectIdentifier(table))
                if let value { elements[ObjectIdentifier(table), default: []].append(value) }
            }
        case .call, .method: break
        }
    }

    /// The function of the file that is called, what it is given, and how many suffixes the call has.
    func call(_ one: LuaExpression) -> (function: LuaFunction, arguments: [LuaExpression], count: Int)? {
        if let (called, arguments) = LintCalls.call(one) { return functions[ObjectIdentifier(called)].map { ($0, arguments, 1) } }
        guard case .suffixed(let base, let suffixes) = one.kind, case .name(let name) = base.kind, let table = name.variable, table.writes.isEmpty
        else { return nil }
        func member(_ name: String, isMethod: Bool) -> LuaFunction? {
            guard let all = members[ObjectIdentifier(table)]?[name], all.count == 1, all[0].isMethod == isMethod else { return nil }
            return all[0].function
        }
        switch suffixes[0].kind {
        case .method(let name, let arguments): return member(name, isMethod: true).map { ($0, arguments, 1) }
        case .field(let name):
            guard suffixes.count > 1, case .call(let arguments) = suffixes[1].kind else { return nil }
            return member(name, isMethod: false).map { ($0, arguments, 2) }
        case .index, .call: return nil
        }
    }

    /// The one value that a variable has for good.
    func value(of variable: LuaVariable) -> LuaExpression? {
        guard variable.writes.isEmpty, let all = values[ObjectIdentifier(variable)], all.count == 1 else { return nil }
        return all[0]
    }

    /// The variable at the beginning of a chain such as `msg.sender.uid`, and what follows; locals that hold a part of it are followed.
    func chain(of value: LuaExpression, depth: Int = 0) -> (LuaVariable, [LuaSuffix])? {
        // A variable is declared before what it is given to, so that no chain is endless; but it may be long.
        guard depth < 20 else { return nil }
        switch value.kind {
        case .parenthesis(let inner): return chain(of: inner, depth: depth + 1)
        case .name(let name):
            guard let variable = name.variable else { return nil }
            return self.value(of: variable).flatMap { chain(of: $0, depth: depth + 1) } ?? (variable, [])
        case .suffixed(let base, let suffixes):
            return chain(of: base, depth: depth + 1).map { ($0.0, $0.1 + suffixes) }
        default: return nil
        }
    }

    /// The keys of a table that is written out, or that a variable holds which is given no other, and whether there are no more.
    func keys(of table: LuaExpression) -> (names: Set<String>, areAll: Bool) {
        switch table.kind {
        case .table(let fields):
            var names: Set<String> = []
            var areAll = true
            for field in fields {
                switch field.key {
                case .name(let name): names.insert(name)
                case .value(let key): if case .text(let name) = key.kind { names.insert(name) } else { areAll = false }
                case .position: break
                }
            }
            return (names, areAll)
        case .parenthesis(let inner): return keys(of: inner)
        case .name:
            guard let (variable, path) = chain(of: table), path.isEmpty, let value = value(of: variable), case .table = value.kind else {
                return ([], false)
            }
            let id = ObjectIdentifier(variable)
            let (names, areAll) = keys(of: value)
            return (names.union(fields[id] ?? []), areAll && !computed.contains(id) && !handedOn.contains(id))
        default: return ([], false)
        }
    }
}

// MARK: tables that are handed on

extension LuaAssignments {
    /// Functions that keep no table which they are given: `rawset` and `table.insert` may put other arguments into it.
    private static let harmless: Set<String> = [
        "pairs", "ipairs", "next", "rawget", "rawset", "rawlen", "rawequal", "type", "tostring", "print", "select", "assert", "log", "json",
        "msgpack", "cbor", "table",
    ]
    /// Of these, the functions that only read, also what stands in a table.
    private static let reading: Set<String> = ["type", "tostring", "print", "log", "json", "msgpack", "cbor"]

    /// Where `on_unload` returns: the next version gets a copy.
    private static func copiedResults(of outline: RuleOutline) -> Set<Int> {
        var found: Set<Int> = []
        var walker = LintWalker()
        walker.statement = { one, depth in if depth == 0, case .returned = one.kind { found.insert(one.offset) } }
        for hook in outline.hooks where hook.name == "on_unload" {
            if let function = hook.function { walker.walk(function.body) }
        }
        return found
    }

    private mutating func handOn(_ one: LuaStatement) {
        switch one.kind {
        case .local(let variables, let values):
            for (index, value) in values.enumerated() {
                // A second name that is given no other value is followed.
                if case .name = value.kind, index < variables.count, variables[index].writes.isEmpty { continue }
                handOn(value)
            }
        case .assignment(_, let values), .returned(let values): values.forEach { handOn($0) }
        default: break
        }
    }

    private mutating func handOn(call: LuaExpression) {
        guard case .suffixed(let base, let suffixes) = call.kind else { return }
        // A method may change its table.
        if case .method? = suffixes.first?.kind { handOn(base) }
        let (library, _, path) = call.ofGlobal ?? ("", 0, [])
        for suffix in suffixes {
            switch suffix.kind {
            case .call(let values) where Self.harmless.contains(library):
                guard !Self.reading.contains(library) else { continue }
                var keeps = false
                if library == "rawset" {
                    keeps = true
                    if let (table, path) = values.first.flatMap({ chain(of: $0) }), path.isEmpty { computed.insert(ObjectIdentifier(table)) }
                }
                if case .field("insert")? = path.first?.kind { keeps = true }
                for (index, value) in values.enumerated() {
                    if case .table = value.kind { handOn(value) } else if keeps, index > 0 { handOn(value) }
                }
            case .call(let values): values.forEach { handOn($0) }
            // A copy of a message takes what stands in its changes.
            case .method(let name, let values) where name != "with": values.forEach { handOn($0) }
            case .field, .index, .method: break
            }
        }
    }

    private mutating func handOn(_ value: LuaExpression) {
        switch value.kind {
        case .name: if let (variable, path) = chain(of: value), path.isEmpty { handedOn.insert(ObjectIdentifier(variable)) }
        case .parenthesis(let inner): handOn(inner)
        case .table(let fields): fields.forEach { handOn($0.value) }
        case .operations(let first, let rest):
            if rest[0].sign == "and" || rest[0].sign == "or" { handOn(first) }
            for one in rest where one.sign == "and" || one.sign == "or" { handOn(one.right) }
        default: break
        }
    }
}
