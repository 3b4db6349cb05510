import Glibc
import ShuntCore
import Synchronization

/// Runs what takes long on a thread of its own, behind the loops, and waits for it.
enum OwnThread {
    /// Rules nest as deeply as Lua allows.
    private static let stack = 16 << 20
    /// Loops go first where the processors are busy.
    private static let niceness: Int32 = 10

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    static func start(isNice: Bool = true, _ body: @escaping @Sendable () -> Void) throws(ShuntError) -> pthread_t {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stack)
        defer { pthread_attr_destroy(&attributes) }
        // The thread is handed the work, and releases it.
        let work = Unmanaged.passRetained(
            Work {
                if isNice { lowerPriority() }; body()
            })
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                // What pthread_create was given, above.
                Unmanaged<Work>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        guard status == 0 else {
            work.release()
            throw ShuntError(.internalError, "no thread for the rules: \(String(cString: strerror(status)))")
        }
        return thread
    }

    /// On Linux a thread has a priority of its own.
    private static func lowerPriority() { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }

    /// The same, and nobody waits for it.
    static func startDetached(isNice: Bool = true, _ body: @escaping @Sendable () -> Void) throws(ShuntError) {
        pthread_detach(try start(isNice: isNice, body))
    }

    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws(ShuntError) -> Value) throws(ShuntError) -> Value {
        let result = Answer<Value>()
        let thread = try start {
            do throws(ShuntError) {
                let value = try body()
                result.value.withLock { $0 = .success(value) }
            } catch {
                result.value.withLock { $0 = .failure(error) }
            }
        }
        pthread_join(thread, nil)
        switch result.value.withLock({ $0 }) {
        case .success(let value)?: return value
        case .failure(let error)?: throw error
        case nil: throw ShuntError(.internalError, "a thread for the rules has ended without an answer")
        }
    }

    private final class Answer<Value: Sendable>: Sendable {
        let value = Mutex<Result<Value, ShuntError>?>(nil)
    }
}
