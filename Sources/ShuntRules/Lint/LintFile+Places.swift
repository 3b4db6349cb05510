import LuaSyntax
import ShuntCore

/// Where things stand, and which files are there.
extension LintFile {
    /// Where a line sets a key that a message names, the innermost one; else where the line begins.
    func offset(ofKeyIn message: String, line: Int) -> Int {
        let words = Set(message.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }.map(String.init))
        var keys: [(name: String, offset: Int)] = []
        var calls: [Int] = []
        var walker = LintWalker()
        walker.expression = { one, _ in
            // As in `counter: a name has letters`.
            if let (name, offset, _) = one.ofGlobal, message.hasPrefix("\(name):") || message.hasPrefix("\(name).") { calls.append(offset) }
            guard case .table(let fields) = one.kind else { return }
            for field in fields {
                switch field.key {
                case .name(let name): keys.append((name, field.offset))
                case .value(let key): if case .text(let name) = key.kind { keys.append((name, field.offset)) }
                case .position: break
                }
            }
        }
        walker.statement = { one, _ in
            for case .suffixed(_, let suffixes) in one.targets.map(\.kind) {
                if let last = suffixes.last, case .field(let name) = last.kind { keys.append((name, last.offset)) }
            }
        }
        walker.walk(tree.body)
        let named = keys.last { words.contains($0.name) && tree.source.place($0.offset).line == line }
        let called = calls.first { tree.source.place($0).line == line }
        return named?.offset ?? called ?? tree.source.start(ofLine: line)
    }

    /// `require "x"` of a file that the plugin does not have: where it stands in a function, nobody would know until that is called.
    mutating func checkRequires(_ paths: Set<String>) {
        var found: [(offset: Int, name: String)] = []
        var walker = LintWalker()
        // A pcall may be there to find out.
        walker.enters = { one in
            guard case .suffixed(let base, _) = one.kind, case .name(let name) = base.kind, name.variable == nil else { return true }
            return name.text != "pcall" && name.text != "xpcall"
        }
        walker.expression = { one, _ in
            guard case .suffixed(let base, let suffixes) = one.kind, case .name(let name) = base.kind, name.global == "require",
                case .call(let arguments)? = suffixes.first?.kind, case .text(let module)? = arguments.first?.kind
            else { return }
            found.append((arguments[0].offset, module))
        }
        walker.walk(tree.body)
        for (offset, name) in found where !paths.contains(name.replacing(".", with: "/") + ".lua") {
            let names = paths.filter { $0 != "rule.lua" }.map { String($0.dropLast(".lua".utf8.count)) }.sorted()
            // `./sub/a.lua` is a path elsewhere; here it is `sub/a`.
            let levels = (name.hasSuffix(".lua") ? name.dropLast(".lua".utf8.count) : name[...]).split { $0 == "." || $0 == "/" }
            let plain = levels.joined(separator: "/")
            let near = (names.contains(plain) ? plain : Suggestion.closest(to: plain, in: names)).map { "did you mean \($0)? " } ?? ""
            find(
                .error, .library, offset, "the plugin has no module \"\(PrintableText.of(name))\"",
                help: near
                    + (names.isEmpty ? "require finds the plugin's own files, by their path without .lua" : "it has " + names.joined(separator: ", "))
            )
        }
    }
}
