// Dispatch sources may be cancelled from any thread, which their types do not say yet.
@preconcurrency import Dispatch
import Glibc
import Synchronization

/// The signals to a server process, one after the other.
enum Signals {
    enum Event: Sendable {
        /// SIGINT or SIGTERM, by its number.
        case stop(Int32)
        /// SIGHUP: read the configuration again.
        case reload
    }

    /// Set at once, while the events before are still being handled.
    static let isStopRequested = Atomic<Bool>(false)

    static func stream() -> AsyncStream<Event> {
        AsyncStream { continuation in
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
    }
}
