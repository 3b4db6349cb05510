import CLoad
import Glibc

/// An epoll of connections, each known by a number.
final class Poller {
    /// Events of a connection: the caller asks for some, and epoll reports them.
    struct Interest: OptionSet {
        let rawValue: UInt32
        static let read = Interest(rawValue: EPOLLIN.rawValue)
        static let write = Interest(rawValue: EPOLLOUT.rawValue)
        /// The connection has failed or ended. Epoll reports it without being asked.
        static let end = Interest(rawValue: EPOLLERR.rawValue | EPOLLHUP.rawValue)
    }

    private let descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
    private let events = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: 512)

    deinit {
        close(descriptor)
        events.deallocate()
    }

    func add(_ socket: Int32, _ interest: Interest, number: Int) { control(EPOLL_CTL_ADD, socket, interest, number) }

    func change(_ socket: Int32, _ interest: Interest, number: Int) { control(EPOLL_CTL_MOD, socket, interest, number) }

    private func control(_ operation: Int32, _ socket: Int32, _ interest: Interest, _ number: Int) {
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(u64: UInt64(number)))
        epoll_ctl(descriptor, operation, socket, &event)
    }

    /// Waits for events, at most for so many nanoseconds, and hands out each.
    @inline(__always)
    func wait(_ nanoseconds: Int, _ handle: (Int, Interest) -> Void) {
        let count = Int(load_wait(descriptor, events.baseAddress, Int32(events.count), max(0, nanoseconds)))
        for place in 0..<count { handle(Int(events[place].data.u64), Interest(rawValue: events[place].events)) }
    }
}
