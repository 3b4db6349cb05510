import CCurl
import CLinux
import Glibc
public import ShuntCore
import Synchronization

/// Makes HTTP requests by libcurl, on one thread, which the first request starts.
public final class Fetcher: Sendable {
    public typealias Outcome = Result<FetchResponse, FetchFailure>

    /// A request, and who waits for its outcome.
    struct Job: Sendable {
        let request: FetchRequest
        let done: @Sendable (Outcome) -> Void
    }

    private let mailbox: FetchMailbox
    private let thread = Mutex(Thread.none)

    private enum Thread {
        case none
        case runs(pthread_t)
        case ended
    }

    /// - Parameter connections: that stay open for the next request.
    public init(connections: Int = 16) { mailbox = FetchMailbox(connections: connections) }

    /// A thread that still runs ends by itself.
    deinit {
        mailbox.stop()
        if case .runs(let handle) = thread.withLock({ $0 }) { pthread_detach(handle) }
    }

    /// Whether libcurl can be loaded.
    /// - Throws: `config.missing`.
    public static func check() throws(ShuntError) {
        guard let why = fetch_library_error() else { return }
        throw ShuntError(.configMissing, String(cString: why))
    }

    /// - Parameter done: called once: on the fetcher's thread, or before this returns where nothing can be fetched.
    public func fetch(_ request: FetchRequest, _ done: @escaping @Sendable (Outcome) -> Void) {
        let failure: FetchFailure? = thread.withLock { thread in
            switch thread {
            case .runs: return nil
            case .ended: return .stopped
            case .none:
                guard let handle = Self.start(mailbox) else { return .unreachable("the system gives no thread") }
                thread = .runs(handle)
                return nil
            }
        }
        if let failure { return done(.failure(failure)) }
        if !mailbox.post(Job(request: request, done: done)) { done(.failure(.stopped)) }
    }

    /// Ends what is under way, and waits for the thread. Not from an outcome.
    public func stop() {
        mailbox.stop()
        let before = thread.withLock { thread in
            defer { thread = .ended }
            return thread
        }
        if case .runs(let handle) = before { pthread_join(handle, nil) }
    }

    private static func start(_ mailbox: FetchMailbox) -> pthread_t? {
        // Kept for the thread, which releases it; or here, if no thread starts.
        let argument = Unmanaged.passRetained(mailbox)
        // The thread inherits the mask, and so do those that look up names. Other threads handle signals.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var handle = pthread_t()
        let status = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                linux_name_thread("fetch")
                // The thread's argument is the mailbox, retained for it.
                FetchLoop(Unmanaged<FetchMailbox>.fromOpaque(argument).takeRetainedValue()).run()
                return nil
            }, argument.toOpaque())
        guard status == 0 else {
            argument.release()
            return nil
        }
        return handle
    }
}

/// Jobs for the fetcher's thread.
final class FetchMailbox: Sendable {
    private struct State {
        var jobs: [Fetcher.Job] = []
        var isStopped = false
        var waker: Waker?
    }

    /// Unchecked: `fetch_wake` is the one call of a loop that any thread may make, and is made under the mutex that guards the loop's end.
    struct Waker: @unchecked Sendable {
        let loop: OpaquePointer
    }

    private let state = Mutex(State())
    let connections: Int

    init(connections: Int) { self.connections = connections }

    /// - Returns: false once it is stopped.
    func post(_ job: Fetcher.Job) -> Bool {
        state.withLock { state in
            guard !state.isStopped else { return false }
            state.jobs.append(job)
            if state.jobs.count == 1, let waker = state.waker { fetch_wake(waker.loop) }
            return true
        }
    }

    func stop() {
        state.withLock { state in
            state.isStopped = true
            if let waker = state.waker { fetch_wake(waker.loop) }
        }
    }

    func attach(_ waker: Waker?) { state.withLock { $0.waker = waker } }

    /// The jobs since the last call, and whether the thread goes on.
    func take() -> (jobs: [Fetcher.Job], goesOn: Bool) {
        state.withLock { state in
            defer { state.jobs = [] }
            return (state.jobs, !state.isStopped)
        }
    }
}
