import CLuaHost
import ShuntCore

extension shunt_message {
    /// A view for Lua of the same bytes.
    @inline(__always)
    init(_ message: MessageView, filter: Bytes = Bytes(start: nil, count: 0)) {
        self.init()
        withUnsafeMutablePointer(to: &self) { $0.show(message) }
        self.filter = shunt_bytes(filter)
    }
}

extension UnsafeMutablePointer<shunt_message> {
    /// The same in place, a field at a time: an assignment of the whole would copy it once more.
    @inline(__always)
    func show(_ message: MessageView) {
        // The fields from `kind` to `retain`, which lie as they do in the word: calls.h asserts it.
        UnsafeMutableRawPointer(self).storeBytes(of: message.traits, as: UInt64.self)
        (pointee.id, pointee.sender) = (message.id, message.sender.raw)
        pointee.topic = shunt_bytes(message.topic)
        pointee.key = shunt_bytes(message.keyOrNone)
        pointee.payload = shunt_bytes(message.payload)
        (pointee.room, pointee.room_bytes) = (Int(message.room), Int(message.roomBytes))
        pointee.filter = shunt_bytes(Bytes(start: nil, count: 0))
        pointee.properties = shunt_bytes(message.properties)
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
