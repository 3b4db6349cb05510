import LuaSyntax
import ShuntCore

/// One file of a plugin under the checks, with what they found.
struct LintFile {
    let path: String
    let tree: LuaTree
    /// A test's functions are given `t`.
    let isTest: Bool
    private(set) var findings: [(offset: Int, finding: RuleFinding)] = []

    init(path: String, tree: LuaTree, isTest: Bool) { (self.path, self.tree, self.isTest) = (path, tree, isTest) }

    func location(_ offset: Int) -> String {
        let place = tree.source.place(offset)
        return "\(path):\(place.line):\(place.column)"
    }

    mutating func find(_ severity: RuleFinding.Severity, _ kind: RuleFinding.Kind, _ offset: Int, _ message: String, help: String? = nil) {
        // A function that is two hooks is looked at twice.
        guard findings.count > 1000 || !findings.contains(where: { $0.offset == offset && $0.finding.message == message }) else { return }
        findings.append(
            (offset, RuleFinding(severity: severity, kind: kind, location: location(offset), message: message, help: help)))
    }

    /// Keys that are given a value twice.
    mutating func checkKeys(_ outline: RuleOutline) {
        for key in RepeatedKey.all(in: tree, outline, isTest: isTest) {
            let name = PrintableText.of(key.name.shown)
            let what = !key.isServed ? "the key \(name)" : isTest ? "a test named \"\(name)\"" : "the hook \(name)"
            find(
                key.isServed ? .error : .warning, .duplicate, key.offset, "\(what) stands here a second time: the first one is lost",
                help: "the first: \(location(key.first))")
        }
    }

    /// In their order, without warnings that the file silences.
    func told() -> [RuleFinding] {
        var silenced: [Int: Set<String>] = [:]
        for note in tree.notes {
            let words = note.text.split { $0 == " " || $0 == "," }.map(String.init)
            if words.first == "ignore" { silenced[tree.source.place(note.offset).line] = Set(words.dropFirst()) }
        }
        return findings.sorted { $0.offset < $1.offset }.map { ($0.offset, $0.finding) }.filter { offset, finding in
            guard finding.severity == .warning, let kinds = silenced[tree.source.place(offset).line] else { return true }
            return !kinds.isEmpty && !kinds.contains(finding.kind.rawValue)
        }.map(\.1)
    }

    static func meant(_ name: String, in names: some Sequence<String>) -> String {
        let names = names.sorted()
        return Suggestion.closest(to: name, in: names).map { "did you mean \($0)?" } ?? "there is " + names.joined(separator: ", ")
    }
}
