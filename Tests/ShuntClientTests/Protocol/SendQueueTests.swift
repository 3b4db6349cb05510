import ShuntCore
import Testing

@testable import ShuntClient

@Suite("A producer's queue")
struct SendQueueTests {
    private typealias Queue = SendQueue<String>

    @Test("lets nothing out before there is a connection, then all in order")
    func connects() {
        var queue = queue(window: 10)
        #expect(queue.submit(message("a")) == .wait)
        #expect(queue.submit(message("b")) == .wait)
        queue.connected()
        #expect(queue.submit(message("c")) == .wait)
        #expect(admitAll(&queue) == ["a", "b", "c"])
        #expect(queue.submit(message("d")) == .send(id: first + 3))
    }

    @Test("stops at the window and goes on when half of it is free", arguments: [(1, 1), (2, 1), (4, 2), (5, 3)])
    func window(size: Int, answersToGoOn: Int) {
        var queue = queue(window: size)
        queue.connected()
        for number in 0..<size { #expect(queue.submit(message("\(number)")) == .send(id: first + Int64(number))) }
        #expect(queue.submit(message("waits")) == .wait)
        for number in 0..<answersToGoOn {
            #expect(queue.admitWaiting() == nil)
            #expect(queue.answered(first + Int64(number)) == "\(number)")
        }
        #expect(admitAll(&queue) == ["waits"])
    }

    @Test("bounds the bytes on the way, and lets the message that crosses the limit out")
    func bytes() {
        var queue = Queue(window: .init(count: 100, bytes: 1000), resends: false, ids: ids)
        queue.connected()
        let payload = Array(repeating: UInt8(1), count: 5000)
        let large = Queue.Submission(message: OutgoingMessage(topic: "t", payload: payload), ticket: "large")
        #expect(queue.submit(large) == .send(id: first))
        #expect(queue.submit(message("a")) == .wait)
        #expect(queue.answered(first) == "large")
        #expect(admitAll(&queue) == ["a"])
    }

    @Test("is not widened by a server that leaves out one answer")
    func missingAnswer() {
        var queue = queue(window: 4)
        queue.connected()
        for number in 0..<4 { _ = queue.submit(message("\(number)")) }
        for number in 1..<4 { _ = queue.answered(first + Int64(number)) }
        #expect(queue.submit(message("waits")) == .wait)
        #expect(queue.admitWaiting() == nil)
        #expect(queue.oldest == first)
    }

    @Test("at most once: gives back what had no answer, oldest first, and keeps what was not sent")
    func lost() {
        var queue = queue(window: 2)
        queue.connected()
        for name in ["a", "b", "c"] { _ = queue.submit(message(name)) }
        #expect(queue.lost() == ["a", "b"])
        #expect(queue.admitWaiting() == nil)
        queue.connected()
        #expect(admitAll(&queue) == ["c"])
        #expect(queue.answered(first) == nil, "an answer of the connection before is nobody's")
    }

    @Test("at least once: sends what had no answer again, first, in order, with new ids")
    func resends() {
        var queue = queue(window: 3, resends: true)
        queue.connected()
        for name in ["a", "b", "c", "d"] { _ = queue.submit(message(name)) }
        #expect(queue.answered(first) == "a")
        #expect(queue.lost().isEmpty)
        _ = queue.submit(message("e"))
        queue.connected()
        #expect(admitAll(&queue) == ["b", "c", "d"])
        #expect(queue.answered(first + 3) == "b")
        #expect(queue.answered(first + 4) == "c")
        #expect(admitAll(&queue) == ["e"])
    }

    @Test("gives up what waits, and takes more")
    func givesUp() {
        var queue = queue(window: 2)
        _ = queue.submit(message("a"))
        #expect(queue.failWaiting() == ["a"])
        #expect(queue.submit(message("b")) == .wait)
        #expect(queue.waitingCount == 1)
    }

    @Test("that is closed gives everything back, and refuses more")
    func closes() {
        var queue = queue(window: 1)
        queue.connected()
        for name in ["a", "b"] { _ = queue.submit(message(name)) }
        let error = ShuntError(.connectionLost, "closed")
        let left = queue.close(error)
        #expect(left.unknown == ["a"] && left.unsent == ["b"])
        #expect(queue.submit(message("c")) == .refuse(error))
        queue.connected()
        #expect(queue.submit(message("c")) == .refuse(error))
    }

    private let ids = RequestIDs(seconds: 1, salt: 0)
    private var first: Int64 { ids.next }

    private func queue(window: Int, resends: Bool = false) -> Queue {
        Queue(window: .init(count: window, bytes: 1 << 20), resends: resends, ids: ids)
    }

    private func message(_ name: String) -> Queue.Submission {
        Queue.Submission(message: OutgoingMessage(topic: "t", text: name), ticket: name)
    }

    private func admitAll(_ queue: inout Queue) -> [String] {
        var names: [String] = []
        while let (_, submission) = queue.admitWaiting() { names.append(submission.ticket) }
        return names
    }
}
