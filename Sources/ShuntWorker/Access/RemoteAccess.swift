import Logging
import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntFetch
import Synchronization

/// What is asked over HTTP about clients: keys for tokens, services. Listeners with the same settings share one; what is known stays where the
/// settings do.
final class RemoteAccess: Sendable {
    /// By the numbers of listeners.
    private struct State {
        var keys: [Int: RemoteKeys] = [:]
        var services: [Int: AccessService] = [:]

        var allKeys: [RemoteKeys] { keys.values.uniqued() }
        var allServices: [AccessService] { services.values.uniqued() }
    }

    private let fetcher = Fetcher()
    private let state = Mutex(State())
    private let ticks = Atomic<Int>(0)
    private let logger: Logger

    init(_ doors: [Door], _ logger: Logger) {
        self.logger = logger
        set(doors)
    }

    func set(_ doors: [Door]) {
        let before = state.withLock { $0 }
        var (keys, services) = (before.allKeys, before.allServices)
        var next = State()
        for (listener, door) in doors.enumerated() {
            if case .address(let settings, _)? = door.tokens {
                let found = keys.first { $0.settings == settings } ?? RemoteKeys(settings, fetcher, logger)
                keys.append(found)
                next.keys[listener] = found
            }
            if let settings = door.service {
                let found = services.first { $0.settings == settings } ?? AccessService(settings, fetcher, logger)
                services.append(found)
                next.services[listener] = found
            }
        }
        state.withLock { $0 = next }
    }

    func keys(of listener: Int) -> RemoteKeys? { state.withLock { $0.keys[listener] } }
    func service(of listener: Int) -> AccessService? { state.withLock { $0.services[listener] } }

    /// Called regularly.
    func tick() {
        let state = state.withLock { $0 }
        for keys in state.allKeys { keys.tick() }
        // A look at every answer is not for each call.
        guard ticks.wrappingAdd(1, ordering: .relaxed).newValue % 64 == 0 else { return }
        for service in state.allServices { service.tick() }
    }

    /// Ends what is under way. Not from a decision.
    func stop() { fetcher.stop() }

    var allKeys: [RemoteKeys] { state.withLock { $0.allKeys } }
    var allServices: [AccessService] { state.withLock { $0.allServices } }
}

extension Collection where Element: AnyObject {
    /// Each object once.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<ObjectIdentifier> = []
        return filter { seen.insert(ObjectIdentifier($0)).inserted }
    }
}
