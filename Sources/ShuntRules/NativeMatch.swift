import CLuaHost
import ShuntCore

/// A rule's `match`, ready to be tested without entering Lua.
struct NativeMatch {
    /// The rule's place in the order of priority.
    let rule: Int
    private let kinds: UInt8
    /// Topic filters as bytes, for topics and chat ids; nil takes all.
    private let filters: [[CChar]]?

    init(rule: Int, _ match: RuleDefinition.Match) {
        self.rule = rule
        kinds = match.kinds.reduce(0) { $0 | 1 << $1.rawValue }
        filters = match.filters?.map { $0.utf8.map(CChar.init(bitPattern:)) }
    }

    func takes(_ kind: MessageKind, _ topic: Bytes) -> Bool {
        guard kinds & 1 << kind.rawValue != 0 else { return false }
        // A broadcast has no topic.
        guard let filters, kind != .broadcast else { return true }
        let text = topic.assumingMemoryBound(to: CChar.self)
        for filter in filters {
            let takes = filter.withUnsafeBufferPointer { shunt_topic_matches($0.baseAddress, $0.count, text.baseAddress, text.count) }
            if takes { return true }
        }
        return false
    }
}
