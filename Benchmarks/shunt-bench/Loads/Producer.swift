import Glibc

/// Messages of one size, one behind the other, as they go over the wire.
struct MessageBlock: Sendable {
    let bytes: [UInt8]
    let messageSize: Int
    let count: Int

    /// - Parameter topics: of one length; a message each.
    init(_ wire: any Wire, topics: [String], payload: Int) {
        let messages = topics.map { wire.publish(topic: $0, payload: payload, id: 7) }
        messageSize = messages[0].count
        precondition(messages.allSatisfy { $0.count == messages[0].count }, "messages of one size")
        bytes = Array(messages.joined())
        count = messages.count
    }
}

/// Sends as fast as it may.
struct Producer: Sendable {
    let socket: Socket
    let block: MessageBlock
    /// Messages in all; the block again and again.
    let messages: Int
    /// Messages that may be unacknowledged.
    let window: Int
    /// Bytes; 0: nothing is acknowledged.
    let acknowledgement: Int

    /// Bytes of one write.
    static let writeSize = 64 << 10

    /// Until all are sent, and acknowledged where they are, or the server has closed the connection.
    func run() {
        let perWrite = max(1, min(Self.writeSize / block.messageSize, window / 2))
        let isAcknowledged = acknowledgement > 0
        var (sent, place, acknowledgedBytes) = (0, 0, 0)
        while true {
            let waiting = isAcknowledged ? sent - acknowledgedBytes / acknowledgement : 0
            let now = min(perWrite, messages - sent, block.count - place)
            let mayWrite = now > 0 && (!isAcknowledged || waiting + now <= window)
            if mayWrite {
                let range = (place * block.messageSize)..<((place + now) * block.messageSize)
                guard (try? block.bytes.withUnsafeBytes { try socket.write(UnsafeRawBufferPointer(rebasing: $0[range])) }) != nil else { return }
                sent += now
                place = place + now == block.count ? 0 : place + now
            } else if waiting == 0 {
                return
            }
            guard isAcknowledged else { continue }
            let got = socket.discard(wait: !mayWrite)
            if got == 0 || (got < 0 && !mayWrite && errno != EINTR) { return }
            acknowledgedBytes += max(0, got)
        }
    }
}
