import Glibc
import Synchronization

/// Runs `body` on a thread of its own.
public final class LoadThread: Sendable {
    // `nonisolated(unsafe)`: written before the initialiser returns, only read later.
    private nonisolated(unsafe) var handle = pthread_t()
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    public init(_ body: @escaping @Sendable () -> Void) {
        // Retained for the thread, which releases it.
        let argument = Unmanaged.passRetained(Body(body)).toOpaque()
        pthread_create(
            &handle, nil,
            { argument in
                // The argument above, which is never nil.
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, argument)
    }

    public func join() { pthread_join(handle, nil) }
}

/// Set once, by any thread.
public final class OneTimeFlag: Sendable {
    private let value = Atomic<Bool>(false)
    public init() {}
    public var isSet: Bool { value.load(ordering: .acquiring) }
    public func set() { value.store(true, ordering: .releasing) }
}

/// Descriptors that the process may have open.
public enum DescriptorLimit {
    /// As many as the machine allows.
    /// - Returns: how many that is.
    @discardableResult
    public static func raise() -> Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
