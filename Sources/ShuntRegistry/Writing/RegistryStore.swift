import ShuntCore

/// A database that keeps what the writer gives it.
protocol RegistryStore: Sendable {
    /// Why nothing can be written, as far as that shows without a try; nil where it does not. Asked on any thread: looks at once.
    var fault: ShuntError? { get }

    /// Writes all of the batch, or nothing of it. Blocks; the writer calls it on its own queue, one call at a time.
    /// - Parameter keepingEvents: how many events stay, the newest.
    func write(_ batch: RegistryBatch, keepingEvents: Int) throws(RegistryWriteFailure)

    /// Writes the file anew without the room that nothing takes. Blocks; the writer calls it on its own queue.
    func vacuum() throws(ShuntError) -> RegistryVacuum

    /// Called once, after the last write.
    func close() async throws(ShuntError)
}

/// Why a batch was not written.
struct RegistryWriteFailure: Error {
    var error: ShuntError
    /// Whether the same batch may be written later; otherwise there is no use in keeping it.
    var mayPass: Bool
}

/// What one transaction writes.
struct RegistryBatch: Sendable {
    var changes: PendingChanges
    var devices: RowChunk<DeviceUpdate>
    var chats: RowChunk<ChatUpdate>
    var clients: RowChunk<ClientUpdate>
    var history = RowChunk<HistoryUpdate>()

    var isEmpty: Bool { changes.isEmpty && devices.count + chats.count + clients.count + history.count == 0 }
}
