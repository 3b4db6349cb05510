import LuaSyntax

/// What the API's objects have: fields, methods with a colon, functions of libraries with a dot, keys of the tables that they take.
struct ShapeChecks {
    var file: LintFile
    private let hooks: [RuleOutline.Key]
    private let calls: LintCalls
    private var types: [ObjectIdentifier: String] = [:]
    /// Fields that are set, where that has been told.
    var assigned: Set<Int> = []
    /// Variables that a file asks for the type of.
    var asked: Set<ObjectIdentifier> = []
    /// Parameters of hooks that are one of some texts.
    private(set) var texts: [ObjectIdentifier: [String]] = [:]
    /// Variables that hold what JSON, MessagePack or CBOR was decoded to.
    private(set) var decoded: Set<ObjectIdentifier> = []

    /// Classes that take any name.
    static let open: Set<String> = ["shunt.Properties", "shunt.Rule", "shunt.Verdict"]
    /// Tables of the rule's own, whose fields it may set.
    static let settable: Set<String> = ["shunt.Filter", "shunt.Will"]
    /// The names of fields that the file sets, whatever of.
    private(set) var fieldsSet: Set<String> = []

    /// How rules name the objects whose methods are given values.
    static let written = ["shunt.Message": "msg", "shunt.Client": "conn", "shunt.Subscription": "sub", "shunt.Context": "ctx"]

    /// What the plugin's files add to the libraries, as `table.contains`.
    let added: Set<String>

    /// What the plugin's metatables may have, such as `__lt`.
    private let metamethods: Set<String>

    init(_ file: LintFile, _ outline: RuleOutline, added: Set<String>, metamethods: Set<String>) {
        (self.file, self.added, self.metamethods) = (file, added, metamethods)
        // A test may be named as a hook is.
        hooks = file.isTest ? [] : outline.hooks
        calls = LintCalls(file.tree, file.isTest ? RuleOutline(empty: ()) : outline)
        for hook in hooks {
            for (parameter, texts) in zip(hook.function?.parameters ?? [], RuleVocabulary.hookTexts[hook.name] ?? []) where parameter.writes.isEmpty {
                // A function that is two hooks is given either's.
                if let texts { self.texts[ObjectIdentifier(parameter), default: []] += texts }
            }
        }
        guard file.isTest else { return }
        for test in outline.keys + Self.tests(of: file.tree) {
            if let parameter = test.function?.parameters.first { types[ObjectIdentifier(parameter)] = "shunt.Test" }
        }
    }

    /// Tests are named by texts: `["what it promises"] = function(t)`.
    private static func tests(of tree: LuaTree) -> [RuleOutline.Key] {
        var found: [RuleOutline.Key] = []
        var walker = LintWalker()
        walker.expression = { expression, depth in
            guard depth == 0, case .table(let fields) = expression.kind else { return }
            for field in fields {
                guard case .value(let key) = field.key, case .text(let name) = key.kind, case .function(let function) = field.value.kind else {
                    continue
                }
                found.append(RuleOutline.Key(name: name, offset: field.offset, function: function))
            }
        }
        walker.walk(tree.body)
        return found
    }

    mutating func run() {
        var statements: [LuaStatement] = []
        var chains: [(LuaExpression, [LuaSuffix])] = []
        var order: [(statement: Int?, chain: Int?)] = []
        var walker = LintWalker()
        walker.statement = { one, _ in
            order.append((statements.count, nil))
            statements.append(one)
        }
        var comparisons: [LuaExpression] = []
        walker.expression = { one, _ in
            if case .operations = one.kind { comparisons.append(one) }
            guard case .suffixed(let base, let suffixes) = one.kind else { return }
            order.append((nil, chains.count))
            chains.append((base, suffixes))
        }
        walker.walk(file.tree.body)
        for target in statements.flatMap(\.targets) {
            if case .suffixed(_, let suffixes) = target.kind, let name = suffixes.last.flatMap(Self.fieldName) { fieldsSet.insert(name) }
        }
        infer(statements)
        for (base, suffixes) in chains { note(base, suffixes) }
        for one in order {
            if let index = one.statement { check(statements[index]) }
            if let index = one.chain { check(chains[index].0, chains[index].1) }
        }
        for hook in hooks { checkResults(of: hook) }
        if !file.isTest { checkComparisons(comparisons) }
    }

