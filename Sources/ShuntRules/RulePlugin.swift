import CLuaHost
import Glibc
import LuaSyntax
import ShuntCore

/// A plugin's folder, read from disk: `rule.lua`, what it may require, and its tests.
public struct RulePlugin: Equatable, Sendable {
    struct Source: Equatable, Sendable {
        /// From the folder on, with slashes.
        var path: String
        var text: [UInt8]
    }

    /// The folder's name.
    public let name: String
    /// Where it was read.
    public let directory: String
    /// `rule.lua` first.
    let sources: [Source]
    let test: Source?

    private static let ruleFile = "rule.lua"
    private static let testFile = "rule_test.lua"
    private static let depth = 4
    /// Lua files of one plugin.
    private static let most = 256

    /// Reads a plugin's folder.
    /// - Throws: `rule.missing` where there is no rule.lua, `rule.invalid` where files can't be read or are too large.
    public init(directory: String, limits: RuleLimits = RuleLimits()) throws(ShuntError) {
        var path = directory
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        self.directory = path
        name = Self.name(of: path)
        var files = try Self.luaFiles(in: path)
        guard let rule = files.firstIndex(of: Self.ruleFile) else {
            throw ShuntError(
                .ruleMissing, "the plugin \(name) has no rule.lua", at: path,
                help: "write it; a folder that is no plugin is not among them, or its name begins with a dot")
        }
        files.swapAt(0, rule)
        guard files.count <= Self.most else {
            throw ShuntError(.ruleInvalid, "the plugin has \(files.count) Lua files", at: path, help: "at most \(Self.most)")
        }
        var total = 0
        var sources: [Source] = []
        var test: Source?
        for file in files {
            let text = try Self.read(path + "/" + file, limit: limits.fileBytes)
            total += text.count
            guard total <= limits.pluginBytes else {
                throw ShuntError(.ruleInvalid, "the plugin's files are more than \(limits.pluginBytes) bytes together", at: path)
            }
            if file == Self.testFile {
                test = Source(path: file, text: text)
            } else {
                sources.append(Source(path: file, text: text))
            }
        }
        self.sources = sources
        self.test = test
    }

    /// The folder's own name, where the path ends with dots too.
    private static func name(of path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        guard last == "." || last == "..", let whole = realpath(path, nil) else { return last }
        defer { free(whole) }
        return String(cString: whole).split(separator: "/").last.map(String.init) ?? path
    }

    /// The plugins of a directory: the names of its folders that have a rule.lua, sorted.
    public static func names(in directory: String) throws(ShuntError) -> [String] {
        try entries(of: directory).filter { access("\(directory)/\($0)/\(ruleFile)", F_OK) == 0 }
    }

    /// The folders of a directory, sorted: each should be a plugin, and so should a link to nothing.
    public static func folders(in directory: String) throws(ShuntError) -> [String] {
        try entries(of: directory).filter { name in
            var status = stat()
            let path = "\(directory)/\(name)"
            return stat(path, &status) == 0 ? status.st_mode & S_IFMT == S_IFDIR : lstat(path, &status) == 0
        }
    }

    /// What a folder, or a link to one, is known by while it is renamed.
    public struct Entry: Equatable, Sendable {
        let device: UInt
        let inode: UInt

        init?(_ path: String) {
            var status = stat()
            guard lstat(path, &status) == 0 else { return nil }
            (device, inode) = (UInt(status.st_dev), UInt(status.st_ino))
        }
    }

    /// The folders of a directory; none where it can't be read.
    public static func entries(in directory: String) -> [String: Entry] {
        let names = (try? folders(in: directory)) ?? []
        return Dictionary(names.compactMap { name in Entry("\(directory)/\(name)").map { (name, $0) } }) { first, _ in first }
    }

    /// Whether an operator has renamed a plugin's folder, so that it does not run: a copy beside it says nothing.
    /// - Parameter entry: the folder, when it was read.
    public static func isHidden(_ name: String, in directory: String, _ entry: Entry?) -> Bool {
        entry != nil && Entry("\(directory)/.\(name)") == entry
    }

    /// What is to be said of its files, besides what is wrong with them.
    func fileWarnings() -> [ShuntError] { globalWarnings() + misnamedTests() }

