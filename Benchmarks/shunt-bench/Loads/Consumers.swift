import CLoad
import Glibc
import ShuntBench
import ShuntCore

/// Reads for all consumers, on one thread, and counts. Each consumer's first message is looked at; of the others bytes are counted and not
/// copied.
final class Consumers: @unchecked Sendable {
    // `@unchecked Sendable`: `run` alone touches what changes; others read it once that has returned.
    private struct Consumer {
        let socket: Socket
        let delivery: Int
        let expected: Int
        var got = 0
        var wakeUp = 0
        var isChecked = false
        var isOpen = true
    }

    private var consumers: [Consumer] = []
    private var open = 0
    private let payload: [UInt8]
    private let producersAreDone = OneTimeFlag()
    private(set) var failure: ShuntError?
    /// When the last byte came, in seconds of the monotonic clock.
    private(set) var lastAt = 0.0

    /// What has not come for so many seconds after the last was sent will not come.
    static let quiet = 3.0
    /// A consumer is read when so many bytes wait for it, or when all that is to come is there.
    static let wakeUp = 16 << 10
    /// Bytes that may wait for one in the kernel: far more than wakes it, for each packet takes more than its bytes.
    static let receiveBuffer = 1 << 20

    init(payload: [UInt8]) { self.payload = payload }

    /// - Parameter delivery: bytes of a message.
    func add(_ socket: Socket, messages: Int, delivery: Int) {
        consumers.append(Consumer(socket: socket, delivery: delivery, expected: messages * delivery))
    }

    func endWhenQuiet() { producersAreDone.set() }

    /// Messages that came.
    var received: Int { consumers.reduce(0) { $0 + $1.got / $1.delivery } }

    func run() {
        let poll = epoll_create1(0)
        defer { close(poll) }
        for index in consumers.indices {
            var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: UInt64(index)))
            epoll_ctl(poll, EPOLL_CTL_ADD, consumers[index].socket.descriptor, &event)
            setWakeUp(index)
        }
        open = consumers.count
        lastAt = LoadClock.seconds()
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 256) { events in
            while open > 0, failure == nil {
                let count = Int(epoll_wait(poll, events.baseAddress, Int32(events.count), 100))
                for event in events[..<max(0, count)] { read(Int(event.data.u64), poll) }
                guard count == 0 else { continue }
                // Less than wakes a reader may be there.
                for index in consumers.indices where consumers[index].isOpen { read(index, poll) }
                if producersAreDone.isSet, LoadClock.seconds() - lastAt > Self.quiet { return }
            }
        }
    }

    private func read(_ index: Int, _ poll: Int32) {
        if !consumers[index].isChecked { check(index) }
        let got = consumers[index].socket.discard()
        if got > 0 {
            consumers[index].got += got
            lastAt = LoadClock.seconds()
            setWakeUp(index)
        }
        if got == 0 || consumers[index].got >= consumers[index].expected {
            epoll_ctl(poll, EPOLL_CTL_DEL, consumers[index].socket.descriptor, nil)
            consumers[index].isOpen = false
            open -= 1
        }
    }

    private func setWakeUp(_ index: Int) {
        let wanted = max(1, min(Self.wakeUp, consumers[index].expected - consumers[index].got))
        guard wanted != consumers[index].wakeUp else { return }
        consumers[index].wakeUp = wanted
        consumers[index].socket.setWakeUp(at: wanted)
    }

    /// Whether the first message has the payload that was sent. A server may have said something of its own before.
    private func check(_ index: Int) {
        let payload = payload
        let isRight = withUnsafeTemporaryAllocation(byteCount: consumers[index].delivery + 64, alignment: 1) { buffer in
            let got = consumers[index].socket.peek(buffer)
            guard got >= consumers[index].delivery else { return true }
            consumers[index].isChecked = true
            return buffer[..<got].contains(payload)
        }
        if !isRight { failure = ShuntError(.internalError, "a consumer got something else than the message that was sent") }
    }
}
