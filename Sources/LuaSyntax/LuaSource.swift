/// Lua's text, with what turns bytes from its start into lines and columns.
public struct LuaSource: Sendable {
    public let bytes: [UInt8]
    /// Where each line begins.
    private let lines: [Int]

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var lines = [0]
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            guard byte == 10 || byte == 13 else { continue }
            // Two different ones are one line's end.
            if at < bytes.count, bytes[at] != byte, bytes[at] == 10 || bytes[at] == 13 { at += 1 }
            lines.append(at)
        }
        self.lines = lines
    }

    /// Where a line's first word begins, from 1 on.
    public func start(ofLine line: Int) -> Int {
        guard (1...lines.count).contains(line) else { return 0 }
        let start = lines[line - 1]
        let end = line < lines.count ? lines[line] : bytes.count
        return bytes[start..<end].firstIndex { $0 > 32 } ?? start
    }

    /// The line and the column, in characters, both from 1 on.
    public func place(_ offset: Int) -> (line: Int, column: Int) {
        var (low, high) = (0, lines.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if lines[middle] <= offset { low = middle } else { high = middle - 1 }
        }
        let characters = bytes[lines[low]..<max(lines[low], min(offset, bytes.count))].count { $0 & 0xC0 != 0x80 }
        return (low + 1, characters + 1)
    }
}

/// What is not Lua, and where.
public struct LuaSyntaxError: Error, Equatable {
    public let message: String
    /// Bytes from the start.
    public let offset: Int
    /// What Lua has in its place, where another language has what stands there.
    public let help: String?

    init(_ message: String, at offset: Int, help: String? = nil) { (self.message, self.offset, self.help) = (message, offset, help) }
}

extension LuaSource {
    /// Whether a word stands in the file as a name or as a whole text: comments do not count. A file that is not Lua has every word.
    public func mentions(_ word: String) -> Bool {
        var lexer = LuaLexer(bytes)
        do throws(LuaSyntaxError) {
            while true {
                let token = try lexer.next()
                if token.kind == .end { return false }
                if token.kind == .name || token.kind == .text, token.text == word { return true }
            }
        } catch {
            return true
        }
    }
}
