import ShuntBench
import ShuntCore
import Synchronization

/// Many clients. Several connect at a time: some servers leave each waiting for a while.
enum Crowd {
    private static let atATime = 32

    /// - Parameter connect: makes the client of that number; on any thread.
    /// - Returns: them in order.
    static func connect(_ count: Int, _ connect: @escaping @Sendable (Int) throws -> Socket) throws -> [Socket] {
        let found = Mutex<[Int: Result<Socket, any Error>]>([:])
        let next = Atomic<Int>(0)
        let threads = (0..<min(count, atATime)).map { _ in
            LoadThread {
                while true {
                    let number = next.add(1, ordering: .relaxed).oldValue
                    guard number < count else { return }
                    let socket = Result { try connect(number) }
                    found.withLock { $0[number] = socket }
                    if case .failure = socket { next.store(count, ordering: .relaxed) }
                }
            }
        }
        for thread in threads { thread.join() }
        let sockets = found.withLock { $0 }
        for case .failure(let error) in sockets.values { throw error }
        return try (0..<count).compactMap { try sockets[$0]?.get() }
    }
}
