import CLoad
import Glibc
import ShuntCore

/// Messages of one size, one behind the other, as they go over the wire. They stand in a file in memory, so that they are sent without
/// being copied.
final class MessageBlock: Sendable {
    let file: Int32
    let messageSize: Int
    let count: Int

    /// - Parameter topics: of one length; a message each.
    init(_ wire: any Wire, topics: [String], payload: [UInt8]) throws {
        let messages = topics.map { wire.publish(topic: $0, payload: payload, id: 7) }
        messageSize = messages[0].count
        precondition(messages.allSatisfy { $0.count == messages[0].count }, "messages of one size")
        count = messages.count
        file = load_memory_file()
        let bytes = Array(messages.joined())
        guard file >= 0, bytes.withUnsafeBytes({ write(file, $0.baseAddress, $0.count) }) == bytes.count else {
            throw ShuntError(.internalError, "there is no memory for \(bytes.count) bytes of messages")
        }
    }

    deinit { close(file) }
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
        // Woken when half of the window is free again; a write takes no more, so where it finds no room, so much is still to come.
        if isAcknowledged { socket.setWakeUp(at: max(1, window / 2) * acknowledgement) }
        var (sent, place, acknowledgedBytes) = (0, 0, 0)
        while true {
            let waiting = isAcknowledged ? sent - acknowledgedBytes / acknowledgement : 0
            let now = min(perWrite, messages - sent, block.count - place)
            if now > 0, !isAcknowledged || waiting + now <= window {
                let range = (place * block.messageSize)..<((place + now) * block.messageSize)
                guard (try? socket.send(block.file, range)) != nil else { return }
                sent += now
                place = place + now == block.count ? 0 : place + now
                continue
            }
            if waiting == 0 { return }
            if now == 0 { socket.setWakeUp(at: 1) }
            socket.waitUntilReadable()
            let got = socket.discard()
            if got == 0 || (got < 0 && errno != EAGAIN) { return }
            acknowledgedBytes += max(0, got)
        }
    }
}
