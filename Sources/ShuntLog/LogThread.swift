import Glibc

/// The thread that writes the log.
enum LogThread {
    private final class Work: Sendable {
        let queue: LogQueue
        let sink: @Sendable ([UInt8]) -> Void
        let dropped: @Sendable (Int) -> [UInt8]

        init(queue: LogQueue, sink: @escaping @Sendable ([UInt8]) -> Void, dropped: @escaping @Sendable (Int) -> [UInt8]) {
            self.queue = queue
            self.sink = sink
            self.dropped = dropped
        }

        func run() {
            while let batch = queue.take() {
                if !batch.lines.isEmpty { sink(batch.lines) }
                if batch.dropped > 0 { sink(dropped(batch.dropped)) }
            }
        }
    }

    /// - Parameters:
    ///   - sink: writes whole lines; may block.
    ///   - dropped: the line that tells how many were dropped.
    static func start(
        queue: LogQueue, sink: @escaping @Sendable ([UInt8]) -> Void, dropped: @escaping @Sendable (Int) -> [UInt8]
    ) {
        // Kept for the thread, which releases it; or here, if no thread starts.
        let work = Unmanaged.passRetained(Work(queue: queue, sink: sink, dropped: dropped))
        // The thread inherits the mask. Other threads handle signals; while SIGPIPE is blocked, a write to a closed pipe only fails.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                // The thread's argument is `work`, retained for it.
                Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, work.toOpaque())
        if failure == 0 { pthread_detach(thread) } else { work.release() }
    }
}
