import CLuaHost
import ShuntCore

/// Rules whose decisions are not applied, or for some clients only.
extension LoopRules {
    /// The rules on trial of a loop, by their places in the order.
    struct Modes {
        struct Canary {
            let rule: Int
            let name: String
            let share: RuleShare
            /// Whether the next rule is the one that decides for all other clients.
            let isBeside: Bool
        }

        var shadows = RuleSelection.none
        var canaries: [Canary] = []
        /// The rules beside which another version is live: they are not called.
        var replaced = RuleSelection.none
        var isEmpty: Bool { shadows.isEmpty && canaries.isEmpty && replaced.isEmpty }
    }

    /// An example of what a rule on trial would have decided.
    public struct Difference: Equatable, Sendable {
        public var at: Double
        public var hook: String
        /// Empty where the hook is about no message.
        public var topic: String
        /// The client's uid, or its address.
        public var client: String
        /// What the rule beside it decided; `pass` where there is none.
        public var live: String
        public var trial: String
        /// What differs, of: verdict, reason, topic, payload, fields, messages.
        public var parts: [String]
    }

    func setModes() {
        modes = Modes()
        for (index, rule) in set.rules.enumerated() {
            rules[index].set(rule.mode, hasLive: rule.isBeside)
            switch rule.mode {
            case .live: if rule.isBeside { modes.replaced.insert(index + 1) }
            case .shadow: modes.shadows.insert(index)
            case .canary(let share):
                modes.canaries.append(Modes.Canary(rule: index, name: rule.definition.name, share: share, isBeside: rule.isBeside))
            }
        }
        hasModes = !modes.isEmpty
        (observed, skipped) = (modes.shadows, modes.replaced)
        shunt_host_observe(host.pointer, modes.shadows.mask, modes.replaced.mask)
    }

    /// Says for the hook that begins which rules decide and which do not.
    @inline(never)
    func chooseModes(for client: ConnectionID?) {
        var observed = modes.shadows
        var skipped = modes.replaced
        let peer = modes.canaries.isEmpty ? nil : person(client)
        for canary in modes.canaries {
            guard let peer, canary.share.takes(peer, rule: canary.name) else {
                observed.insert(canary.rule)
                continue
            }
            if canary.isBeside { skipped.insert(canary.rule + 1) }
        }
        (self.observed, self.skipped) = (observed, skipped)
        shunt_host_observe(host.pointer, observed.mask, skipped.mask)
    }

    /// A rule beside another sees what that one sees: not what that one has sent on itself.
    func withoutForwarded(_ selection: RuleSelection, kind: MessageKind, topic: Bytes) -> RuleSelection {
        var selection = selection
        for index in set.rules.indices where set.rules[index].isBeside && selection.contains(index) && !selection.contains(index + 1) {
            let live = matchers[Int(SHUNT_ON_MESSAGE.rawValue)].first { $0.rule == index + 1 }
            if live?.takes(kind, topic) ?? false { selection = selection.removing(index) }
        }
        return selection
    }

    func differs(rule index: Int, hook: shunt_hook, live: Int32, own: Int32, parts: UInt32, topic: Bytes) {
        guard rules.indices.contains(index) else { return }
        if now.rounded(.down) != examples.second { examples = (now.rounded(.down), Self.examplesPerSecond) }
        guard examples.left > 0 else { return }
        examples.left -= 1
        let names: [(Int, String)] = [
            (SHUNT_TRIAL_WHY, "reason"), (SHUNT_TRIAL_TOPIC, "topic"), (SHUNT_TRIAL_PAYLOAD, "payload"), (SHUNT_TRIAL_REST, "fields"),
            (SHUNT_TRIAL_COUNT, "messages"),
        ].map { (Int($0.0), $0.1) }
        // Where the verdicts differ, the rest follows from that.
        let differing = live != own ? ["verdict"] : names.filter { Int(parts) & $0.0 != 0 }.map(\.1)
        rules[index].notes.add(
            Difference(
                at: now, hook: String(cString: shunt_hook_name(hook)), topic: topic.isEmpty ? subjectShown : Self.shown(topic), client: clientShown,
                live: Self.verdictName(live), trial: Self.verdictName(own), parts: differing))
    }

    /// The others of a second are only counted.
    private static let examplesPerSecond = 20

    private static func verdictName(_ verdict: Int32) -> String { verdict < 0 ? "failed" : shunt_verdict(UInt32(verdict)).name }

    /// A topic as it is told to operators.
    static func shown(_ topic: Bytes) -> String { shown(String(decoding: topic.prefix(shownBytes), as: UTF8.self)) }
    static func shown(_ topic: String) -> String { PrintableText.of(String(decoding: topic.utf8.prefix(shownBytes), as: UTF8.self)) }
    static let shownBytes = 200

    /// Whose the hook that runs is, for operators; empty where it is nobody's.
    var clientShown: String {
        guard let peer = person(client) else { return "" }
        return PrintableText.of(String((peer.uid.isEmpty ? peer.address : peer.uid).prefix(200)))
    }
}

/// The last failures of a rule and the last examples of what it would have decided, a few of each.
struct RuleNotes {
    private(set) var errors: [RuleFigures.Failure] = []
    private(set) var differences: [LoopRules.Difference] = []
    private static let capacity = 8

    /// What the sender may not send is noted once: one call may try it a thousand times.
    mutating func add(_ failure: RuleFigures.Failure) {
        let same = errors.firstIndex { $0.code == .accessDenied && $0.code == failure.code && $0.text == failure.text && $0.client == failure.client }
        if let same { errors.remove(at: same) }
        Self.add(failure, to: &errors)
    }

    /// One of each kind is worth more than eight of one.
    mutating func add(_ difference: LoopRules.Difference) {
        if let same = differences.firstIndex(where: { $0.isLike(difference) }) { differences.remove(at: same) }
        Self.add(difference, to: &differences)
    }

    private static func add<Note>(_ note: Note, to notes: inout [Note]) {
        if notes.count >= capacity { notes.removeFirst() }
        notes.append(note)
    }
}

extension LoopRules.Difference {
    fileprivate func isLike(_ other: Self) -> Bool {
        hook == other.hook && live == other.live && trial == other.trial && parts == other.parts && topic == other.topic && client == other.client
    }
}
