import ShuntCore
import Testing

@testable import ShuntWorker

@Suite struct TraceRingTests {
    private static func message(_ topic: String, payload: String? = nil) -> TracedMessage {
        var message = TracedMessage(at: 1, loop: 0, topic: topic)
        message.payload = payload
        return message
    }

    @Test func givesEachMessageOnceInOrder() {
        var ring = TraceRing()
        for number in 1...5 { ring.append(Self.message("t/\(number)")) }
        let first = ring.read(after: 0, limit: 3, bytes: 1 << 20)
        #expect(first.messages.map(\.topic) == ["t/1", "t/2", "t/3"])
        #expect(first.lost == 0 && first.hasMore)
        let rest = ring.read(after: 3, limit: 3, bytes: 1 << 20)
        #expect(rest.messages.map(\.number) == [4, 5])
        #expect(!rest.hasMore)
        #expect(ring.read(after: 5, limit: 3, bytes: 1 << 20).messages.isEmpty)
    }

    @Test func anAnswerThatWasLostIsGivenAgain() {
        var ring = TraceRing()
        for number in 1...3 { ring.append(Self.message("t/\(number)")) }
        let once = ring.read(after: 1, limit: 10, bytes: 1 << 20)
        #expect(once.messages == ring.read(after: 1, limit: 10, bytes: 1 << 20).messages)
    }

    @Test func whatHasNoRoomIsCounted() {
        var ring = TraceRing(capacity: 10)
        for number in 1...200 { ring.append(Self.message("t/\(number)")) }
        #expect(ring.count == 10)
        let read = ring.read(after: 0, limit: 100, bytes: 1 << 20)
        #expect(read.lost == 190)
        #expect(read.messages.map(\.number) == Array(191...200))
        ring.append(Self.message("t/201"))
        #expect(ring.read(after: 200, limit: 100, bytes: 1 << 20).lost == 0)
    }

    @Test func bytesAreBounded() {
        var ring = TraceRing(capacity: 1000, byteLimit: 10_000)
        for _ in 0..<100 { ring.append(Self.message("t", payload: String(repeating: "x", count: 3000))) }
        #expect(ring.count <= 3)
        // One that is larger than all the room is kept, alone.
        ring.append(Self.message("t", payload: String(repeating: "\u{1}", count: 30_000)))
        #expect(ring.count == 1)
        #expect(ring.read(after: 0, limit: 10, bytes: 10).messages.count == 1)
    }
}
