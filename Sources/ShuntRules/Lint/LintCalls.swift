import LuaSyntax

/// What the parameters of a file's functions are given, where every call of the function is seen.
struct LintCalls {
    /// A parameter, and all that it is given.
    struct Parameter {
        let variable: LuaVariable
        /// The types that hooks give it.
        let types: [String]
        /// What calls give it; nil where that is not to be seen.
        let values: [LuaExpression?]
    }

    private(set) var parameters: [Parameter] = []

    init(_ tree: LuaTree, _ outline: RuleOutline) {
        var calls: [ObjectIdentifier: [[LuaExpression]]] = [:]
        var walker = LintWalker()
        walker.expression = { one, _ in
            guard let (function, arguments) = Self.call(one) else { return }
            calls[ObjectIdentifier(function), default: []].append(arguments)
        }
        walker.walk(tree.body)
        for hook in outline.hooks where hook.variable == nil {
            guard let function = hook.function else { continue }
            add(function, types: [RuleVocabulary.hookParameters[hook.name] ?? []], calls: [])
        }
        for (variable, function) in tree.localFunctions.values.sorted(by: { $0.variable.offset < $1.variable.offset }) {
            let hooks = outline.hooks.filter { $0.variable === variable }
            let seen = calls[ObjectIdentifier(variable)] ?? []
            guard variable.reads == seen.count + hooks.count else { continue }
            add(function, types: hooks.map { RuleVocabulary.hookParameters[$0.name] ?? [] }, calls: seen)
        }
    }

    private mutating func add(_ function: LuaFunction, types: [[String]], calls: [[LuaExpression]]) {
        for (index, parameter) in function.parameters.enumerated() where parameter.writes.isEmpty {
            let given = calls.map { Self.argument(index, of: $0) }.filter { value in
                // A call of itself that passes it on says nothing new.
                if case .name(let name)? = value?.kind { name.variable !== parameter } else { true }
            }
            parameters.append(Parameter(variable: parameter, types: types.map { index < $0.count ? $0[index] : "nil" }, values: given))
        }
    }

    private static func argument(_ index: Int, of arguments: [LuaExpression]) -> LuaExpression? { index < arguments.count ? arguments[index] : nil }

    /// The local function that is called, and what it is given; `pcall(f, x)` calls it, too.
    static func call(_ one: LuaExpression) -> (LuaVariable, [LuaExpression])? {
        guard case .suffixed(let base, let suffixes) = one.kind, case .name(let name) = base.kind, case .call(let arguments)? = suffixes.first?.kind
        else { return nil }
        if let variable = name.variable { return (variable, arguments) }
        guard name.text == "pcall", case .name(let called)? = arguments.first?.kind, let variable = called.variable else { return nil }
        return (variable, Array(arguments.dropFirst()))
    }

    /// The parameters that are given one type alone.
    /// - Parameter type: of a value; nil: not known.
    func settled(_ type: (LuaExpression) -> String?) -> [(variable: LuaVariable, type: String)] {
        parameters.compactMap { parameter in
            let types = parameter.types.map(Optional.some) + parameter.values.map { $0.flatMap(type) }
            guard let first = types.first, let known = first, !known.isEmpty, types.allSatisfy({ $0 == known }) else { return nil }
            return (parameter.variable, known)
        }
    }

    /// The parameters that are given one type, where all that is known are the variables that hold it.
    func settled(_ type: String, _ known: Set<ObjectIdentifier>) -> [LuaVariable] {
        let all = settled { value in
            guard case .name(let name) = value.kind, let variable = name.variable else { return nil }
            return known.contains(ObjectIdentifier(variable)) ? type : nil
        }
        return all.filter { $0.type == type }.map(\.variable)
    }
}

extension LuaTree {
    /// The functions that a local variable holds for good.
    var localFunctions: [ObjectIdentifier: (variable: LuaVariable, function: LuaFunction)] {
        var found: [ObjectIdentifier: (LuaVariable, LuaFunction)] = [:]
        var walker = LintWalker()
        walker.statement = { one, _ in
            switch one.kind {
            case .localFunction(let variable, let function) where variable.writes.isEmpty:
                found[ObjectIdentifier(variable)] = (variable, function)
            case .local(let variables, let values):
                for (variable, value) in zip(variables, values) where variable.writes.isEmpty {
                    if case .function(let function) = value.kind { found[ObjectIdentifier(variable)] = (variable, function) }
                }
            default: break
            }
        }
        walker.walk(body)
        return found
    }
}
