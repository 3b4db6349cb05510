import LuaSyntax
import ShuntCore

/// Globals that nothing sets, or that only a function sets.
extension LintFile {
    mutating func checkGlobals(reads: [LuaName], writes: [LuaName], meant: Set<String>, hasSettings: Bool, told: inout Set<String>) {
        // Under an environment of its own, a name is what that says.
        guard !tree.hasOwnEnvironment else { return }
        for write in writes where !meant.contains(write.text) && !isTest && told.insert(write.text).inserted {
            find(
                .warning, .global, write.offset, "a function sets the global \(write.text), which keeps its value for the next message",
                help: "local, or set at the top of the file where that is meant")
        }
        let known = RuleVocabulary.globals.union(meant).union(writes.map(\.text)).union(told)
        let late = hasSettings && !isTest ? namesInHooks() : []
        let given = givenNames()
        var locals: [String: [LuaVariable]] = [:]
        for variable in tree.variables { locals[variable.name, default: []].append(variable) }
        for read in reads where !known.contains(read.text) {
            let isWord = hasSettings && !isTest && RuleVocabulary.settingWords.contains(read.text)
            if isWord, !late.contains(read.offset) { continue }
            if RuleVocabulary.absent.contains(read.text) {
                find(.error, .global, read.offset, "rules have no \(read.text)", help: "what rules have is in docs/rules.md, Library")
                continue
            }
            let gone = isWord ? "the type \(read.text) is there while the rule loads, and not in hooks" : nil
            if let help = given[read.offset] ?? hint(read, hasSettings, locals[read.text] ?? []) ?? gone {
                find(.error, .global, read.offset, "nothing sets the global \(read.text)", help: help)
                continue
            }
            let words = hasSettings && !isTest ? RuleVocabulary.settingWords : []
            let seen = known.union(tree.variables.map(\.name)).union(words).subtracting([read.text])
            find(
                .error, .global, read.offset, "nothing sets the global \(read.text)",
                help: Suggestion.closest(to: read.text, in: seen.sorted()).map { "did you mean \($0)?" }
                    ?? "a local must be declared before it is used")
        }
    }

    /// In hooks, the globals that have the name of what the hook is given, by their offset, with what to write.
    private func givenNames() -> [Int: String] {
        var found: [Int: String] = [:]
        for hook in RuleOutline(tree).hooks where !isTest {
            guard let function = hook.function, let names = RuleVocabulary.hookParameterNames[hook.name] else { continue }
            var walker = LintWalker()
            walker.expression = { one, _ in
                guard case .name(let name) = one.kind, name.variable == nil, names.contains(name.text) else { return }
                found[name.offset] = "\(hook.name) is given it: function(\(names.joined(separator: ", ")))"
            }
            walker.walk(function.body)
        }
        return found
    }

    /// Where names stand that are read in hooks alone, and not while the rule loads: in hooks, and in the functions that only these use.
    private func namesInHooks() -> Set<Int> {
        let functions = tree.localFunctions
        // By function, how many of its uses may be outside of hooks.
        var unseen = functions.mapValues(\.variable.reads)
        var waiting: [LuaFunction] = []
        func use(_ variable: LuaVariable) {
            let id = ObjectIdentifier(variable)
            guard let local = functions[id], let count = unseen[id] else { return }
            unseen[id] = count - 1
            if count == 1 { waiting.append(local.function) }
        }
        for hook in RuleOutline(tree).hooks {
            if let variable = hook.variable { use(variable) } else if let function = hook.function { waiting.append(function) }
        }
        var late: Set<Int> = []
        while let function = waiting.popLast() {
            var walker = LintWalker()
            walker.expression = { one, _ in
                guard case .name(let name) = one.kind, late.insert(name.offset).inserted, let variable = name.variable else { return }
                use(variable)
            }
            walker.walk(function.body)
        }
        return late
    }

    /// Words of other languages, and variables that stand elsewhere.
    /// - Parameter locals: of the same name.
    private func hint(_ read: LuaName, _ hasSettings: Bool, _ locals: [LuaVariable]) -> String? {
        switch read.text {
        case "null", "None", "undefined", "NULL", "Nil", "NIL", "none": return "nil is Lua's word; in JSON it is json.null"
        case "True", "TRUE": return "true"
        case "False", "FALSE": return "false"
        case "continue": return "goto continue, with ::continue:: before the loop's end"
        case "try", "catch", "except": return "pcall(f, …) calls a function, and says whether it has failed"
        case "throw", "raise": return "error(text) raises an error"
        default: break
        }
        if hasSettings, let word = SettingTypeReader.others[read.text] { return "did you mean \(word)?" }
        guard let other = locals.last(where: { $0.offset < read.offset }) ?? locals.first else { return nil }
        let line = tree.source.place(other.offset).line
        return other.offset > read.offset
            ? "the local \(read.text) is declared further down, in line \(line)" : "the \(read.text) of line \(line) is not seen here: pass it on"
    }
}

extension LuaTree {
    /// Whether names that are no locals may be found elsewhere than among the globals.
    fileprivate var hasOwnEnvironment: Bool {
        var found = variables.contains { $0.name == "_ENV" }
        var walker = LintWalker()
        walker.statement = { one, _ in
            guard case .assignment(let targets, _) = one.kind else { return }
            found = found || targets.contains { if case .name(let name) = $0.kind { name.text == "_ENV" } else { false } }
        }
        walker.expression = { one, _ in
            // Its metatable may make globals up.
            guard let (name, _, suffixes) = one.ofGlobal, name == "setmetatable", case .call(let arguments)? = suffixes.first?.kind,
                let table = arguments.first?.ofGlobal
            else { return }
            found = found || ["_G", "_ENV"].contains(table.name) && table.suffixes.isEmpty
        }
        walker.walk(body)
        return found
    }
}

extension LuaExpression {
    /// The global that it is, as the target of an assignment: `count`, `_G.count`, `_ENV.count`.
    var globalTarget: LuaName? {
        switch kind {
        case .name(let name): return name.variable == nil ? name : nil
        case .suffixed(let base, let suffixes):
            guard case .name(let name) = base.kind, name.global == "_G" || name.global == "_ENV", suffixes.count == 1,
                case .field(let field) = suffixes[0].kind
            else {
                return nil
            }
            return LuaName(text: field, offset: suffixes[0].offset, variable: nil)
        default: return nil
        }
    }
}
