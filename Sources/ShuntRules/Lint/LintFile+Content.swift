import LuaSyntax

/// Payloads in the log, and tables that grow with what clients send.
extension LintFile {
    mutating func checkContent(_ outline: RuleOutline) {
        let file = LuaAssignments(tree, outline)
        for message in messages(of: outline) {
            let reader = ContentReader(message: message, file: file)
            var found: [Int] = []
            var walker = LintWalker()
            walker.expression = { one, _ in
                guard let (name, _, suffixes) = one.ofGlobal, name == "log" || name == "print" else { return }
                for case .call(let arguments) in suffixes.map(\.kind) { found += arguments.flatMap(reader.contents) }
            }
            walker.walk(tree.body)
            for offset in found {
                find(.warning, .payload, offset, "a payload goes to the log", help: "log what it is about: its topic, its length")
            }
        }
        checkGrowth(outline, file)
    }

    /// The variables that hold a message: of hooks, and of functions that are given messages alone.
    private func messages(of outline: RuleOutline) -> [LuaVariable] {
        let calls = LintCalls(tree, outline)
        var known: Set<ObjectIdentifier> = []
        var found: [LuaVariable] = []
        for _ in 0..<4 {
            for variable in calls.settled("shunt.Message", known) where known.insert(ObjectIdentifier(variable)).inserted { found.append(variable) }
        }
        return found
    }

    /// `seen[msg.key] = true` with a table that nothing is ever taken out of.
    private mutating func checkGrowth(_ outline: RuleOutline, _ file: LuaAssignments) {
        let growth = TableGrowth(tree, outline, file)
        var chosen: [ObjectIdentifier: String] = [:]
        for hook in outline.hooks {
            guard let type = RuleVocabulary.hookParameters[hook.name]?.first, let parameter = hook.function?.parameters.first else { continue }
            chosen[ObjectIdentifier(parameter)] = type
        }
        // As many topics as match names.
        let hasFewTopics = outline.isMatchKnown && outline.filters?.allSatisfy { !$0.text.contains { $0 == "+" || $0 == "#" } } == true
        for one in growth.writes {
            guard let (root, path) = file.chain(of: one.key), Self.isChosen(path, by: chosen[ObjectIdentifier(root)]) else { continue }
            if hasFewTopics, path.count == 1, case .field("topic") = path[0].kind { continue }
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

/// Finds what of a value tells a message's payload.
private struct ContentReader {
    let message: LuaVariable
    let file: LuaAssignments

    /// Functions whose results tell what they are given: the value itself, another form of it, or a part. Others look something up, or count.
    private static let telling: Set<String> = [
        "tostring", "tonumber", "assert", "rawget", "string", "table", "math", "utf8", "json", "msgpack", "cbor", "base64", "re", "time", "log",
        "print",
    ]
    /// Of these, the functions whose results say little: a length, a type, yes or no.
    private static let hiding: Set<String> = [
        "math.type", "re.test", "string.byte", "string.find", "string.len", "string.packsize", "table.remove", "utf8.len",
    ]
    private static let hidingMethods: Set<String> = ["len", "find", "byte"]

    /// Where they stand in it.
    func contents(of value: LuaExpression) -> [Int] {
        if isContent(value) { return [value.offset] }
        switch value.kind {
        case .parenthesis(let inner): return contents(of: inner)
        case .table(let fields):
            return fields.flatMap { field in
                if case .value(let key) = field.key { contents(of: key) + contents(of: field.value) } else { contents(of: field.value) }
            }
        case .operations(let first, let rest):
            var found = contents(of: first)
            for one in rest {
                switch one.sign {
                case "==", "~=", "<", ">", "<=", ">=": found = []
                // What stands left of it is false, where it is the result.
                case "and": found = contents(of: one.right)
                default: found += contents(of: one.right)
                }
            }
            return found
        case .suffixed(let base, let suffixes): return contents(of: value, base, suffixes)
        default: return []
        }
    }

    private func contents(of value: LuaExpression, _ base: LuaExpression, _ suffixes: [LuaSuffix]) -> [Int] {
        if case .name = base.kind {
            guard let (name, _, suffixes) = value.ofGlobal else { return [] }
            var path = name
            for suffix in suffixes {
                switch suffix.kind {
                case .field(let field): path += "." + field
                case .call(let arguments): return Self.telling.contains(name) && !Self.hiding.contains(path) ? arguments.flatMap(contents) : []
                case .index, .method: return []
                }
            }
            return []
        }
        var found = contents(of: base)
        for suffix in suffixes {
            guard case .method(let name, let arguments) = suffix.kind else { continue }
            if Self.hidingMethods.contains(name) { return [] }
            if name == "format" { found += arguments.flatMap(contents) }
        }
        return found
    }

    /// Whether it is `msg.payload`, or what `msg:json()` gives, or a field of that; also through a local that holds all of it.
    private func isContent(_ value: LuaExpression) -> Bool {
        guard let (root, path) = file.chain(of: value), root === message else { return false }
        for case .method(let name, _) in path.map(\.kind) where Self.hidingMethods.contains(name) { return false }
        switch path.first?.kind {
        case .field("payload"): return path.count == 1
        case .method("json", _), .method("msgpack", _), .method("cbor", _):
            if case .suffixed(let base, _) = value.kind, case .name(let name) = base.kind, name.variable === message { return true }
            return path.count == 1
        default: return false
        }
    }
}
