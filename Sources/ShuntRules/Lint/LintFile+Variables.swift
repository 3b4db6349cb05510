import LuaSyntax
import ShuntCore

/// Names: globals, what nobody reads, what hides another, what is never reached.
extension LintFile {
    /// - Parameter meant: the globals that the plugin's files set outside of functions.
    mutating func checkNames(meant: Set<String>, told: inout Set<String>) {
        var reads: [LuaName] = []
        var writes: [LuaName] = []
        var targets: Set<Int> = []
        var signatures: [LuaFunction] = []
        var empties: [Int] = []
        var after: [Int] = []
        func note(_ expression: LuaExpression) {
            if case .name(let name) = expression.kind, name.variable == nil, !targets.contains(name.offset) { reads.append(name) }
        }
        var walker = LintWalker()
        walker.statement = { statement, depth in
            switch statement.kind {
            case .assignment(let list, _):
                for name in list.compactMap(\.globalTarget) {
                    targets.insert(name.offset)
                    if depth > 0 { writes.append(name) }
                }
            case .function(let target, let function, _):
                if case .name(let name) = target.kind, name.variable == nil {
                    targets.insert(name.offset)
                    signatures.append(function)
                    if depth > 0 { writes.append(name) }
                }
            case .localFunction(_, let function): signatures.append(function)
            case .choice(let cases, let otherwise, let offset):
                empties += cases.filter { $0.block.statements.isEmpty }.map(\.offset)
                if otherwise?.statements.isEmpty == true { empties.append(offset) }
            default: break
            }
        }
        walker.expression = { expression, _ in note(expression) }
        walker.block = { block in
            for (index, one) in block.statements.dropLast().enumerated() {
                if case .label = block.statements[index + 1].kind { continue }
                switch one.kind {
                case .broken, .jump: after.append(block.statements[index + 1].offset)
                case _ where one.alwaysReturns: after.append(block.statements[index + 1].offset)
                default: continue
                }
                break
            }
        }
        walker.walk(tree.body)
        checkGlobals(reads: reads, writes: writes, meant: meant, told: &told)
        for offset in empties { find(.warning, .empty, offset, "nothing is done here", help: "a condition that does nothing can go") }
        for offset in after { find(.warning, .unreachable, offset, "this is never reached") }
        checkVariables()
        checkParameters(of: signatures)
    }

