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

    /// - Returns: the events, and a way to add some.
    static func extensible() -> (events: AsyncStream<Event>, add: @Sendable (Event) -> Void) {
        let (events, continuation) = AsyncStream<Event>.makeStream()
        do {
            let sources = [(SIGINT, Event.stop(SIGINT)), (SIGTERM, .stop(SIGTERM)), (SIGHUP, .reload)].map { number, event in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler {
                    if case .stop = event { isStopRequested.store(true, ordering: .relaxed) }
                    continuation.yield(event)
                }
                source.activate()
                return source
            }
            continuation.onTermination = { _ in for source in sources { source.cancel() } }
        }
        return (events, { continuation.yield($0) })
    }
}
