import CLuaHost
import ShuntCore

/// Messages of the three kinds, and what becomes of them.
extension RuleTestBench {
    func message(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let message = try TestMessage(
            fields(asked, of: "message", TestField.messageFields, ["topic": .topic]), .topic, topic: asked["topic"].string ?? "test", sender(asked))
        let rules = try loaded()
        return message.withView { view, _ in
            let selection = rules.selection(for: .topic, topic: view.topic)
            guard !selection.isEmpty else { return unmatched(message) }
            return decided(rules.onMessage(view, selection: selection, now: now), message)
        }
    }

    func broadcast(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let message = try TestMessage(
            fields(asked, of: "broadcast", TestField.messageFields, ["filter": .text]), .broadcast, topic: "", sender(asked)
        ).received
        let rules = try loaded()
        return message.withView { view, filter in
            guard !rules.selection(for: .broadcast, topic: view.topic).isEmpty else { return unmatched(message) }
            return decided(rules.onBroadcast(view, filter: filter, now: now), message)
        }
    }

    func chat(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        var fields = try fields(asked, of: "chat", TestField.messageFields, TestField.chatFields)
        let chat = chat(of: asked)
        // The chat's, not the message's.
        fields["id"] = nil
        let message = TestMessage(fields, .chat, topic: chat.id, sender(asked)).received
        let rules = try loaded()
        return message.withView { view, _ in
            guard !rules.selection(for: .chat, topic: view.topic).isEmpty else { return unmatched(message) }
            return decided(rules.onChat(view, in: chat, now: now), message)
        }
    }

    func deliver(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let recipient = clients.client(asked["to"])
        let message = try anyMessage(asked, of: "deliver", ["to": .client]).carried(to: recipient)
        let rules = try loaded()
        return message.withView { view, filter in
            guard isWanted(SHUNT_ON_DELIVER, message.kind, message.topic) else { return unmatched(message) }
            let outcome = rules.onDeliver(view, filter: filter, to: recipient.id, now: now)
            var out = observed()
            switch outcome {
            case .deliver:
                out["verdict"] = "deliver"
                out.merge(message.described) { own, _ in own }
            case .replace(let changed):
                out["verdict"] = "replace"
                out.merge(TestMessage.described(changed)) { own, _ in own }
            case .drop(let why):
                out["verdict"] = "drop"
                out["why"] = .string(why)
            }
            return .object(out)
        }
    }

    func undelivered(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        var message = try anyMessage(asked, of: "undelivered", ["why": .text])
        let why = asked["why"].string ?? "no subscriber"
        if !Self.reasonsAtOnce.contains(why) { message = message.underWay }
        let rules = try loaded()
        message.withView { view, _ in rules.onUndelivered(view, why: why, now: now) }
        return .object(observed())
    }

    /// Why a message does not get under way to any client.
    private static let reasonsAtOnce: Set<String> = ["no subscriber", "too many hops"]

    func will(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        var fields = try fields(asked, of: "will", TestField.messageFields, ["topic": .topic])
        // A will has no format but the one that its content type says.
        if fields["format"] == nil, fields["content_type"] == nil { fields["format"] = "none" }
        let message = TestMessage(fields, .topic, topic: asked["topic"].string ?? "test", .none)
        var sender = asked["sender"].table ?? [:]
        // No other clients have one.
        if sender["protocol"] == nil { sender["protocol"] = "mqtt" }
        let client = clients.client(.object(sender))
        let rules = try loaded()
        return message.withView { view, _ in
            guard isWanted(SHUNT_ON_WILL, .topic, message.topic) else { return unmatched(message) }
            return decided(rules.onWill(view, of: client, now: now), message)
        }
    }

    func acked(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let recipient = clients.client(asked["by"])
        let message = try anyMessage(asked, of: "acked", ["by": .client]).carried(to: recipient)
        let rules = try loaded()
        message.withView { view, _ in rules.onAcked(view, by: recipient.id, now: now) }
        return .object(observed())
    }

    private func anyMessage(_ asked: LuaValue, of name: String, _ more: [String: TestField]) throws(ShuntError) -> TestMessage {
        let kinds = TestField.oneOf(MessageKind.allCases.map { "\($0)" })
        let fields = try fields(asked, of: name, TestField.messageFields, ["kind": kinds, "topic": .text, "filter": .text], more)
        let kind = MessageKind.allCases.first { "\($0)" == asked["kind"].string } ?? .topic
        if kind == .topic {
            _ = try TestField.check(.object(["topic": asked["topic"]].filter { $0.value != .null }), of: "t:" + name, ["topic": .topic])
        }
        return TestMessage(fields, kind, topic: asked["topic"].string ?? (kind == .broadcast ? "" : "test"), sender(asked))
    }

    private func sender(_ asked: LuaValue) -> ConnectionID { clients.client(asked["sender"]).id }

    /// Whether the rule's `match` takes this for a hook that it has.
    func isWanted(_ hook: shunt_hook, _ kind: MessageKind, _ topic: String) -> Bool {
        let topic = Array(topic.utf8)
        return topic.withUnsafeBytes { current?.selection(hook, for: kind, $0).isEmpty == false }
    }

    // MARK: what came of it

    private func unmatched(_ message: TestMessage) -> LuaValue { described(.pass, message, decision: "unmatched") }

    private func decided(_ outcome: MessageOutcome, _ message: TestMessage) -> LuaValue {
        described(outcome, message, decision: (current?.decision ?? SHUNT_VERDICT_PASS).name)
    }

    private func described(_ outcome: MessageOutcome, _ message: TestMessage, decision: String) -> LuaValue {
        var out = observed()
        var sent = outcome.messages.map(TestMessage.described)
        switch outcome.verdict {
        case .drop:
            out["verdict"] = "drop"
            out["why"] = .string(outcome.reason)
        case .reject:
            out["verdict"] = "reject"
            out["why"] = .string(outcome.reason)
        case .redirect:
            out["verdict"] = "redirect"
            out["worker"] = .string(outcome.reason)
        case .pass, .send:
            out["verdict"] = .string(decision)
            if outcome.verdict == .pass { sent.insert(message.described, at: 0) }
        }
        if outcome.isStanding || !outcome.passing.isEmpty { out["always"] = .bool(true) }
        out.merge(sent.first ?? [:]) { own, _ in own }
        out["messages"] = .array(sent.map(LuaValue.object))
        return .object(out)
    }
}
