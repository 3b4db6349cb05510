import ShuntCore

/// Text as a terminal shows it.
enum Text {
    /// The text without characters that steer a terminal or deceive, so that a worker's name cannot move the cursor.
    static func printable(_ text: String) -> String { PrintableText.of(text) }

    /// The width in terminal columns.
    static func width(_ text: String) -> Int {
        text.utf8.allSatisfy { $0 < 0x80 } ? text.utf8.count : text.reduce(0) { $0 + width($1) }
    }

    /// The text in at most `width` columns; a cut text ends in an ellipsis.
    static func cut(_ text: String, to width: Int) -> String {
        guard self.width(text) > width else { return text }
        guard width > 0 else { return "" }
        var result = ""
        var used = 0
        for character in text {
            used += self.width(character)
            guard used < width else { break }
            result.append(character)
        }
        return result + "…"
    }

    /// Lines of at most `width` columns, broken between words where possible. Only blanks are left out.
    static func wrap(_ text: String, to width: Int?) -> [String] {
        guard let width, width > 0 else { return [text] }
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let line = lines.last, self.width(line) + 1 + self.width(String(word)) <= width {
                lines[lines.count - 1] = "\(line) \(word)"
            } else {
                lines += pieces(of: word, width)
            }
        }
        return lines
    }

    /// A word that is too wide for a line, in parts.
    private static func pieces(of word: Substring, _ width: Int) -> [String] {
        var pieces = [""]
        var used = 0
        for character in word {
            let more = self.width(character)
            if used + more > width, used > 0 {
                pieces.append("")
                used = 0
            }
            pieces[pieces.count - 1].append(character)
            used += more
        }
        return pieces
    }

    static func pad(_ text: String, to width: Int, right: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - self.width(text)))
        return right ? blanks + text : text + blanks
    }

    private static func width(_ character: Character) -> Int {
        character.unicodeScalars.reduce(0) { max($0, width($1)) }
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        if scalar.properties.isEmojiPresentation { return 2 }
        // East Asian wide and fullwidth forms (UAX #11), in blocks.
        return switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            2
        default: 1
        }
    }
}
