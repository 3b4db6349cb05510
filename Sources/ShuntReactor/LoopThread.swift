import CLinux
import CUV
import Glibc
import ShuntCore
import Synchronization

// Unsafe: libuv's handles are C structs. The `data` of each is an uncounted reference to its owner, which lives until the handle is closed.

/// A running event loop and its handler, as other threads see them.
public final class LoopThread<Handler: EventLoopHandler>: Sendable {
    public let index: UInt8
    private let mailbox: LoopMailbox<Handler>
    private let thread: Mutex<pthread_t?>

    /// Starts a thread that runs an event loop.
    /// - Parameters:
    ///   - makeHandler: called on the new thread; what it returns lives there and is seen elsewhere only through `post`.
    /// - Throws: `internal` if the system gives no thread or event queue.
    public init(
        index: UInt8, name: String, limits: ConnectionLimits,
        makeHandler: @escaping @Sendable (EventLoop) -> Handler
    ) throws(ShuntError) {
        self.index = index
        guard let waker = LoopWaker() else {
            throw ShuntError(.internalError, "no event queue for \(name): \(systemMessage(errno))")
        }
        let mailbox = LoopMailbox<Handler>(waker)
        self.mailbox = mailbox
        let start = ThreadStart(name: name) {
            let loop = EventLoop(index: index, limits: limits, waker: waker)
            let handler = makeHandler(loop)
            loop.handler = handler
            waker.attach {
                loop.wake()
                for job in mailbox.take() { job(handler) }
            }
            withExtendedLifetime(handler) { loop.run() }
            waker.ended()
        }
        thread = Mutex(try start.thread())
    }

    /// Runs `job` with the handler on the loop's thread, soon. Not run once the loop has ended.
    public func post(_ job: @escaping @Sendable (Handler) -> Void) { mailbox.post(job) }

    /// Waits for the thread to end; its handler calls `EventLoop.shutDown` when it has been told to.
    public func join() {
        let handle = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let handle { pthread_join(handle, nil) }
    }
}

/// What a new thread starts with.
private final class ThreadStart: Sendable {
    private let name: String
    private let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }

    func thread() throws(ShuntError) -> pthread_t {
        var handle = pthread_t()
        let argument = Unmanaged.passRetained(self).toOpaque()
        let status = pthread_create(
            &handle, nil,
            { argument in
                let start = Unmanaged<ThreadStart>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue()
                linux_name_thread(String(start.name.prefix(15)))
                start.body()
                return nil
            }, argument)
        guard status == 0 else {
            Unmanaged<ThreadStart>.fromOpaque(argument).release()
            throw ShuntError(.internalError, "no thread for \(name): \(systemMessage(status))")
        }
        return handle
    }
}

/// Jobs from other threads for the handler of a loop.
private final class LoopMailbox<Handler: EventLoopHandler>: Sendable {
    private let waker: LoopWaker
    private let jobs = Mutex<[@Sendable (Handler) -> Void]>([])

    init(_ waker: LoopWaker) { self.waker = waker }

    func post(_ job: @escaping @Sendable (Handler) -> Void) {
        let isFirst = jobs.withLock { jobs in
            jobs.append(job)
            return jobs.count == 1
        }
        if isFirst, !waker.wake() { jobs.withLock { $0 = [] } }
    }

    func take() -> [@Sendable (Handler) -> Void] {
        jobs.withLock { jobs in
            defer { jobs = [] }
            return jobs
        }
    }
}

/// A libuv loop, and the one way for other threads to wake it.
///
/// `@unchecked Sendable`: `uv_async_send` is the one libuv call that any thread may make, and is made under the mutex that
/// `close` takes before the handle goes; all else is touched by the loop's thread alone.
final class LoopWaker: @unchecked Sendable {
    let uv: UnsafeMutablePointer<uv_loop_t>
    private let async: UnsafeMutablePointer<uv_async_t>
    private let isOpen = Mutex(true)
    private var onWake: (() -> Void)?

    init?() {
        uv = .allocate(capacity: 1)
        async = .allocate(capacity: 1)
        guard uv_loop_init(uv) == 0 else {
            uv.deallocate()
            async.deallocate()
            return nil
        }
        uv_async_init(uv, async) { handle in
            let waker = Unmanaged<LoopWaker>.fromOpaque(handle.unsafelyUnwrapped.pointee.data.unsafelyUnwrapped)
            waker.takeUnretainedValue().onWake?()
        }
        async.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    }

    /// On the loop's thread, before it runs. What came before is looked at first.
    func attach(_ onWake: @escaping () -> Void) {
        self.onWake = onWake
        uv_async_send(async)
    }

    /// - Returns: false once the loop has ended.
    func wake() -> Bool {
        isOpen.withLock { isOpen in
            if isOpen { uv_async_send(async) }
            return isOpen
        }
    }

    /// On the loop's thread.
    func close() {
        isOpen.withLock { $0 = false }
        uv_close(UnsafeMutableRawPointer(async).assumingMemoryBound(to: uv_handle_t.self), nil)
    }

    /// On the loop's thread, after it ran.
    func ended() {
        onWake = nil
        uv_loop_close(uv)
        uv.deallocate()
        async.deallocate()
    }
}
