import ShuntCore
import ShuntRules

/// Where two versions of rules differ over the same messages.
public struct RehearsalComparison: Sendable {
    /// A message about which they differ.
    struct Example: Sendable {
        let number: Int
        let message: ObservedMessage
        let changes: [MessageChange]
    }

    public private(set) var messages = 0
    public private(set) var differing = 0
    /// By what became of the message before and now.
    private(set) var kinds: [String: Int] = [:]
    private(set) var examples: [Example] = []
    private let mostExamples: Int

    /// - Parameter examples: how many are kept.
    public init(examples: Int) { mostExamples = examples }

    public mutating func add(_ before: RehearsalResult, _ after: RehearsalResult) {
        messages += 1
        let changes = Self.changes(before, after)
        guard !changes.isEmpty else { return }
        differing += 1
        let isSame = before.outcome == after.outcome
        kinds[isSame ? "\(after.outcome), with other values" : "\(before.outcome) → \(after.outcome)", default: 0] += 1
        if examples.count < mostExamples { examples.append(Example(number: messages, message: after.message, changes: changes)) }
    }

    private static func changes(_ before: RehearsalResult, _ after: RehearsalResult) -> [MessageChange] {
        var changes: [MessageChange] = []
        func add(_ field: String, _ old: String?, _ new: String?) {
            if old != new { changes.append(.init(field: field, before: old.map(JSONTree.string), after: new.map(JSONTree.string))) }
        }
        add("outcome", before.outcome, after.outcome)
        add("why", before.why.isEmpty ? nil : before.why, after.why.isEmpty ? nil : after.why)
        add("error", before.steps.compactMap(\.error?.text).first.map(placeless), after.steps.compactMap(\.error?.text).first.map(placeless))
        for index in 0..<max(before.out.count, after.out.count) {
            let name = "out[\(index + 1)]"
            switch (index < before.out.count ? before.out[index] : nil, index < after.out.count ? after.out[index] : nil) {
            case (let old?, let new?):
                changes += MessageChange.all(from: old, to: new).map { .init(field: "\(name).\($0.field)", before: $0.before, after: $0.after) }
            case (let old, let new): changes.append(.init(field: name, before: old?.tree, after: new?.tree))
            }
        }
        add("answer", before.answer.map { "\($0.status) \($0.text)" }, after.answer.map { "\($0.status) \($0.text)" })
        if before.recipients != after.recipients {
            let (old, new) = (before.recipients ?? [], after.recipients ?? [])
            func named(_ all: [RehearsalResult.Recipient]) -> JSONTree { .array(all.map { .string("\($0.uid) \($0.topic ?? "")") }) }
            changes += MessageChange.differences("recipients", named(old), named(new))
        }
        return changes
    }

    /// An error without its place: the files have other lines, perhaps another folder.
    private static func placeless(_ error: String) -> String {
        let words = error.split(separator: " ", omittingEmptySubsequences: false)
        return words.filter { !($0.hasSuffix(":") && $0.contains(".lua:")) }.joined(separator: " ")
    }

    public func text(_ style: ReportStyle) -> String {
        guard differing > 0 else { return "no difference over \(messages) \(messages == 1 ? "message" : "messages")" }
        var lines = [style.bold("\(differing) of \(messages) \(messages == 1 ? "message" : "messages") differ")]
        let sorted = kinds.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        lines += ReportStyle.table(sorted.map { ["     \($0.value)", $0.key] }, numbersFrom: 2)
        for example in examples {
            lines += ["", "message \(example.number): \(RehearsalResult.line(example.message))"]
            for change in example.changes.prefix(20) { lines.append("     " + change.text(style)) }
            if example.changes.count > 20 { lines.append("     and \(example.changes.count - 20) more") }
        }
        if differing > examples.count { lines += ["", "and \(differing - examples.count) more; --examples tells more of them"] }
        return lines.joined(separator: "\n")
    }

    public var tree: JSONTree {
        .members([
            "messages": .number("\(messages)"), "differing": .number("\(differing)"),
            "kinds": .object(kinds.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: .number("\($0.value)")) }),
            "examples": .array(
                examples.map { example in
                    .members([
                        "number": .number("\(example.number)"), "message": example.message.tree,
                        "changes": .array(example.changes.map(\.tree)),
                    ])
                }),
        ])
    }
}
