import Glibc
import ShuntCore

/// Plugins as a command's arguments name them: by their folders, by a folder of plugins, by one of their files.
public struct RulePaths: Sendable {
    private let paths: [String]

    /// The files of plugins, each with what changes when somebody writes it, or lets others read it.
    public struct Snapshot: Equatable, Sendable {
        fileprivate struct Stamp: Equatable {
            /// When it was changed last, its mode too: nobody can set that back.
            var seconds: Int
            var nanoseconds: Int
            var size: Int
            var inode: UInt
        }

        fileprivate var files: [String: Stamp] = [:]

        public init() {}

        /// The files that are new, gone or written since, sorted.
        public func changes(since before: Snapshot) -> [String] {
            Set(files.keys).union(before.files.keys).filter { files[$0] != before.files[$0] }.sorted()
        }
    }

    public init(_ paths: [String]) { self.paths = paths.map(Self.folder) }

    /// The folders of the plugins, each once.
    public func directories() throws(ShuntError) -> [String] {
        var found: [String] = []
        for path in paths {
            let names = try RulePlugin.names(in: path)
            // In a folder of plugins, a plugin's folder without a rule.lua gets a warning.
            found += names.isEmpty ? [path] : try RulePlugin.folders(in: path).map { "\(path)/\($0)" }
        }
        var known: Set<String> = []
        return found.filter { known.insert(Self.resolved($0)).inserted }
    }

    /// Without links and dots; as it is where it can't be resolved.
    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    /// The Lua files of the plugins as they are now, those of plugins that are new too; nothing where the folders can't be read.
    public func snapshot() -> Snapshot {
        var snapshot = Snapshot()
        guard let directories = try? directories() else { return snapshot }
        for directory in directories {
            for file in (try? RulePlugin.luaFiles(in: directory)) ?? [] {
                let path = "\(directory)/\(file)"
                var status = stat()
                guard stat(path, &status) == 0 else { continue }
                snapshot.files[path] = Snapshot.Stamp(
                    seconds: status.st_ctim.tv_sec, nanoseconds: status.st_ctim.tv_nsec, size: Int(status.st_size), inode: UInt(status.st_ino))
            }
        }
        return snapshot
    }

    /// The folder of a plugin that is named by one of its files.
    private static func folder(_ path: String) -> String {
        for file in ["rule.lua", "rule_test.lua"] {
            if path == file { return "." }
            if path.hasSuffix("/" + file) { return path.count > file.count + 1 ? String(path.dropLast(file.count + 1)) : "/" }
        }
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }
}
