import CLinux
// Dispatch sources may be cancelled from any thread, which their types do not say yet.
@preconcurrency import Dispatch
import Glibc
import Synchronization

/// What a server process is told, one after the other: by signals, and by operators' commands.
enum Signals {
    enum Event: Sendable {
        /// SIGINT or SIGTERM, by its number.
        case stop(Int32)
        /// SIGHUP: read the configuration again.
        case reload
        case command(ProcessCommand)
    }

    /// Set at once, while the events before are still being handled.
    static let isStopRequested = Atomic<Bool>(false)

    static func stream() -> AsyncStream<Event> { extensible().events }

    /// - Returns: the events, and a way to add some. The stream keeps all events from here on until somebody reads them.
    static func extensible() -> (events: AsyncStream<Event>, add: @Sendable (Event) -> Void) {
        let (events, continuation) = AsyncStream<Event>.makeStream()
        let descriptors = [SIGINT, SIGTERM, SIGHUP].map { linux_catch_signal($0) }
        guard let descriptor = descriptors.first, descriptor >= 0 else { return (events, { continuation.yield($0) }) }
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .global())
        source.setEventHandler {
            while case let number = linux_caught_signal(), number != 0 {
                if number != SIGHUP { isStopRequested.store(true, ordering: .relaxed) }
                continuation.yield(number == SIGHUP ? .reload : .stop(number))
            }
        }
        source.activate()
        continuation.onTermination = { _ in source.cancel() }
        return (events, { continuation.yield($0) })
    }
}
