import CLuaHost
import ShuntCore

extension shunt_message {
    /// A view for Lua of the same bytes.
    init(_ message: MessageView, filter: Bytes = Bytes(start: nil, count: 0)) {
        self.init()
        kind = message.kind.rawValue
        format = message.format.rawValue
        compression = message.compression.rawValue
        hops = message.hops
        id = message.id
        sender = message.sender.raw
        room = message.room
        room_bytes = message.roomBytes
        topic = shunt_bytes(message.topic)
        payload = shunt_bytes(message.payload)
        self.filter = shunt_bytes(filter)
        if let key = message.key {
            self.key = shunt_bytes(key)
            has_key = true
        }
    }
}

extension RoutedMessage {
    init(_ routed: shunt_routed) {
        let message = routed.message
        self.init(
            kind: MessageKind(rawValue: message.kind) ?? .topic, changes: Changes(rawValue: routed.changes),
            topic: Bytes(message.topic), key: message.has_key ? Bytes(message.key) : nil, payload: Bytes(message.payload),
            format: PayloadFormat(rawValue: message.format) ?? .none,
            compression: PayloadCompression(rawValue: message.compression) ?? .none, filter: Bytes(message.filter), rule: routed.rule)
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
