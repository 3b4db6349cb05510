import Dispatch
import Glibc
import Synchronization

/// Notices Ctrl-C and SIGTERM, so that a command can end what it has begun elsewhere. A second one ends the command at once.
final class Interrupt: Sendable {
    private final class State: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    private let state = State()
    // Never changed: only let go.
    nonisolated(unsafe) private let sources: [any DispatchSourceSignal]

    var isSet: Bool { state.isSet.load(ordering: .relaxed) }

    init() {
        let state = state
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                if state.isSet.exchange(true, ordering: .relaxed) { _exit(128 + number) }
            }
            source.resume()
            return source
        }
    }

    deinit {
        for source in sources { source.cancel() }
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }
}
