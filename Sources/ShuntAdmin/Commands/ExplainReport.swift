import ShuntCore

/// What would become of a message, in words.
enum ExplainReport {
    typealias Worker = WorkerAnswersRecord<ExplainRecord>.Worker

    /// Workers that say the same are told together; times may differ.
    static func together(_ workers: [Worker]) -> [(workers: [String], answer: ExplainRecord)] {
        var groups: [(workers: [String], answer: ExplainRecord, key: ExplainRecord)] = []
        for worker in workers {
            guard let answer = worker.answer else { continue }
            var key = answer
            key.seconds = 0
            for place in key.rules.indices { key.rules[place].seconds = 0 }
            if let place = groups.firstIndex(where: { $0.key == key }) {
                groups[place].workers.append(worker.worker)
            } else {
                groups.append(([worker.worker], answer, key))
            }
        }
        return groups.map { ($0.workers, $0.answer) }
    }

    static func text(_ answer: ExplainRecord, topic: String, uid: String?, hasPayload: Bool = true, width: Int?) -> String {
        var fields: [(name: String, value: String)] = [("  result", result(answer, topic))]
        if let sender = answer.sender { fields.append(("  sender", sender)) }
        if !hasPayload, !answer.rules.isEmpty { fields.append(("  payload", "empty: --payload gives one, which rules may look at")) }
        let sender = uid ?? "a client that nothing names"
        for right in answer.rights {
            let name = "  rights on \(right.listener)"
            fields.append((name, "\(sender) \(right.mayPublish ? "may" : "MAY NOT") publish to \(topic): \(right.publishBy)"))
            fields.append(("", "\(sender) \(right.maySubscribe ? "may" : "MAY NOT") subscribe to \(topic): \(right.subscribeBy)"))
        }
        if answer.rights.isEmpty { fields.append(("  rights", "no list of rights: everybody may publish and subscribe everything")) }
        for rule in answer.rules { fields += self.fields(rule, topic) }
        if !answer.unmatched.isEmpty {
            fields.append(("  not asked", answer.unmatched.joined(separator: ", ") + ": match does not take the topic"))
        }
        for other in answer.others { fields.append(("  besides", other)) }
        for route in answer.routes { fields += self.fields(route) }
        return FieldList.text(fields, width: width)
    }

    private static func result(_ answer: ExplainRecord, _ topic: String) -> String {
        let routes = answer.routes.filter { $0.after == nil }
        let count = routes.reduce(0) { $0 + $1.recipients }
        let atMost = routes.contains { !$0.isExact } ? "at most " : ""
        let why = answer.why.isEmpty ? "" : ": \(answer.why)"
        let besides = count == 0 ? "" : "; what rules sent besides goes to \(atMost)\(count) \(count == 1 ? "recipient" : "recipients")"
        switch answer.outcome {
        case "delivered":
            if count == 0, !answer.others.isEmpty { return "only what rules send as broadcasts, into chats or later goes out" }
            let others = answer.others.isEmpty ? "" : ", and what rules send as broadcasts, into chats or later"
            return "delivered to \(atMost)\(count) \(count == 1 ? "recipient" : "recipients")\(others)"
        case "nobody": return "nobody gets it\(why)"
        case "dropped": return "dropped by \(why.isEmpty ? "a rule" : answer.why)\(besides)"
        case "rejected": return "rejected\(why)\(besides)"
        default: return "\(answer.outcome)\(why)"
        }
    }

