import CLuaHost
import ShuntCore

/// `shared` of the rules: one a worker, handed to every loop.
///
/// `@unchecked Sendable` is true because the C store holds a lock in every function.
public final class SharedStore: @unchecked Sendable {
    let store: OpaquePointer

    public init(limits: RuleLimits = RuleLimits()) throws(ShuntError) {
        guard let store = shunt_store_create(UInt32(clamping: limits.sharedEntries), limits.sharedBytes) else {
            throw ShuntError(.memoryLimit, "no memory for the rules' shared store")
        }
        self.store = store
    }

    deinit { shunt_store_free(store) }

    /// How many keys there are, those that expired and were not yet let go among them.
    public var count: Int { shunt_store_count(store) }
}
