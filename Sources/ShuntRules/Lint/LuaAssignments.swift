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

    init(_ tree: LuaTree) {
        functions = tree.localFunctions.mapValues(\.function)
        var statements: [LuaStatement] = []
        var inserted: [(LuaVariable, LuaExpression)] = []
        var walker = LintWalker()
        walker.statement = { one, _ in statements.append(one) }
        walker.expression = { one, _ in
            guard case .suffixed(let base, let suffixes) = one.kind, case .name(let library) = base.kind, library.global == "table",
                suffixes.count == 2, case .field("insert") = suffixes[0].kind, case .call(let arguments) = suffixes[1].kind,
                case .name(let list)? = arguments.first?.kind, let variable = list.variable, let value = arguments.dropFirst().last
            else { return }
            inserted.append((variable, value))
        }
        walker.walk(tree.body)
        for (variable, value) in inserted { elements[ObjectIdentifier(variable), default: []].append(value) }
        for one in statements { add(one) }
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
        guard case .suffixed(let base, let suffixes) = target.kind, suffixes.count == 1, case .name(let name) = base.kind, let table = name.variable
        else { return }
        switch suffixes[0].kind {
        case .field(let name):
            fields[ObjectIdentifier(table), default: []].insert(name)
            add(name, of: table, Member(value))
        case .index(let key):
            if case .text(let name) = key.kind {
                fields[ObjectIdentifier(table), default: []].insert(name)
            } else if let value {
                elements[ObjectIdentifier(table), default: []].append(value)
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

    /// The keys of a table that is written out, or that a variable holds which is given no other; nil where there may be more.
    func keys(of table: LuaExpression) -> Set<String>? {
        switch table.kind {
        case .table(let fields):
            var keys: Set<String> = []
            for field in fields {
                switch field.key {
                case .name(let name): keys.insert(name)
                case .value(let key): if case .text(let name) = key.kind { keys.insert(name) } else { return nil }
                case .position: break
                }
            }
            return keys
        case .name(let name):
            guard let variable = name.variable, let value = value(of: variable), case .table = value.kind else { return nil }
            return keys(of: value)?.union(fields[ObjectIdentifier(variable)] ?? [])
        default: return nil
        }
    }
}
