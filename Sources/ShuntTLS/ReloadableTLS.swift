import ShuntCore
import Synchronization

/// TLS whose files may change: what new connections get.
public final class ReloadableTLS: Sendable {
    private let settings: TLSSettings
    private let role: TLSContext.Role
    private let tickets = TicketKeys()
    private let figures = TLSFigures()
    private let state: Mutex<TLSContext>

    /// Reads the files.
    /// - Throws: `tls.invalid`, with the setting as the place.
    public init(_ settings: TLSSettings, role: TLSContext.Role) throws(ShuntError) {
        self.settings = settings
        self.role = role
        state = Mutex(try TLSContext(settings, role: role, tickets: tickets, figures: figures))
    }

    public var context: TLSContext { state.withLock { $0 } }

    /// Reads the files again. Connections that are open stay as they are.
    /// - Returns: whether anything is new.
    /// - Throws: `tls.invalid`; then the old files count.
    public func reload() throws(ShuntError) -> Bool {
        let new = try TLSContext(settings, role: role, tickets: tickets, figures: figures)
        return state.withLock { old in
            guard !new.isSame(as: old) else { return false }
            old = new
            return true
        }
    }
}