    private mutating func checkGlobals(reads: [LuaName], writes: [LuaName], meant: Set<String>, told: inout Set<String>) {
        for write in writes where !meant.contains(write.text) && !isTest && told.insert(write.text).inserted {
            find(
                .warning, .global, write.offset, "a function sets the global \(write.text), which keeps its value for the next message",
                help: "local, or set at the top of the file where that is meant")
        }
        var known = RuleVocabulary.globals.union(meant).union(writes.map(\.text)).union(told)
        let hasSettings = RuleOutline(tree).value("settings") != nil
        // They are there while the files load, which functions may do, too.
        if hasSettings { known.formUnion(RuleVocabulary.settingWords) }
        let given = givenNames()
        var locals: [String: [LuaVariable]] = [:]
        for variable in tree.variables { locals[variable.name, default: []].append(variable) }
        for read in reads where !known.contains(read.text) {
            if RuleVocabulary.absent.contains(read.text) {
                find(.error, .global, read.offset, "rules have no \(read.text)", help: "what rules have is in docs/rules.md, Library")
                continue
            }
            if let help = given[read.offset] ?? hint(read, hasSettings, locals[read.text] ?? []) {
                find(.error, .global, read.offset, "nothing sets the global \(read.text)", help: help)
                continue
            }
            let seen = known.union(tree.variables.map(\.name)).subtracting([read.text])
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

    /// Words of other languages, and variables that stand elsewhere.
    /// - Parameter locals: of the same name.
    private func hint(_ read: LuaName, _ hasSettings: Bool, _ locals: [LuaVariable]) -> String? {
        switch read.text {
        case "null", "None", "undefined", "NULL", "Nil", "NIL", "none": return "nil is Lua's word; in JSON it is json.null"
        case "True", "TRUE": return "true"
        case "False", "FALSE": return "false"
        case "continue": return "goto continue, with ::continue:: before the loop's end"
        default: break
        }
        if hasSettings, let word = SettingTypeReader.others[read.text] { return "did you mean \(word)?" }
        guard let other = locals.last(where: { $0.offset < read.offset }) ?? locals.first else { return nil }
        let line = tree.source.place(other.offset).line
        return other.offset > read.offset
            ? "the local \(read.text) is declared further down, in line \(line)" : "the \(read.text) of line \(line) is not seen here: pass it on"
    }

    private mutating func checkVariables() {
        for variable in tree.variables where !variable.name.hasPrefix("_") {
            let name = variable.name
            if let outer = variable.shadowed, variable.kind != .implicitSelf, !outer.name.hasPrefix("_"), outer.depth == variable.depth,
                outer.kind != .parameter || variable.kind == .loop
            {
                let place = tree.source.place(outer.offset)
                find(
                    .warning, .shadowed, variable.offset, "\(name) hides the \(name) of line \(place.line)",
                    help: "another name, or an assignment without local")
            }
            guard variable.reads == 0, !variable.isClosed else { continue }
            switch variable.kind {
            case .local where variable.writes.isEmpty: find(.warning, .unused, variable.offset, "the local \(name) is never used")
            case .local: find(.warning, .unused, variable.offset, "the local \(name) is given a value that nobody reads")
            case .function: find(.warning, .unused, variable.offset, "the function \(name) is never used")
            case .loop where isGenericLoop(variable):
                find(.warning, .unused, variable.offset, "the loop's \(name) is never used", help: "_ says that this is meant")
            case .loop, .parameter, .implicitSelf: break
            }
        }
    }

    /// A counting loop may be there for the number of its rounds.
    private func isGenericLoop(_ variable: LuaVariable) -> Bool {
        let bytes = tree.source.bytes
        var at = variable.offset + variable.name.utf8.count
        while at < bytes.count, bytes[at] == 32 { at += 1 }
        return at < bytes.count && bytes[at] != UInt8(ascii: "=")
    }

    /// Those after the last one that is used: others keep their place.
    private mutating func checkParameters(of functions: [LuaFunction]) {
        for function in functions {
            for parameter in function.parameters.reversed() {
                guard parameter.reads == 0, !parameter.name.hasPrefix("_") else { break }
                find(.warning, .unused, parameter.offset, "the parameter \(parameter.name) is never used", help: "_ says that this is meant")
            }
        }
    }
}

extension LuaExpression {
    /// The global that it is, as the target of an assignment: `count`, `_G.count`.
    var globalTarget: LuaName? {
        switch kind {
        case .name(let name): return name.variable == nil ? name : nil
        case .suffixed(let base, let suffixes):
            guard case .name(let name) = base.kind, name.global == "_G", suffixes.count == 1, case .field(let field) = suffixes[0].kind else {
                return nil
            }
            return LuaName(text: field, offset: suffixes[0].offset, variable: nil)
        default: return nil
        }
    }
}

extension LuaStatement {
    /// What follows is not reached: it returns, or calls `error`.
    var alwaysReturns: Bool {
        switch kind {
        case .returned: true
        case .block(let block): block.alwaysReturns
        case .choice(let cases, let otherwise?, _): otherwise.alwaysReturns && cases.allSatisfy(\.block.alwaysReturns)
        case .call(let call):
            if case .suffixed(let base, let suffixes) = call.kind, case .name(let name) = base.kind, name.variable == nil, name.text == "error" {
                suffixes.count == 1
            } else {
                false
            }
        default: false
        }
    }
}

extension LuaBlock {
    var alwaysReturns: Bool { statements.last?.alwaysReturns ?? false }
}
