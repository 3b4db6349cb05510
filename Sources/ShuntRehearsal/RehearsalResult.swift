import ShuntCore
import ShuntRules

/// What became of one message.
public struct RehearsalResult: Sendable {
    /// What the worker tells the sender.
    public struct Answer: Equatable, Sendable {
        public var status: Int
        public var text: String

        public init(status: Int, text: String) {
            self.status = status
            self.text = text
        }
    }

    /// A client that would get it.
    public struct Recipient: Equatable, Sendable {
        public var uid: String
        public var device: String?
        public var group: String?
        public var topic: String?
        public var payload: String
    }

    public var message: ObservedMessage
    public var sender: Peer
    /// What each rule did, in the order in which it happened.
    public var steps: [RuleStep] = []
    /// What leaves the rules.
    public var out: [ObservedMessage] = []
    /// The rules that were not asked about it, or about what other rules made of it.
    public var unmatched: [String] = []
    public var exceedsHops = false
    /// nil where it depends on who has subscribed, which is not known.
    public var answer: Answer?
    /// nil where no subscribers are known.
    public var recipients: [Recipient]?

    /// What may become of a message, in the order in which reports tell it.
    static let outcomes =
        ["passed", "changed", "delayed"].flatMap { [$0, $0 + withCopies] } + [
            "sent elsewhere", "dropped", "rejected", "redirected", "refused",
        ]
    private static let withCopies = " with copies"

    /// In a word, what became of it. `passed`, `changed` and `delayed` messages go out under their own topics, `with copies` where
    /// others go out beside them; `sent elsewhere`, `dropped`, `rejected` and `redirected` ones don't; `refused` is the worker's own.
    public var outcome: String {
        if steps.isEmpty, out.isEmpty { return "refused" }
        switch deciding.map({ $0.onError ?? $0.decision }) {
        case "drop": return "dropped"
        case "reject": return "rejected"
        case "redirect": return "redirected"
        default: break
        }
        let own = out.filter { $0.topic == message.topic && $0.kind == message.kind }
        guard !own.isEmpty else { return out.isEmpty ? "dropped" : "sent elsewhere" }
        let atOnce = own.filter { $0.delay == nil }
        let word = atOnce.isEmpty ? "delayed" : atOnce.contains { $0.isSame(as: message) } ? "passed" : "changed"
        return out.count == 1 ? word : word + Self.withCopies
    }

    /// What the last rule did that was asked about the message itself, not about what rules made of it.
    private var deciding: RuleStep? { messageSteps.last { $0.before.hops == message.hops } }

    private var messageSteps: [RuleStep] { steps.filter { $0.isApplied && ["on_message", "on_broadcast", "on_chat"].contains($0.hook) } }

    /// How many messages go out later.
    var delayed: Int { out.count { $0.delay != nil } }

    /// Whether a rule failed.
    public var hasFailed: Bool { steps.contains { $0.error != nil } }

    /// Why the message was dropped, rejected or redirected: what the rule says that has decided so, or where rules have sent it on, the last that
    /// has stopped it there.
    public var why: String {
        func stops(_ step: RuleStep) -> Bool { ["drop", "reject", "redirect"].contains(step.onError ?? step.decision) }
        if let deciding, stops(deciding) { return deciding.why }
        guard outcome == "dropped" else { return "" }
        return messageSteps.last { stops($0) && !$0.why.isEmpty }?.why ?? ""
    }
}