    /// Warns of files that look like the rule's tests and are not: they have another name, and nothing requires them.
    private func misnamedTests() -> [ShuntError] {
        guard test == nil else { return [] }
        return sources.dropFirst().compactMap { source in
            let name = source.path.dropLast(".lua".utf8.count)
            let words = name.split { !$0.isLetter }.map { $0.lowercased() }
            guard words.contains(where: { ["test", "tests", "spec"].contains($0) }), !isRequired(String(name)) else { return nil }
            return ShuntError(
                .ruleInvalid, "\(source.path) is not run as the rule's tests", at: "\(directory)/\(source.path)",
                help: "tests stand in \(Self.testFile), beside rule.lua")
        }
    }

    private func isRequired(_ name: String) -> Bool {
        let spellings = [name, name.split(separator: "/").joined(separator: ".")]
        return sources.contains { source in
            let text = String(decoding: source.text, as: UTF8.self)
            return spellings.contains { text.contains("\"\($0)\"") || text.contains("'\($0)'") || text.contains("[[\($0)]]") }
        }
    }

    /// Bytes of its files.
    public var bytes: Int { sources.reduce(test?.text.count ?? 0) { $0 + $1.text.count } }

    /// The Lua files of a plugin's folder, from the folder on.
    static func luaFiles(in directory: String) throws(ShuntError) -> [String] { try luaFiles(in: directory, below: "", depth: depth) }

    private static func luaFiles(in directory: String, below prefix: String, depth: Int) throws(ShuntError) -> [String] {
        var files: [String] = []
        for entry in try entries(of: directory + "/" + prefix) {
            let path = prefix + entry
            if entry.hasSuffix(".lua") {
                files.append(path)
            } else if depth > 1, isDirectory(directory + "/" + path) {
                files += try luaFiles(in: directory, below: path + "/", depth: depth - 1)
            }
        }
        return files
    }

    private static func entries(of directory: String) throws(ShuntError) -> [String] {
        guard let stream = opendir(directory) else {
            throw ShuntError(.ruleMissing, "can't read the folder: \(String(cString: strerror(errno)))", at: directory)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        // Not through a link: a plugin is its own folder.
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func read(_ path: String, limit: Int) throws(ShuntError) -> [UInt8] {
        // A pipe without a writer must not hold up who opens it.
        let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        var status = stat()
        guard file >= 0, fstat(file, &status) == 0 else {
            throw ShuntError(.ruleInvalid, "can't read the file: \(String(cString: strerror(errno)))", at: path)
        }
        defer { close(file) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ShuntError(.ruleInvalid, "not a regular file", at: path) }
        var text = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < text.count {
            let got = text[count...].withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            guard got > 0 else { break }
            count += got
        }
        guard count <= limit else {
            throw ShuntError(.ruleInvalid, "the file is more than \(limit) bytes", at: path)
        }
        text.removeSubrange(count...)
        return text
    }

    /// Whether a text stands in one of the files or their paths, the tests left out.
    /// - Parameter searched: counts the bytes that were looked through.
    func contains(_ text: Bytes, searched: inout Int) -> Bool {
        func stands(in whole: UnsafeRawBufferPointer) -> Bool {
            searched += whole.count
            return shunt_contains(shunt_bytes(whole), shunt_bytes(text))
        }
        return sources.contains { source in
            var path = name + "/" + source.path
            return path.withUTF8({ stands(in: UnsafeRawBufferPointer($0)) }) || source.text.withUnsafeBytes(stands)
        }
    }

    // MARK: places

    /// `path/to/plugin/rule.lua:12` of a message like `plugin/rule.lua:12: what`, and what.
    func located(_ message: String) -> (location: String, text: String) {
        let parts = message.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].hasPrefix(name + "/"), Int(parts[1]) != nil else {
            return (directory + "/" + Self.ruleFile, message)
        }
        return ("\(directory)\(parts[0].dropFirst(name.count)):\(parts[1])", String(parts[2].drop { $0 == " " }))
    }

    /// The text of a failure with paths of its files as they are found, where it has them from the plugin's name on.
    func placed(_ failure: String) -> String {
        sources.reduce(failure) { text, source in
            text.replacing(" \(name)/\(source.path):", with: " \(directory)/\(source.path):")
        }
    }

    /// Where rule.lua sets a key of the rule's table, as far as its text tells; with a dot a key of a table in it, such as `budget.time`.
    func location(of key: String) -> String {
        let place = directory + "/" + Self.ruleFile
        guard let tree = try? LuaTree(LuaSource(sources[0].text)), let offset = RuleOutline(tree).offset(of: key) else { return place }
        return "\(place):\(tree.source.place(offset).line)"
    }
}
