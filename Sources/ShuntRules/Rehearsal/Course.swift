import ShuntCore

/// A message on its way from rule to rule.
struct Course {
    var view: MessageView
    var filter: Bytes
    var changes: RoutedMessage.Changes = []
    var replacement: RoutedMessage?
    /// The rules that have been asked, those that have changed the topic, and the last one of these.
    var asked = RuleSelection.none, renamers = RuleSelection.none
    var renamedBy: UInt8?
    /// What rules sent besides, or instead.
    var sent: [RoutedMessage] = []
    var verdict = MessageOutcome.Verdict.pass
    var isStopped = false
    var rule: UInt8?
    var why = Bytes.none
    /// What holds for all messages of the topic: the decision, and that rules pass them.
    var isStanding = false
    var passing = RuleSelection.none

    mutating func stop(_ verdict: MessageOutcome.Verdict, _ rule: Int, _ why: Bytes) {
        guard verdict != .pass else { return }
        (self.verdict, self.rule, self.why, isStopped) = (verdict, UInt8(rule), why, true)
    }

    /// Notes of what a rule sends what rules before it have done to the message (`note_senders` in senders.h).
    func noteSenders(_ routed: inout RoutedMessage) {
        let isOwnTopic = !routed.changes.isDisjoint(with: [.topic, .kind])
        routed.changes.formUnion(changes)
        guard let renamedBy else { return }
        routed.sentOn.formUnion(renamers)
        guard !isOwnTopic else { return }
        routed.topicRule = renamedBy
        routed.seenBy = asked.after(Int(renamedBy))
    }

    /// The message goes out as rules have left it.
    func noteSeen(_ routed: inout RoutedMessage) {
        guard let renamedBy else { return }
        (routed.rule, routed.topicRule, routed.sentOn) = (renamedBy, renamedBy, renamers)
        // It goes out although the chain was stopped: by `route.done()`.
        routed.seenBy = isStopped ? .all : asked.after(Int(renamedBy))
    }

    mutating func replace(by routed: RoutedMessage) {
        if routed.topicRule == routed.rule, routed.changes.contains(.topic) {
            renamers.insert(Int(routed.rule))
            renamedBy = routed.rule
        }
        changes = routed.changes
        replacement = routed
        view.take(routed)
        if !routed.filter.isEmpty { filter = routed.filter }
        rule = routed.rule
    }
}
