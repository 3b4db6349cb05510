/// Makes text of servers, files and arguments safe for a terminal: the text must not steer the terminal, nor look like another text.
public enum PrintableText {
    /// Escapes the characters that a terminal would obey (C0 and C1 control characters, DEL) or not show (bidirectional controls, line and
    /// paragraph separators, zero-width and filler characters), as `\n`, `\r`, `\t`, `\u{1B}`. Joiners stay in scripts that need them, and
    /// in emoji.
    /// - Parameter keepingLines: whether line feeds and tabs stay.
    public static func of(_ text: String, keepingLines: Bool = false) -> String {
        // Every character that is escaped is below a blank, is DEL, or takes more than a byte.
        guard text.utf8.contains(where: { $0 < 0x20 || $0 >= 0x7F }) else { return text }
        var result = String.UnicodeScalarView()
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            defer { previous = scalar }
            switch scalar {
            case "\n" where keepingLines, "\t" where keepingLines: result.append(scalar)
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            case _ where isUnsafe(scalar, after: previous):
                result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// The text of bytes as it is, where what is no UTF-8 is escaped: `gr\xf6\xdfe`.
    public static func text(of bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        var text = ""
        var rest = bytes[...]
        while let byte = rest.first {
            let length = (1...4).first { $0 <= rest.count && String(validating: rest.prefix($0), as: UTF8.self) != nil }
            text += length.map { String(decoding: rest.prefix($0), as: UTF8.self) } ?? "\\x" + String(byte, radix: 16)
            rest = rest.dropFirst(length ?? 1)
        }
        return text
    }

    /// What ``of(_:keepingLines:)`` gives within JSON, where such characters only stand in strings: `\u202e`.
    public static func json(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 >= 0x7F }) else { return text }
        var result = String.UnicodeScalarView()
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            defer { previous = scalar }
            // Below a blank there is only the layout of the JSON itself.
            guard scalar.value >= 0x20, isUnsafe(scalar, after: previous) else {
                result.append(scalar)
                continue
            }
            result.append(contentsOf: jsonEscape(scalar).unicodeScalars)
        }
        return String(result)
    }

    /// The escape of a scalar, `\u202e`; two of them beyond the basic plane.
    public static func jsonEscape(_ scalar: Unicode.Scalar) -> String {
        UTF16.encode(scalar).map { units in
            units.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            }.joined()
        } ?? ""
    }

    /// Whether a terminal would obey this scalar, or show nothing of it.
    /// - Parameter previous: the scalar before it: joiners belong to scripts and emoji, which are not ASCII.
    public static func isUnsafe(_ scalar: Unicode.Scalar, after previous: Unicode.Scalar? = nil) -> Bool {
        switch scalar.value {
        case 0x20..<0x7F: false
        case 0..<0x20, 0x7F..<0xA0: true
        // Soft hyphen, Arabic letter mark, Hangul and Khmer fillers, Mongolian vowel separator.
        case 0xAD, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFFA0: true
        // Zero-width joiner and non-joiner.
        case 0x200C, 0x200D: previous?.isASCII ?? true
        // Zero-width blank, marks; separators, embeddings and overrides; invisible operators, isolates.
        case 0x200B, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F: true
        // Byte order mark, interlinear annotations, tags.
        case 0xFEFF, 0xFFF9...0xFFFB, 0xE0000...0xE007F: true
        default: false
        }
    }
}
