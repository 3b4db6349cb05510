import Logging
import ShuntCore

extension Registry {
    /// Opens the registry in the SQLite file at `path`, creating its folder and its tables where they are missing.
    ///
    /// Blocks while it opens: call it at the start, off any loop.
    /// Throws `registry.invalid` for a file that is not a registry, which is left untouched, and `registry.unavailable`
    /// where it cannot be opened, or another master has it.
    public static func open(
        path: String, writing: RegistryWriter.Configuration = .init(), logger: Logger
    ) throws(ShuntError) -> Registry {
        let store = try SQLiteStore(path: path, historyKept: writing.historyKept)
        return Registry(store: store, reader: SQLiteReader(pool: store.pool, path: store.path), writing: writing, logger: logger)
    }

    /// A reader of the file at `path`, whether a master has it open, has closed it, or was killed. Throws `registry.unavailable`
    /// where there is none or it cannot be read, `registry.invalid` where it is something else. Blocks while it looks.
    public static func openReader(path: String) throws(ShuntError) -> any RegistryReader {
        try SQLiteReader(path: path)
    }
}
