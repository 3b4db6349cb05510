import CLuaHost
import ShuntCore

/// Broadcasts, chats, and what becomes of messages.
extension LoopRules {
    // MARK: broadcasts

    public func onBroadcast(_ push: MessageView, filter: Bytes, now: Double) -> MessageOutcome {
        begin(now, push.sender, SHUNT_ON_BROADCAST)
        let selection = selection(SHUNT_ON_BROADCAST, for: .broadcast, push.topic)
        guard !selection.isEmpty else { return .pass }
        if !off.isEmpty, let outcome = outcomeOfOff(in: selection, for: SHUNT_ON_BROADCAST) { return outcome }
        view.pointee = shunt_message(push, filter: filter)
        guard shunt_on_broadcast(host.pointer, view, selection.subtracting(off).mask, now, outcome) else { return .pass }
        return finished()
    }

    // MARK: chats

    public func onChatOpen(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome {
        entry(SHUNT_ON_CHAT_OPEN, chat, peer, now)
    }

    public func onChatJoin(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome {
        entry(SHUNT_ON_CHAT_JOIN, chat, peer, now)
    }

    private func entry(_ hook: shunt_hook, _ chat: ChatView, _ peer: Peer, _ now: Double) -> ConnectOutcome {
        begin(now, peer.id, hook)
        shunt_host_end_turn(host.pointer)
        let selection = selection(hook, of: chat)
        guard !selection.isEmpty else { return .accept }
        if !off.isEmpty, let why = refusalOfOff(in: selection, for: hook) { return .reject(why: why) }
        return peer.withRecord { record in
            var outcome = shunt_connect_outcome()
            concerning(chat.id) {
                shunt_on_chat_entry(host.pointer, hook, bytes(of: chat), record, selection.subtracting(off).mask, now, &outcome)
            }
            return switch outcome.verdict {
            case SHUNT_VERDICT_REJECT: .reject(why: String(outcome.why))
            case SHUNT_VERDICT_REDIRECT: .redirect(to: String(outcome.why))
            default: .accept
            }
        }
    }

    public func onChat(_ message: MessageView, in chat: ChatView, now: Double) -> MessageOutcome {
        begin(now, message.sender, SHUNT_ON_CHAT)
        let selection = selection(SHUNT_ON_CHAT, for: .chat, message.topic)
        guard !selection.isEmpty else { return .pass }
        if !off.isEmpty, let outcome = outcomeOfOff(in: selection, for: SHUNT_ON_CHAT) { return outcome }
        view.pointee = shunt_message(message)
        guard shunt_on_chat(host.pointer, view, bytes(of: chat), selection.subtracting(off).mask, now, outcome) else { return .pass }
        return finished()
    }

    public func onChatClose(_ chat: ChatView, why: String, by closer: ConnectionID?, now: Double) {
        begin(now, closer, SHUNT_ON_CHAT_CLOSE)
        shunt_host_end_turn(host.pointer)
        let selection = selection(SHUNT_ON_CHAT_CLOSE, of: chat)
        guard !selection.isEmpty else { return }
        if !off.isEmpty { retry() }
        withBytes(of: why) { why in
            concerning(chat.id) { shunt_on_chat_close(host.pointer, bytes(of: chat), why, selection.subtracting(off).mask, now) }
        }
    }

    private func selection(_ hook: shunt_hook, of chat: ChatView) -> RuleSelection {
        withBytes(of: chat.id) { selection(hook, for: .chat, Bytes($0)) }
    }

    /// The chat's record, until the next hook.
    func bytes(of chat: ChatView) -> shunt_bytes {
        chat.write(to: &chatRecord)
        return shunt_bytes(start: chatRecord.bytes, count: chatRecord.count)
    }

    // MARK: deliveries

    public func onDeliver(_ message: MessageView, filter: Bytes, to peer: ConnectionID, now: Double) -> DeliverOutcome {
        let selection = selectionOfDelivery(message)
        guard !selection.isEmpty else { return .deliver }
        // The bytes do not say who sent them.
        begin(now, peer, SHUNT_ON_DELIVER)
        if !off.isEmpty, let why = refusalOfOff(in: selection, for: SHUNT_ON_DELIVER) { return .drop(why: why) }
        written.show(message)
        view.pointee.filter = shunt_bytes(filter)
        var outcome = shunt_deliver_outcome()
        shunt_on_deliver(host.pointer, view, peer.raw, selection.subtracting(off).mask, now, &outcome)
        return switch outcome.verdict {
        case SHUNT_VERDICT_DROP: .drop(why: String(outcome.why))
        case SHUNT_VERDICT_REPLACE: .replace(withUnsafePointer(to: outcome.routed) { RoutedMessage($0) })
        default: .deliver
        }
    }

    /// The rules that look at deliveries of a message: mostly those of the last one, of the same topic.
    @inline(__always)
    private func selectionOfDelivery(_ message: MessageView) -> RuleSelection {
        if message.kind == .topic, delivered.topic.holds(message.topic) { return delivered.rules }
        return selectionOfOtherDelivery(message)
    }

    @inline(never)
    private func selectionOfOtherDelivery(_ message: MessageView) -> RuleSelection {
        let selection = selection(SHUNT_ON_DELIVER, for: message.kind, message.topic)
        if message.kind == .topic {
            delivered.topic.keep(message.topic)
            delivered.rules = selection
        }
        return selection
    }

    public func onUndelivered(_ message: MessageView, why: String, now: Double) {
        begin(now, message.sender, SHUNT_ON_UNDELIVERED)
        let selection = selection(SHUNT_ON_UNDELIVERED, for: message.kind, message.topic)
        guard !selection.isEmpty else { return }
        if !off.isEmpty { retry() }
        var view = shunt_message(message)
        withBytes(of: why) { why in
            shunt_on_undelivered(host.pointer, &view, why, selection.subtracting(off).mask, now)
        }
    }
}
