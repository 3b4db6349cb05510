import Glibc
import ShuntCore

/// Cuts input into lines, without their line ends. Empty lines are left out.
///
/// Keeps only the beginning of a line whose end has not come, up to the limit.
public struct LineSplitter: Sendable {
    private let limit: Int
    private let keepsCarriageReturn: Bool
    private var partial: [UInt8] = []
    private var number = 0

    /// - Parameters:
    ///   - limit: the longest line, in bytes.
    ///   - keepsCarriageReturn: whether a line ends at LF alone, and a CR before it is the line's last byte.
    public init(limit: Int, keepsCarriageReturn: Bool = false) {
        self.limit = limit
        self.keepsCarriageReturn = keepsCarriageReturn
    }

    /// The lines that end in this chunk.
    /// - Throws: `frame.too_large` naming the line that is longer than the limit.
    public mutating func lines(in chunk: [UInt8]) throws(ShuntError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var rest = chunk[...]
        while let end = rest.firstIndex(ofByte: UInt8(ascii: "\n")) {
            if let line = try take(rest[..<end]) { lines.append(line) }
            rest = rest[(end + 1)...]
        }
        try check(partial.count + rest.count)
        partial += rest
        return lines
    }

    /// The bytes after the last line end; nil if there are none.
    public mutating func last() throws(ShuntError) -> [UInt8]? { try take([]) }

    private mutating func take(_ end: ArraySlice<UInt8>) throws(ShuntError) -> [UInt8]? {
        try check(partial.count + end.count)
        number += 1
        var line: [UInt8]
        if partial.isEmpty {
            line = Array(end)
        } else {
            line = partial + end
            partial = []
        }
        if !keepsCarriageReturn, line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line.isEmpty ? nil : line
    }

    private func check(_ length: Int) throws(ShuntError) {
        guard length > limit else { return }
        throw ShuntError(
            .frameTooLarge, "the line is longer than a message may be", at: "standard input:\(number + 1)",
            help: "at most \(limit) bytes in a line")
    }
}

extension ArraySlice<UInt8> {
    fileprivate func firstIndex(ofByte byte: UInt8) -> Int? {
        withUnsafeBytes { bytes -> Int? in
            guard let start = bytes.baseAddress, let found = memchr(start, Int32(byte), bytes.count) else { return nil }
            return startIndex + (UnsafeRawPointer(found) - start)
        }
    }
}
