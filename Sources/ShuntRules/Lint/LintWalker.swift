import LuaSyntax

/// Calls for each statement and each expression of a file, from the outside to the inside.
///
/// It goes as deep as the parser allows, and no deeper.
struct LintWalker {
    /// With how many functions stand around it.
    var statement: (LuaStatement, Int) -> Void = { _, _ in }
    var expression: (LuaExpression, Int) -> Void = { _, _ in }
    /// Whether it goes into an expression that it has called for.
    var enters: (LuaExpression) -> Bool = { _ in true }
    var block: (LuaBlock) -> Void = { _ in }

    func walk(_ block: LuaBlock, depth: Int = 0) {
        self.block(block)
        for one in block.statements { walk(one, depth) }
    }

    func walk(_ one: LuaStatement, _ depth: Int) {
        statement(one, depth)
        switch one.kind {
        case .local(_, let values), .returned(let values): values.forEach { walk($0, depth) }
        case .localFunction(_, let function): walk(function.body, depth: depth + 1)
        case .function(let target, let function, _):
            walk(target, depth)
            walk(function.body, depth: depth + 1)
        case .assignment(let targets, let values): (targets + values).forEach { walk($0, depth) }
        case .call(let call): walk(call, depth)
        case .block(let block): walk(block, depth: depth)
        case .loop(let condition, let block), .repeated(let block, let condition):
            walk(condition, depth)
            walk(block, depth: depth)
        case .choice(let cases, let otherwise, _):
            for one in cases {
                walk(one.condition, depth)
                walk(one.block, depth: depth)
            }
            if let otherwise { walk(otherwise, depth: depth) }
        case .numeric(_, let values, let block), .generic(_, let values, let block):
            values.forEach { walk($0, depth) }
            walk(block, depth: depth)
        case .broken, .jump, .label: break
        }
    }

    func walk(_ one: LuaExpression, _ depth: Int) {
        expression(one, depth)
        guard enters(one) else { return }
        switch one.kind {
        case .function(let function): walk(function.body, depth: depth + 1)
        case .suffixed(let base, let suffixes):
            walk(base, depth)
            for suffix in suffixes {
                switch suffix.kind {
                case .field: break
                case .index(let key): walk(key, depth)
                case .call(let values), .method(_, let values): values.forEach { walk($0, depth) }
                }
            }
        case .parenthesis(let inner), .unary(_, let inner): walk(inner, depth)
        case .table(let fields):
            for field in fields {
                if case .value(let key) = field.key { walk(key, depth) }
                walk(field.value, depth)
            }
        case .operations(let first, let rest):
            walk(first, depth)
            rest.forEach { walk($0.right, depth) }
        case .null, .boolean, .number, .text, .bytes, .varargs, .name: break
        }
    }
}
