import Logging
import ShuntCore

/// The master's registry: metadata, never anything of a message.
public final class Registry: Sendable {
    /// Reads beside the writer, without waiting for it.
    public let reader: any RegistryReader
    public let writer: RegistryWriter
    let store: any RegistryStore

    init(store: any RegistryStore, reader: any RegistryReader, writing: RegistryWriter.Configuration, logger: Logger) {
        self.store = store
        self.reader = reader
        writer = RegistryWriter(store: store, configuration: writing, logger: logger)
    }

    /// Where it is, as people know it.
    public var path: String { reader.path }

    /// nil while changes are written, else why they are not.
    public var problem: ShuntError? { writer.problem }

    /// Writes what waits, then closes the store. The registry cannot be used afterwards.
    /// - Throws: what keeps it from being written; `writer.figures` tell how much is lost.
    public func close() async throws(ShuntError) {
        let written = await writer.close()
        try await store.close()
        try written.get()
    }
}
