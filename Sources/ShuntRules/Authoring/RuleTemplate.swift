import Glibc
import ShuntCore

/// A plugin to start from.
public struct RuleTemplate: Sendable {
    /// What the rule decides about.
    public enum Kind: String, CaseIterable, Sendable { case message, connect, broadcast, chat }

    public let name: String
    public let kind: Kind

    /// - Throws: `usage` where a configuration could not name such a plugin.
    public init(name: String, kind: Kind) throws(ShuntError) {
        let isName = name.utf8.allSatisfy(Self.isAllowed) && (1...64).contains(name.utf8.count)
        guard isName, name != "all" else {
            let reason = name == "all" ? "means all plugins in a configuration" : "is not the name of a plugin"
            throw ShuntError(.usage, "'\(name)' \(reason)", help: Self.help(for: name))
        }
        self.name = name
        self.kind = kind
    }

    /// The files by their names: the rule, its tests, its page.
    public var files: [(name: String, text: String)] {
        let texts = kind.texts
        return [("rule.lua", texts.rule), ("rule_test.lua", texts.tests), ("README.md", texts.page)].map {
            ($0, $1.replacing("NAME", with: name) + "\n")
        }
    }

    /// Makes the plugin's folder, and the directory where there is none yet.
    /// - Returns: the folder.
    /// - Throws: `usage` where there is such a folder or file already, `io.failed` where it cannot be written; then nothing is left of it.
    public func write(in directory: String) throws(ShuntError) -> String {
        var directory = directory
        while directory.count > 1, directory.hasSuffix("/") { directory.removeLast() }
        let folder = "\(directory)/\(name)"
        var made = ""
        for part in directory.split(separator: "/", omittingEmptySubsequences: false) {
            made += made.isEmpty && !part.isEmpty ? String(part) : "/" + part
            guard mkdir(made, 0o777) == 0 || errno == EEXIST || errno == EISDIR else { throw Self.failure(made) }
        }
        guard mkdir(folder, 0o777) == 0 else {
            guard errno == EEXIST else { throw Self.failure(folder) }
            throw ShuntError(
                .usage, "there is a \(folder) already, and nothing is written over", help: "take another name, or another directory by --in")
        }
        for (name, text) in files {
            do throws(ShuntError) {
                try Self.write(text, to: "\(folder)/\(name)")
            } catch {
                for (name, _) in files { unlink("\(folder)/\(name)") }
                rmdir(folder)
                throw error
            }
        }
        return folder
    }

    private static func write(_ text: String, to path: String) throws(ShuntError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw failure(path) }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw failure(path) }
    }

    private static func failure(_ path: String) -> ShuntError {
        ShuntError(.ioFailed, "\(path) cannot be written: \(String(cString: strerror(errno)))")
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x5F
    }

    private static func help(for name: String) -> String {
        let rule = "take 1 to 64 of a-z, A-Z, 0-9, - and _"
        // Other characters become one hyphen between the rest.
        let near = name.utf8.split { !isAllowed($0) }.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "-").prefix(64)
        return near.isEmpty || near == "all" ? rule : "\(rule), such as \(near)"
    }
}
