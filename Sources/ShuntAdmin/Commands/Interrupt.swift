import CLinux
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
    nonisolated(unsafe) private let source: (any DispatchSourceRead)?

    var isSet: Bool { state.isSet.load(ordering: .relaxed) }

    init() {
        let state = state
        let descriptors = [SIGINT, SIGTERM].map { linux_catch_signal($0) }
        // Without a descriptor the signals end the command by themselves.
        source = descriptors[0] < 0 ? nil : DispatchSource.makeReadSource(fileDescriptor: descriptors[0], queue: .global())
        source?.setEventHandler {
            while case let number = linux_caught_signal(), number != 0 {
                if state.isSet.exchange(true, ordering: .relaxed) { _exit(128 + number) }
            }
        }
        source?.activate()
    }

    deinit {
        source?.cancel()
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }
}
