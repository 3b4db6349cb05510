import GRDBSQLite
import Synchronization

/// Ends a query from another thread.
///
/// SQLite looks at it between two steps, and some of its longer steps (counting, checking a file's integrity) look too.
final class QueryInterrupt: Sendable {
    enum Reason: Int {
        case none, late, stopped
    }

    private let state = Mutex(State())

    private struct State: Sendable {
        var reason = Reason.none
        /// The connection's address; nil while none is open.
        var connection: Int?
    }

    private let isSet = Atomic(false)

    /// Why the query is to end. Cheap while it is not.
    var reason: Reason { isSet.load(ordering: .relaxed) ? state.withLock { $0.reason } : .none }

    /// The first reason counts.
    func end(_ reason: Reason) {
        state.withLock { state in
            if state.reason == .none { state.reason = reason }
            isSet.store(true, ordering: .relaxed)
            // The lock keeps the connection from being closed meanwhile.
            if let connection = state.connection { sqlite3_interrupt(OpaquePointer(bitPattern: connection)) }
        }
    }

    func opened(_ connection: OpaquePointer) {
        state.withLock { $0.connection = Int(bitPattern: connection) }
    }

    /// To be called before the connection is closed.
    func closing() {
        state.withLock { $0.connection = nil }
    }
}
