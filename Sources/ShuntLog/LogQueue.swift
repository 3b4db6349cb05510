import Glibc

/// The lines that wait to be written, bounded: any thread appends, the log's thread takes.
///
/// `@unchecked Sendable`: everything mutable is touched only under `mutex`; the pointers themselves never change.
final class LogQueue: @unchecked Sendable {
    struct Capacity: Sendable {
        var lines = 8192
        var bytes = 4 << 20
    }

    /// The lines that the log's thread writes next.
    struct Batch {
        var lines: [UInt8]
        /// Lines that found no room since the last batch.
        var dropped: Int
    }

    private let capacity: Capacity
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// Signalled when lines have come, when the queue is closed, and when a batch is written.
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [UInt8] = []
    private var lines = 0
    private var dropped = 0
    private var isWriting = false
    private var isClosed = false

    init(capacity: Capacity) {
        self.capacity = capacity
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Never waits for the writer: a line that does not fit is counted and dropped.
    func append(_ line: [UInt8]) {
        locked {
            guard lines < capacity.lines, waiting.count + line.count <= capacity.bytes else {
                dropped += 1
                return
            }
            waiting += line
            lines += 1
            // Otherwise the thread is awake already, or has been told.
            if lines == 1 { pthread_cond_broadcast(changed) }
        }
    }

    /// Waits for lines and takes them all; the batch before counts as written.
    /// - Returns: nil once the queue is closed and empty.
    func take() -> Batch? {
        locked {
            isWriting = false
            pthread_cond_broadcast(changed)
            while lines == 0 && dropped == 0 && !isClosed { pthread_cond_wait(changed, mutex) }
            guard lines > 0 || dropped > 0 else { return nil }
            let batch = Batch(lines: waiting, dropped: dropped)
            waiting = []
            lines = 0
            dropped = 0
            isWriting = true
            return batch
        }
    }

    /// - Returns: false if the time was up first.
    func waitUntilWritten(within limit: Duration) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + Int(limit.components.attoseconds / 1_000_000_000)
        deadline.tv_sec += Int(limit.components.seconds) + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        return locked {
            while lines > 0 || dropped > 0 || isWriting {
                if pthread_cond_timedwait(changed, mutex, &deadline) != 0 { break }
            }
            return lines == 0 && dropped == 0 && !isWriting
        }
    }

    /// Lets the thread end after it has written the lines that wait.
    func close() {
        locked {
            isClosed = true
            pthread_cond_broadcast(changed)
        }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}