    // MARK: what variables hold

    /// Variables that are given one value have its type, and parameters the type that every call gives them. Each round may tell the next one more.
    private mutating func infer(_ statements: [LuaStatement]) {
        for _ in 0..<4 {
            let before = types.count
            for (parameter, type) in calls.settled(type) { types[ObjectIdentifier(parameter)] = type }
            for one in statements {
                switch one.kind {
                case .local(let variables, let values):
                    for (variable, value) in zip(variables, values) where variable.writes.isEmpty {
                        if let type = type(of: value) { types[ObjectIdentifier(variable)] = type }
                        if isDecoded(value) { decoded.insert(ObjectIdentifier(variable)) }
                    }
                case .generic(let variables, let values, _):
                    guard variables.count > 1, variables[1].writes.isEmpty, let list = values.first.flatMap(gone(through:)), let type = type(of: list)
                    else {
                        continue
                    }
                    let isInOrder = values.first?.ofGlobal?.0 == "ipairs"
                    if let element = isInOrder && type == "shunt.Properties" ? "shunt.Property" : Self.element(of: type) {
                        types[ObjectIdentifier(variables[1])] = element
                    }
                default: break
                }
            }
            if types.count == before { return }
        }
    }

    /// Of `ipairs(list)` the list.
    private func gone(through value: LuaExpression) -> LuaExpression? {
        guard let (name, _, suffixes) = value.ofGlobal, name == "ipairs" || name == "pairs", suffixes.count == 1,
            case .call(let arguments) = suffixes[0].kind
        else { return nil }
        return arguments.first
    }

    /// Of a list.
    private static func element(of type: String) -> String? { type.hasSuffix("[]") ? String(type.dropLast(2)) : nil }

    private mutating func note(_ base: LuaExpression, _ suffixes: [LuaSuffix]) {
        guard case .name(let name) = base.kind, name.global == "type" || name.global == "math",
            case .call(let arguments)? = suffixes.last?.kind, case .name(let asked)? = arguments.first?.kind, let variable = asked.variable
        else { return }
        self.asked.insert(ObjectIdentifier(variable))
    }

    /// Whether it is what a decoder gives: mostly a table, which nothing but an encoder takes.
    func isDecoded(_ value: LuaExpression) -> Bool {
        switch value.kind {
        case .name(let name): return name.variable.map { decoded.contains(ObjectIdentifier($0)) } ?? false
        case .parenthesis(let inner): return isDecoded(inner)
        case .suffixed(let base, let suffixes):
            if case .name(let name) = base.kind, let library = name.global {
                guard suffixes.count == 2, case .field("decode") = suffixes[0].kind, case .call = suffixes[1].kind else { return false }
                return ["json", "cbor", "msgpack"].contains(library)
            }
            guard case .method(let name, _)? = suffixes.last?.kind, ["json", "cbor", "msgpack"].contains(name) else { return false }
            return type(of: base, suffixes.dropLast()) == "shunt.Message"
        default: return false
        }
    }

    // MARK: types

    /// Types that are no classes of the API.
    private static let basic: Set<String> = ["string", "number", "integer", "boolean", "table"]
    private static let textMethods: [String: String] = [
        "lower": "string", "upper": "string", "sub": "string", "rep": "string", "reverse": "string", "format": "string", "len": "integer",
    ]

    static let comparing: Set<String> = ["==", "~=", "<", ">", "<=", ">="]

    private static func isKnown(_ type: String) -> Bool {
        basic.contains(type) || RuleVocabulary.classes[type] != nil || element(of: type).map(isKnown) ?? false
    }

