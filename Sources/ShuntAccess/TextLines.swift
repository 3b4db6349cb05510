import ShuntConfig
import ShuntCore

/// The lines of a file that people write, numbered from 1, without white space at their ends. A line break at the end begins no line.
struct TextLines: Sequence, IteratorProtocol {
    private var rest: Substring.UTF8View
    private var number = 0

    init(_ text: String) {
        rest = text[...].utf8
        // Some editors begin a file with a byte order mark.
        if rest.starts(with: Self.byteOrderMark) { rest = rest.dropFirst(Self.byteOrderMark.count) }
    }

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    mutating func next() -> (number: Int, line: String)? {
        guard !rest.isEmpty else { return nil }
        let end = rest.firstIndex(of: 0x0A) ?? rest.endIndex
        var line = rest[..<end]
        rest = end < rest.endIndex ? rest[rest.index(after: end)...] : rest[end...]
        while let last = line.last, Self.isSpace(last) { line = line.dropLast() }
        number += 1
        return (number, String(Substring(line)))
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    /// Reads a file of entries, one a line; empty lines and those that begin with `#` are none.
    /// - Parameters:
    ///   - name: the file's name, for errors.
    ///   - read: takes an entry with its line's number.
    /// - Returns: every wrong line's error, with its place.
    static func readEntries(
        of text: String, name: String, _ read: (_ line: String, _ number: Int) throws(ShuntError) -> Void
    ) -> ConfigDiagnostics {
        var diagnostics = ConfigDiagnostics()
        for (number, line) in TextLines(text) where !line.isEmpty && !line.hasPrefix("#") {
            do throws(ShuntError) {
                try read(line, number)
            } catch {
                diagnostics.add(error.code, error.message, at: "\(name):\(number)", help: error.help)
            }
        }
        return diagnostics
    }
}
