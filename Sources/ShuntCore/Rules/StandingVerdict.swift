/// A rule's decision for every message of a topic (`route.always`): kept with the topic's route and applied without a call of the rule
/// until the rules change.
public final class StandingVerdict {
    public enum Decision: Equatable, Sendable {
        /// The message goes to these targets.
        case send
        case drop
        case reject(why: String)
    }

    /// Where a message goes.
    public struct Target {
        /// The topic; nil: the message's own.
        public let topic: ContiguousArray<UInt8>?
        /// The route of the topic, as it was found last.
        public var route = RouteReference.none

        public init(topic: Bytes?) { self.topic = topic.map { ContiguousArray($0) } }
    }

    /// The rule's place in the order of priority.
    public let rule: UInt8
    public let decision: Decision
    public var targets: ContiguousArray<Target>

    public init(rule: UInt8, _ decision: Decision, targets: ContiguousArray<Target> = []) {
        self.rule = rule
        self.decision = decision
        self.targets = targets
    }

    /// Made of a rule's outcome; nil if that can't stand for a topic.
    public convenience init?(_ outcome: MessageOutcome) {
        guard outcome.isStanding, let rule = outcome.rule else { return nil }
        switch outcome.verdict {
        case .redirect: return nil
        case .pass: self.init(rule: rule, .send, targets: [Target(topic: nil)])
        case .drop: self.init(rule: rule, .drop)
        case .reject: self.init(rule: rule, .reject(why: outcome.reason))
        case .send:
            guard outcome.messages.allSatisfy({ $0.changes.isSubset(of: .topic) }) else { return nil }
            self.init(
                rule: rule, .send, targets: ContiguousArray(outcome.messages.map { Target(topic: $0.changes.isEmpty ? nil : $0.topic) }))
        }
    }
}
