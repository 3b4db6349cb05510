// Semaphores may be used by any thread, which their type does not say yet.
@preconcurrency import Dispatch
import Glibc
import ShuntCore
import ShuntRules
import Synchronization

/// A thread that looks after the rules while the loops work: whether their files change, whether a new version does well.
final class RuleKeeper: Sendable {
    private let deployments: RuleDeployments
    private let wake = DispatchSemaphore(value: 0)
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<pthread_t?>(nil)

    /// Seconds between two looks, and for how long changed files must stay the same before they are read: an editor writes them, moves them
    /// and sets their times.
    private static let interval = 0.2

    init(_ deployments: RuleDeployments) { self.deployments = deployments }

    func start() throws(ShuntError) {
        let handle = try OwnThread.start(isNice: false) { [self] in run() }
        thread.withLock { $0 = handle }
    }

    /// Something may be to do.
    func look() { wake.signal() }

    func stop() {
        deployments.stop()
        isStopping.store(true, ordering: .relaxed)
        wake.signal()
        let handle = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let handle { pthread_join(handle, nil) }
    }

    private func run() {
        var changed: RulePaths.Snapshot?
        while !isStopping.load(ordering: .relaxed) {
            if deployments.isWatching || deployments.isGuarding {
                _ = wake.wait(timeout: .now() + Self.interval)
            } else {
                wake.wait()
            }
            guard !isStopping.load(ordering: .relaxed) else { return }
            deployments.look()
            let now = deployments.isWatching ? deployments.changedFiles() : nil
            if now != nil, now == changed {
                deployments.reloadChanged()
                changed = nil
            } else {
                changed = now
            }
        }
    }
}
