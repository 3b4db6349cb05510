import LuaSyntax

/// What is sent, and what is asked: messages that go nowhere, arguments in the wrong order.
extension ShapeChecks {
    /// By function, where what it sends stands among its arguments, and the verdicts that it takes.
    private static let senders: [String: (place: Int, verdicts: Set<String>)] = [
        "ctx:emit": (0, ["to", "push", "chat", "delay", "fanout"]), "route.fanout": (0, ["to", "push", "chat", "delay"]),
        "route.delay": (1, ["to", "push", "chat"]),
    ]

    /// What `ctx:emit`, `route.fanout` and `route.delay` are given to send.
    mutating func checkSent(_ arguments: [LuaExpression], _ what: String) {
        guard let (place, verdicts) = Self.senders[what], place < arguments.count else { return }
        var sent = [arguments[place]]
        if what == "route.fanout" {
            guard case .table(let fields) = arguments[place].kind else { return }
            sent = fields.map(\.value)
        }
        for value in sent {
            if let verdict = RuleEffects.verdict(value)?.name, verdict != "message", RuleVocabulary.verdicts.contains(verdict),
                !verdicts.contains(verdict)
            {
                let help = "msg, msg:with{…}, " + verdicts.sorted().map { "route.\($0)" }.joined(separator: ", ")
                file.find(.error, .arguments, value.offset, "\(what) is given route.\(verdict), which it can't send", help: help)
            }
            checkTopic(of: value)
        }
    }

    /// A message that is made of none goes to a topic that it names, or that a verdict around it names.
    mutating func checkTopic(of value: LuaExpression) {
        guard let verdict = RuleEffects.verdict(value), verdict.name == "message", case .table(let fields)? = verdict.arguments.first?.kind else {
            return
        }
        let names = fields.map { if case .name(let name) = $0.key { name } else { "topic" } }
        guard !names.contains("topic") else { return }
        file.find(
            .error, .arguments, value.offset, "route.message{} is given no topic to go to",
            help: "topic = \"…\", or route.to, route.push or route.chat around it")
    }

    /// A text that is written out where a message's is asked for, and the message's where the pattern belongs.
    /// - Parameter isSwapped: whether the text alone tells.
    mutating func checkOrder(_ arguments: [LuaExpression], _ form: String, isSwapped: (String) -> Bool) {
        guard arguments.count > 1, case .text(let first) = arguments[0].kind, LiteralChecks.Literal(arguments[1]) == nil else { return }
        guard isSwapped(first) || isOfMessage(arguments[1]) else { return }
        file.find(.error, .arguments, arguments[0].offset, "the text and what it is held against are swapped", help: form)
    }

    /// Whether it is a text of a message, such as `msg.payload`.
    private func isOfMessage(_ value: LuaExpression) -> Bool {
        guard case .suffixed(let base, let suffixes) = value.kind, case .field(let name)? = suffixes.last?.kind,
            type(of: base, suffixes.dropLast()) == "shunt.Message"
        else { return false }
        return ["payload", "topic", "key"].contains(name)
    }
}
