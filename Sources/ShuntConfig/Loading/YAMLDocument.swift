import ShuntCore
import Yams

/// Reads YAML into nodes.
package enum YAMLDocument {
    /// The source of a text, which decides how a place in it is written.
    package enum Source {
        case file(String)
        /// `--set key` or a variable's name: too short for lines and columns.
        case named(String)

        /// - Parameter mark: in the text that was parsed, which has a line of its own before the first.
        func location(_ mark: Mark?) -> String {
            location(line: mark.map { max(1, $0.line - 1) }, column: mark?.column)
        }

        /// Lines and columns count from 1.
        func location(line: Int?, column: Int?) -> String {
            guard case .file(let path) = self else { return name }
            guard let line, let column else { return path }
            return "\(path):\(line):\(column)"
        }

        private var name: String {
            switch self {
            case .file(let name), .named(let name): name
            }
        }
    }

    /// Bounds the values that aliases (`*name`) can make of a small text.
    static let maximumNodes = 100_000
    static let maximumDepth = 64

    /// The root of the document; nil if the text is empty or has only comments.
    package static func parse(_ text: String, from source: Source) throws(ShuntError) -> ConfigNode? {
        do {
            // The basic resolver uses no regular expressions; the key's type says what a scalar means.
            let parser = try Parser(yaml: preamble + body(of: text), resolver: .basic, constructor: .default, encoding: .utf8)
            guard let root = try parser.singleRoot() else { return nil }
            var reader = NodeReader(source: source)
            return try reader.read(root, depth: 0)
        } catch let error as ShuntError {
            throw error
        } catch let error as YamlError {
            throw translate(error, of: text, from: source)
        } catch {
            throw ShuntError(.configInvalid, "not YAML", at: source.location(nil))
        }
    }

    /// Yams keeps a pointer to the text's bytes, and strings up to 15 bytes have none that stay: this makes it longer. It stands before the
    /// text, since an addition at the end may become part of the last value.
    private static let preamble = "#               \n"

    /// A byte order mark is a mark only where the text begins.
    private static func body(of text: String) -> Substring {
        text.unicodeScalars.first == "\u{FEFF}" ? Substring(text.unicodeScalars.dropFirst()) : text[...]
    }

    private struct NodeReader {
        let source: Source
        var nodes = 0

        mutating func read(_ node: Node, depth: Int) throws(ShuntError) -> ConfigNode {
            let location = source.location(node.mark)
            nodes += 1
            guard nodes <= maximumNodes, depth <= maximumDepth else {
                throw ShuntError(
                    .configRange, "more YAML than a configuration can hold", at: location,
                    help: "at most \(maximumNodes) values, \(maximumDepth) levels deep, with all aliases written out")
            }
            switch node {
            case .scalar(let scalar):
                return ConfigNode(try YAMLTag.content(of: scalar, at: location), at: location)
            case .sequence(let sequence):
                try YAMLTag.check(sequence.tag, "seq", "a list", at: location)
                var list: [ConfigNode] = []
                for element in sequence { list.append(try read(element, depth: depth + 1)) }
                return ConfigNode(.list(list), at: location)
            case .mapping(let mapping):
                try YAMLTag.check(mapping.tag, "map", "a mapping", at: location)
                return ConfigNode(.mapping(try readEntries(mapping, depth: depth)), at: location)
            case .alias:
                throw ShuntError(.configInvalid, "an alias that nothing resolves", at: location)
            }
        }

        private mutating func readEntries(_ mapping: Node.Mapping, depth: Int) throws(ShuntError) -> [ConfigNode.Entry] {
            var entries: [ConfigNode.Entry] = []
            var merged: [ConfigNode.Entry] = []
            for (key, value) in mapping {
                let location = source.location(key.mark)
                guard case .scalar(let name) = key else {
                    throw ShuntError(.configInvalid, "a key that is a list or a mapping", at: location, help: "keys are words")
                }
                let value = try read(value, depth: depth + 1)
                if YAMLTag.isMerge(name) {
                    merged += try entriesToMerge(from: value)
                } else {
                    _ = try YAMLTag.content(of: name, at: location)
                    entries.append(ConfigNode.Entry(key: name.string, keyLocation: location, value: value))
                }
            }
            // The mapping's own entries go before merged ones, and the earlier of two merged mappings goes before the later.
            var known = Set(entries.map(\.key))
            for entry in merged where known.insert(entry.key).inserted { entries.append(entry) }
            return entries
        }

        /// The entries that `<<` merges into its mapping: those of one mapping, or of several in a list.
        private func entriesToMerge(from node: ConfigNode) throws(ShuntError) -> [ConfigNode.Entry] {
            if let entries = node.entries { return entries }
            var all: [ConfigNode.Entry] = []
            if case .list(let nodes) = node.content, nodes.allSatisfy({ $0.entries != nil }) {
                for node in nodes { all += node.entries ?? [] }
                return all
            }
            throw ShuntError(
                .configType, "<< merges a mapping into another, and this is none", at: node.location,
                help: "<<: *name or <<: [*first, *second], where each names a mapping; a key that is called so needs quotes")
        }
    }

    private static func translate(_ error: YamlError, of text: String, from source: Source) -> ShuntError {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return ShuntError(
                .configInvalid, "not YAML: \(problem)", at: location(of: mark, in: text, from: source),
                help: "indent with spaces; put in quotes what starts with one of [ ] { } & * ! | > % @ ` or has ': ' or ' #'")
        case .reader(let problem, let offset, _, _):
            return ShuntError(
                .configInvalid, "not text: \(problem)", at: location(of: offset, in: text, from: source),
                help: "write the file as UTF-8, without control characters")
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.map(ConfigDiagnostics.excerpt).joined(separator: ", ")
            return ShuntError(
                .configInvalid, "given more than once in one mapping: \(names)", at: source.location(context.mark),
                help: "this is the first place; keep one of them")
        default:
            return ShuntError(.configInvalid, "not YAML", at: source.location(nil))
        }
    }

    /// A text that ends too early has its error at its own end, not in the addition.
    private static func location(of mark: Mark, in text: String, from source: Source) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard mark.line - 1 > lines.count, let last = lines.last else { return source.location(mark) }
        return source.location(line: lines.count, column: last.unicodeScalars.count + 1)
    }

    private static func location(of offset: Int?, in text: String, from source: Source) -> String {
        guard let offset else { return source.location(nil) }
        let before = text.prefix(max(0, offset - preamble.utf8.count))
        let lineStart = before.lastIndex(of: "\n").map { before.index(after: $0) } ?? before.startIndex
        return source.location(line: before.count { $0 == "\n" } + 1, column: before[lineStart...].unicodeScalars.count + 1)
    }
}
