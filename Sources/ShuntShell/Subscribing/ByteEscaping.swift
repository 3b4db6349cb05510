import ShuntCore

/// Bytes of others, as text that does no harm to a terminal.
extension [UInt8] {
    /// Appends UTF-8 text and escapes everything that could steer a terminal: C0 and C1 control characters, DEL, bytes that are not UTF-8,
    /// and characters that deceive (``PrintableText``).
    /// - Parameter keepingLines: whether tabs and line feeds stay.
    mutating func appendEscaped(_ bytes: [UInt8], keepingLines: Bool = false) {
        if bytes.allSatisfy({ 0x20...0x7E ~= $0 }) {
            append(contentsOf: bytes)
            return
        }
        var rest = bytes[...]
        var previous: Unicode.Scalar?
        while let first = rest.first {
            let length = Self.characterLength(at: rest)
            if length == 0 {
                appendHex(first)
                rest = rest.dropFirst()
                continue
            }
            let character = rest.prefix(length)
            switch first {
            case 0x09 where keepingLines, 0x0A where keepingLines: append(first)
            case 0x09: append(contentsOf: "\\t".utf8)
            case 0x0A: append(contentsOf: "\\n".utf8)
            case 0x0D: append(contentsOf: "\\r".utf8)
            case 0x00..<0x20, 0x7F: appendHex(first)
            case 0xC2 where character[character.startIndex + 1] < 0xA0: character.forEach { appendHex($0) }
            default:
                let scalar = first < 0x80 ? Unicode.Scalar(first) : String(decoding: character, as: UTF8.self).unicodeScalars.first
                if let scalar, PrintableText.isUnsafe(scalar, after: previous) {
                    append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".utf8)
                } else {
                    append(contentsOf: character)
                }
                previous = scalar
            }
            rest = rest.dropFirst(length)
        }
    }

    /// Appends a JSON string, quotes included. Characters that could steer a terminal or deceive are escaped: JSON readers get the same
    /// text.
    mutating func appendJSON(_ text: String) {
        append(UInt8(ascii: "\""))
        defer { append(UInt8(ascii: "\"")) }
        if text.utf8.allSatisfy({ 0x20..<0x7F ~= $0 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            append(contentsOf: text.utf8)
            return
        }
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": append(contentsOf: "\\\"".utf8)
            case "\\": append(contentsOf: "\\\\".utf8)
            case "\t": append(contentsOf: "\\t".utf8)
            case "\n": append(contentsOf: "\\n".utf8)
            case "\r": append(contentsOf: "\\r".utf8)
            case _ where PrintableText.isUnsafe(scalar, after: previous):
                append(contentsOf: PrintableText.jsonEscape(scalar).utf8)
            default: append(contentsOf: String(scalar).utf8)
            }
            previous = scalar
        }
    }

    mutating func appendBase64(_ bytes: [UInt8]) {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<Swift.min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for position in 0..<4 {
                append(position <= group.count ? alphabet[bits >> (18 - 6 * position) & 63] : UInt8(ascii: "="))
            }
        }
    }

    private mutating func appendHex(_ byte: UInt8) {
        append(contentsOf: "\\x".utf8)
        appendDigits(byte)
    }

    private mutating func appendDigits(_ byte: UInt8) {
        let digits = Array("0123456789abcdef".utf8)
        append(digits[Int(byte >> 4)])
        append(digits[Int(byte & 15)])
    }

    /// How many bytes the UTF-8 character at the start has; 0 if there is none.
    private static func characterLength(at bytes: ArraySlice<UInt8>) -> Int {
        guard let first = bytes.first else { return 0 }
        let length =
            switch first {
            case 0x00...0x7F: 1
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 0
            }
        let character = bytes.prefix(length)
        guard length > 0, character.count == length else { return 0 }
        return length == 1 || String(validating: character, as: UTF8.self) != nil ? length : 0
    }
}
