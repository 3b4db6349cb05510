import LuaSyntax
import ShuntCore

/// Names: globals, what nobody reads, what hides another, what is never reached.
extension LintFile {
    /// - Parameters:
    ///   - meant: the globals that the plugin's files set outside of functions.
    ///   - hasSettings: whether the rule says what its settings are, or may do so.
    mutating func checkNames(meant: Set<String>, hasSettings: Bool, told: inout Set<String>) {
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
        checkGlobals(reads: reads, writes: writes, meant: meant, hasSettings: hasSettings, told: &told)
        for offset in empties { find(.warning, .empty, offset, "nothing is done here", help: "a condition that does nothing can go") }
        for offset in after { find(.warning, .unreachable, offset, "this is never reached") }
        checkVariables()
        checkParameters(of: signatures)
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

extension LuaStatement {
    /// What follows is not reached: it returns, calls `error`, or has no end.
    var alwaysReturns: Bool {
        switch kind {
        case .returned: true
        case .block(let block): block.alwaysReturns
        case .loop(let condition, let block): condition.isConstant(true) && !block.leavesLoop
        case .repeated(let block, let condition): condition.isConstant(false) && !block.leavesLoop
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

    /// Whether what follows a loop with this body may be reached other than by its condition.
    fileprivate var leavesLoop: Bool {
        statements.contains { one in
            switch one.kind {
            case .broken, .jump: true
            case .block(let block): block.leavesLoop
            case .choice(let cases, let otherwise, _): cases.contains { $0.block.leavesLoop } || otherwise?.leavesLoop == true
            case .loop(_, let block), .repeated(let block, _), .numeric(_, _, let block), .generic(_, _, let block): block.jumps
            default: false
            }
        }
    }

    private var jumps: Bool {
        var found = false
        var walker = LintWalker()
        walker.statement = { one, depth in if depth == 0, case .jump = one.kind { found = true } }
        walker.walk(self)
        return found
    }
}

extension LuaExpression {
    fileprivate func isConstant(_ isTrue: Bool) -> Bool {
        switch kind {
        case .boolean(isTrue): true
        case .parenthesis(let inner): inner.isConstant(isTrue)
        default: false
        }
    }
}