    /// What is known of a value: a class of the API, or one of Lua's own types.
    func type(of value: LuaExpression) -> String? {
        switch value.kind {
        case .name(let name): name.variable.flatMap { types[ObjectIdentifier($0)] }
        case .parenthesis(let inner): type(of: inner)
        case .suffixed(let base, let suffixes): type(of: base, suffixes[...])
        case .text, .bytes: "string"
        case .table: "table"
        case .unary("not", _): "boolean"
        case .unary("#", let inner): type(of: inner).flatMap { $0 == "table" && metamethods.contains("__len") ? nil : "integer" }
        // A metatable may say what other signs give.
        case .operations(_, let rest): rest.last.flatMap { Self.comparing.contains($0.sign) ? "boolean" : $0.sign == ".." ? "string" : nil }
        default: nil
        }
    }

    /// Whether a metatable may say how values of a type are ordered.
    func mayBeOrdered(_ type: String) -> Bool { type == "table" && !metamethods.isDisjoint(with: ["__lt", "__le"]) }

    func type(of base: LuaExpression, _ suffixes: ArraySlice<LuaSuffix>) -> String? { owners(base, suffixes).last ?? nil }

    /// The types along a chain: before each suffix, and at its end.
    func owners(_ base: LuaExpression, _ suffixes: ArraySlice<LuaSuffix>) -> [String?] {
        var owners: [String?] = []
        var owner: String?
        var rest = suffixes
        if let (library, _, fields) = base.ofGlobal {
            let (type, count) = Self.global(library, (fields + suffixes)[...])
            let taken = max(count - fields.count, 0)
            owners = Array(repeating: nil, count: taken)
            (owner, rest) = (type, suffixes.dropFirst(taken))
        } else {
            owner = type(of: base)
        }
        owners.append(owner)
        for suffix in rest {
            owner = owner.flatMap { Self.step($0, suffix) }
            owners.append(owner)
        }
        return owners
    }

    private static func step(_ owner: String, _ suffix: LuaSuffix) -> String? {
        let shape = RuleVocabulary.classes[owner]
        let type: String?
        switch suffix.kind {
        case .method(let name, _):
            type = owner == "string" ? textMethods[name] : shape?.methods.first { $0.name == name }?.returns.first.map(RuleVocabulary.type)
        case .field(let name): type = shape?.fields.first { RuleVocabulary.plain($0.name) == name }.map { RuleVocabulary.type($0.type) }
        case .index(let key):
            guard case .text(let name) = key.kind else { return element(of: owner) }
            type = shape?.fields.first { RuleVocabulary.plain($0.name) == name }.map { RuleVocabulary.type($0.type) }
        case .call: return nil
        }
        return type.flatMap { isKnown($0) ? $0 : nil }
    }

    /// What a call of a global function gives, and how many suffixes the call has.
    private static func global(_ name: String, _ suffixes: ArraySlice<LuaSuffix>) -> (String?, Int) {
        guard let first = suffixes.first else { return (nil, 0) }
        var type: String?
        var count = 1
        switch first.kind {
        case .call:
            type = name == "tostring" || name == "type" ? "string" : RuleVocabulary.functions[name]?.returns.first.map(RuleVocabulary.type)
        case .field(let function):
            guard case .call? = suffixes.dropFirst().first?.kind else { return (nil, suffixes.count) }
            count = 2
            let returned = RuleVocabulary.libraries[name]?.functions.first { $0.name == function }?.returns.first
            type = name == "string" ? textMethods[function] : returned.map(RuleVocabulary.type)
        case .index, .method: return (nil, suffixes.count)
        }
        return (type.flatMap { isKnown($0) ? $0 : nil }, count)
    }

    /// With its article: `a text`, `an outcome`.
    static func one(_ type: String) -> String {
        let word = shown(type)
        return (word.first.map("aeiou".contains) == true ? "an " : "a ") + word
    }

    static func shown(_ type: String) -> String {
        switch type {
        case _ where type.hasSuffix("[]"): "list"
        case "string": "text"
        case "integer": "number"
        case "boolean": "boolean"
        case "shunt.Found": "session"
        default: type.split(separator: ".").last.map { $0.lowercased() } ?? type
        }
    }
}

extension LintFile {
    /// Whether a name is near one of these, and none of them.
    static func isMisspelt(_ name: String, of names: [String]) -> Bool { name.utf8.count > 2 && meant(name, in: names).hasPrefix("did you mean") }
}
