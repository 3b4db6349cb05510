/// The variables that are seen where the parser stands, with labels and jumps.
struct LuaScopes {
    enum Use { case read, write }

    private struct Jump {
        var offset: Int
        /// How many variables it sees.
        var seen: Int
    }

    private struct Block {
        var isLoop: Bool
        /// How many variables of the function were seen where it began.
        var first: Int
        var labels: [String: Int] = [:]
        var jumps: [String: [Jump]] = [:]
    }

    private struct Function {
        var isVararg: Bool
        var blocks: [Block] = []
        /// nil: one of a loop's own.
        var active: [LuaVariable?] = []
    }

    private(set) var variables: [LuaVariable] = []
    private var functions: [Function] = []
    private var byName: [String: [LuaVariable]] = [:]

    private static let most = 200

    var isVararg: Bool { functions.last?.isVararg ?? false }
    var isInLoop: Bool { functions.last?.blocks.contains(where: \.isLoop) ?? false }

    mutating func setVararg(_ isVararg: Bool) { functions[functions.count - 1].isVararg = isVararg }

    mutating func enterFunction(isVararg: Bool) {
        functions.append(Function(isVararg: isVararg))
        enterBlock(isLoop: false)
    }

    mutating func leaveFunction() throws(LuaSyntaxError) {
        try leaveBlock()
        functions.removeLast()
    }

    mutating func enterBlock(isLoop: Bool) {
        let last = functions.count - 1
        functions[last].blocks.append(Block(isLoop: isLoop, first: functions[last].active.count))
    }

    mutating func leaveBlock() throws(LuaSyntaxError) {
        let last = functions.count - 1
        let block = functions[last].blocks.removeLast()
        for variable in functions[last].active[block.first...] {
            if let variable { byName[variable.name]?.removeLast() }
        }
        functions[last].active.removeSubrange(block.first...)
        guard let outer = functions[last].blocks.indices.last else {
            if let (name, jumps) = block.jumps.min(by: { $0.value[0].offset < $1.value[0].offset }) {
                throw LuaSyntaxError("goto finds no label '\(name)'", at: jumps[0].offset)
            }
            return
        }
        for (name, jumps) in block.jumps {
            functions[last].blocks[outer].jumps[name, default: []] += jumps.map { Jump(offset: $0.offset, seen: min($0.seen, block.first)) }
        }
    }

    // MARK: variables

    mutating func make(_ name: String, _ offset: Int, _ kind: LuaVariable.Kind, attribute: String? = nil) -> LuaVariable {
        LuaVariable(name, offset, kind, shadowed: byName[name]?.last, depth: functions.count, attribute: attribute)
    }

    /// From here on it is seen.
    mutating func add(_ variable: LuaVariable) throws(LuaSyntaxError) {
        let last = functions.count - 1
        functions[last].active.append(variable)
        guard functions[last].active.count <= Self.most else {
            throw LuaSyntaxError("a function has more than \(Self.most) local variables", at: variable.offset)
        }
        byName[variable.name, default: []].append(variable)
        variables.append(variable)
    }

    /// Variables of a loop's own.
    mutating func hide(_ count: Int, at offset: Int) throws(LuaSyntaxError) {
        let last = functions.count - 1
        functions[last].active += [LuaVariable?](repeating: nil, count: count - 1)
        guard functions[last].active.count <= Self.most else {
            throw LuaSyntaxError("a function has more than \(Self.most) local variables", at: offset)
        }
    }

    func use(_ name: String, at offset: Int, as use: Use) -> LuaName {
        guard let variable = byName[name]?.last else { return LuaName(text: name, offset: offset, variable: nil) }
        if use == .read { variable.reads += 1 }
        if variable.depth != functions.count { variable.isCaptured = true }
        return LuaName(text: name, offset: offset, variable: variable)
    }

    func assign(_ name: LuaName) throws(LuaSyntaxError) {
        guard let variable = name.variable else { return }
        guard !variable.isConstant else { throw LuaSyntaxError("'\(name.text)' is constant", at: name.offset) }
        variable.writes.append(name.offset)
    }

    /// What was taken for a read is an assignment.
    func unread(_ name: LuaName) { name.variable?.reads -= 1 }

    // MARK: labels

    mutating func jump(_ name: String, at offset: Int) {
        let last = functions.count - 1
        guard !functions[last].blocks.contains(where: { $0.labels[name] != nil }) else { return }
        let block = functions[last].blocks.count - 1
        functions[last].blocks[block].jumps[name, default: []].append(Jump(offset: offset, seen: functions[last].active.count))
    }

    mutating func label(_ name: String, at offset: Int, isLast: Bool) throws(LuaSyntaxError) {
        let last = functions.count - 1
        let block = functions[last].blocks.count - 1
        guard !functions[last].blocks.contains(where: { $0.labels[name] != nil }) else {
            throw LuaSyntaxError("the label '\(name)' stands here a second time", at: offset)
        }
        let seen = isLast ? functions[last].blocks[block].first : functions[last].active.count
        functions[last].blocks[block].labels[name] = seen
        let jumps = functions[last].blocks[block].jumps.removeValue(forKey: name) ?? []
        for jump in jumps where jump.seen < seen {
            throw LuaSyntaxError("goto '\(name)' jumps into the scope of a local variable", at: jump.offset)
        }
    }
}
