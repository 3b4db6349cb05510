import ShuntCore

/// Copies of messages that rules made, each in memory of its own, which stays where it is until they are let go.
final class KeptMessages {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit { removeAll() }

    func removeAll() {
        for block in blocks { block.deallocate() }
        blocks.removeAll()
    }

    /// The same message, whose bytes are kept.
    func keep(_ message: RoutedMessage) -> RoutedMessage {
        var kept = message
        kept.topic = keep(message.topic)
        kept.key = message.key.map(keep)
        kept.payload = keep(message.payload)
        kept.filter = keep(message.filter)
        kept.properties = keep(message.properties)
        return kept
    }

    func keep(_ bytes: Bytes) -> Bytes {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return bytes }
        let block = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 1)
        block.copyMemory(from: start, byteCount: bytes.count)
        blocks.append(block)
        return Bytes(start: block, count: bytes.count)
    }
}

extension MessageView {
    /// This message with what a rule made of it.
    mutating func take(_ routed: RoutedMessage) {
        topic = routed.topic
        key = routed.key
        payload = routed.payload
        format = routed.format
        compression = routed.compression
        qos = routed.qos
        isRetained = routed.isRetained
        properties = routed.properties
    }
}
