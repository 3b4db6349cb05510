import ShuntCore
import Synchronization

/// Whether a start succeeded: the first result counts. One task waits for it.
final class FirstResult: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Result<Void, ShuntError>, Never>)
        case known(Result<Void, ShuntError>)
    }

    private let state = Mutex(State.open)

    func resolve(_ result: Result<Void, ShuntError>) {
        let waiter = state.withLock { state -> CheckedContinuation<Result<Void, ShuntError>, Never>? in
            switch state {
            case .known: return nil
            case .open:
                state = .known(result)
                return nil
            case .awaited(let continuation):
                state = .known(result)
                return continuation
            }
        }
        waiter?.resume(returning: result)
    }

    var value: Result<Void, ShuntError> {
        get async {
            await withCheckedContinuation { continuation in
                let known = state.withLock { state -> Result<Void, ShuntError>? in
                    if case .known(let result) = state { return result }
                    state = .awaited(continuation)
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        }
    }
}
