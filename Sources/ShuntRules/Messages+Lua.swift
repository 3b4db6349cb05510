import CLuaHost
import ShuntCore

extension shunt_message {
    /// A view for Lua of the same bytes.
    @inline(__always)
    init(_ message: MessageView, filter: Bytes = Bytes(start: nil, count: 0)) {
        self = withUnsafePointer(to: message) { UnsafeRawPointer($0).load(as: shunt_message.self) }
        self.filter = shunt_bytes(filter)
    }

    /// Whether a message of the router's lies in memory as Lua's host reads it.
    static var isLaidOutAsViews: Bool {
        let layout: [PartialKeyPath<shunt_message>] = [
            \.kind, \.id, \.sender, \.topic, \.key, \.payload, \.room, \.filter, \.room_bytes, \.properties,
        ]
        return MessageView.layout == layout.map { MemoryLayout<shunt_message>.offset(of: $0) }
    }
}

extension RoutedMessage {
    @inline(__always)
    init(_ routed: UnsafePointer<shunt_routed>) {
        let (message, changes, rule) = (routed.pointee.message, routed.pointee.changes, routed.pointee.rule)
        self.init(
            kind: MessageKind(rawValue: message.kind) ?? .topic, changes: Changes(rawValue: changes),
            topic: Bytes(message.topic), key: message.has_key ? Bytes(message.key) : nil, payload: Bytes(message.payload),
            format: PayloadFormat(rawValue: message.format) ?? .none,
            compression: PayloadCompression(rawValue: message.compression) ?? .none, filter: Bytes(message.filter), rule: rule)
        if changes & UInt16(SHUNT_DELAYED) != 0 { delay = UInt32(truncatingIfNeeded: message.room) }
        qos = QoS(rawValue: message.qos) ?? .atMostOnce
        isRetained = message.retain
        properties = Bytes(message.properties)
        topicRule = routed.pointee.topic_rule
        (sentOn, seenBy) = (RuleSelection(mask: routed.pointee.sent_on), RuleSelection(mask: routed.pointee.seen_by))
    }
}

extension ChatView {
    /// Writes the record that Lua reads fields from (`chat.c`).
    func write(to record: inout shunt_buffer) {
        withBytes(of: id) { shunt_chat_begin(&record, createdAt, $0, UInt32(clamping: members.count)) }
        for member in members {
            withBytes(of: member.uid) { shunt_chat_member(&record, $0, member.isOnline) }
        }
    }
}
