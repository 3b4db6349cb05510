import ShuntCore
import ShuntRules

extension JSONTree {
    /// An object of the members that are there.
    static func members(_ members: KeyValuePairs<String, JSONTree?>) -> JSONTree {
        .object(members.compactMap { name, value in value.map { Member(name: name, value: $0) } })
    }

    /// In one line that cannot steer a terminal.
    public var safeText: String { PrintableText.json(text) }
}

extension RehearsalResult {
    /// For programs.
    public var tree: JSONTree {
        .members([
            "message": message.tree, "uid": sender.uid.isEmpty ? nil : .string(sender.uid),
            "outcome": .string(outcome), "why": why.isEmpty ? nil : .string(why), "failed": .bool(hasFailed),
            "steps": .array(steps.map(\.tree)), "not_asked": .array(unmatched.map(JSONTree.string)),
            "out": .array(out.map(\.tree)),
            "hops_exceeded": exceedsHops ? .bool(true) : nil,
            "recipients": recipients.map { .array($0.map(\.tree)) },
            "answer": answer.map { .members(["status": .number("\($0.status)"), "text": .string($0.text)]) },
        ])
    }
}

extension RehearsalResult.Recipient {
    var tree: JSONTree {
        .members([
            "uid": .string(uid), "device": device.map(JSONTree.string), "group": group.map(JSONTree.string),
            "topic": topic.map(JSONTree.string), "payload": .string(payload),
        ])
    }
}

extension RuleStep {
    var tree: JSONTree {
        .members([
            "rule": .string(rule), "hook": .string(hook), "recipient": recipient.map(JSONTree.string), "saw": before.tree,
            "decision": .string(decision), "trial": mode == .live ? nil : .string(mode.name), "applied": mode == .live ? nil : .bool(isApplied),
            "on_error": onError.map(JSONTree.string), "why": why.isEmpty ? nil : .string(why),
            "always": isAlways ? .bool(true) : nil, "standing": isStanding ? .bool(true) : nil,
            "changes": replacement.map { .array(MessageChange.all(from: before, to: $0).map(\.tree)) },
            "sent": .array(sent.map(\.tree)), "nanoseconds": .number("\(nanoseconds)"), "bytes": .number("\(bytes)"),
            "allocations": .number("\(allocations)"), "error": error.map { .string($0.placed) }, "log": .array(lines.map(\.tree)),
            "closed": closed.map(JSONTree.string),
        ])
    }
}

extension MessageChange {
    var tree: JSONTree { .members(["field": .string(field), "before": before, "after": after]) }
}

extension RuleLogEntry {
    var tree: JSONTree {
        .members([
            "level": .string("\(level)"), "text": .string(text), "fields": fields.isEmpty ? nil : JSONTree(Array(fields.utf8)) ?? .string(fields),
        ])
    }
}