    private static func fields(_ rule: ExplainRecord.Rule, _ topic: String) -> [(name: String, value: String)] {
        var text = rule.verdict
        if !rule.why.isEmpty { text += " (\(rule.why))" }
        if !rule.changes.isEmpty { text += "; changes \(rule.changes.joined(separator: ", "))" }
        if !rule.sends.isEmpty { text += "; sends to \(rule.sends.joined(separator: ", "))" }
        if rule.topic != topic { text += "; saw topic \(rule.topic)" }
        text += "; \(RuleListing.time(rule.seconds))"
        if let off = rule.offLoops { text += "; ITS BREAKER HAS SWITCHED IT OFF on \(off) \(off == 1 ? "loop" : "loops"): there on_error decides" }
        var fields = [(name: "  rule \(rule.rule)", value: text)]
        if let before = rule.before, let after = rule.after {
            fields.append(("", "before: \(before)"))
            fields.append(("", "after:  \(after)"))
        }
        return fields
    }

    private static func fields(_ route: ExplainRecord.Route) -> [(name: String, value: String)] {
        let after = route.after.map { ", \(seconds($0)) later" } ?? ""
        let by = route.by.map { " (sent there by rule \($0)\(after))" } ?? after
        guard route.refused == nil else { return [("  topic", "\(route.topic)\(by): does not go out: \(route.refused ?? "")")] }
        let count = "\(route.isExact ? "" : "at most ")\(route.recipients) \(route.recipients == 1 ? "recipient" : "recipients")"
        let then = route.after == nil ? "" : " as of now"
        var fields = [(name: "  topic", value: "\(route.topic)\(by): \(count)\(then)")]
        for filter in route.filters {
            fields.append(("  filter", "\(filter.filter): \(filter.subscriptions) \(filter.subscriptions == 1 ? "subscription" : "subscriptions")"))
        }
        for client in route.clients { fields.append(("  gets it", name(client))) }
        let plain = route.recipients - route.groups.count
        if !route.clients.isEmpty, plain > route.clients.count { fields.append(("", "and more: --limit names up to \(ExplainRequest.maximumLimit)")) }
        for group in route.groups {
            let members = "\(group.members) \(group.members == 1 ? "member" : "members"), \(group.strategy)"
            let chosen = group.chosen.map { choice in
                let loops = group.chosen.count == 1 ? "" : " (loop \(choice.loops.map(String.init).joined(separator: ", ")))"
                return name(choice.client) + loops
            }
            let next =
                chosen.isEmpty
                ? "no member takes the key" : "\(group.isSelected ? "on_select chooses" : "next is") \(chosen.joined(separator: " or "))"
            fields.append(("  group", "\(group.name) (\(members)): \(next)"))
        }
        if let missing = route.missingGroup {
            let others = route.otherGroups ?? []
            let near = Suggestion.closest(to: missing, in: others).map { "did you mean \($0)? " } ?? ""
            let all = others.isEmpty ? "it has no group" : "it has \(others.joined(separator: ", "))"
            fields.append(("  group", "\(missing): NO GROUP OF THIS NAME takes the topic; \(near)\(all)"))
        }
        if let bytes = route.retainedBytes { fields.append(("  retained", "a message of \(bytes) bytes is retained for the topic")) }
        if route.recipients == 0, route.clients.isEmpty, route.groups.isEmpty, route.missingGroup == nil || route.otherGroups?.isEmpty != false {
            let near = route.nearest.map { "did you mean \($0)? That has subscribers" } ?? "nothing that is subscribed is nearly the same"
            fields.append(("  nobody", "no subscription takes the topic; \(near)"))
        }
        return fields
    }

    private static func seconds(_ seconds: Double) -> String {
        (seconds == seconds.rounded() ? "\(Int(seconds))" : "\(seconds)") + " s"
    }

    private static func name(_ client: ExplainRecord.Client) -> String {
        let parts = [
            client.uid, client.client == client.uid ? "" : client.client.isEmpty ? "" : "client \(client.client)", client.address,
        ].filter { !$0.isEmpty }
        let away = client.isAway ? " (away: its session keeps what it is owed)" : ""
        let rule = client.withheldBy.map { " (BUT \($0))" } ?? ""
        return parts.joined(separator: ", ") + away + (client.isWithheld ? " (BUT ITS RIGHTS KEEP IT FROM THE TOPIC)" : "") + rule
    }
}
