/// Says whether bytes are one JSON value (RFC 8259), without making anything of it.
enum JSONCheck {
    private enum Expected { case value, valueOrEnd, name, nameOrEnd, commaOrEnd }

    /// The offset of the first byte that cannot stand there, or of the end if something is missing; nil if the bytes are valid.
    static func firstFault(in text: [UInt8]) -> Int? {
        var scanner = Scanner(text: text)
        return scanner.scan() ? nil : scanner.position
    }

    private struct Scanner {
        let text: [UInt8]
        var position = 0
        /// The ends of the lists and objects that are open.
        private var open: [UInt8] = []

        init(text: [UInt8]) { self.text = text }

        private var next: UInt8? { position < text.count ? text[position] : nil }

        mutating func scan() -> Bool {
            guard String(validating: text, as: UTF8.self) != nil else { return false }
            var expected = Expected.value
            while true {
                while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
                guard let byte = next else { return open.isEmpty && expected == .commaOrEnd }
                switch expected {
                case .valueOrEnd where byte == open.last, .nameOrEnd where byte == open.last:
                    position += 1
                    open.removeLast()
                    expected = .commaOrEnd
                case .name, .nameOrEnd:
                    guard string() else { return false }
                    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
                    guard take(":") else { return false }
                    expected = .value
                case .value, .valueOrEnd:
                    guard let after = value(byte) else { return false }
                    expected = after
                case .commaOrEnd:
                    guard let end = open.last else { return false }
                    if byte == end {
                        open.removeLast()
                    } else {
                        guard byte == UInt8(ascii: ",") else { return false }
                        expected = end == UInt8(ascii: "}") ? .name : .value
                    }
                    position += 1
                }
            }
        }

        private mutating func value(_ first: UInt8) -> Expected? {
            switch first {
            case UInt8(ascii: "{"):
                open.append(UInt8(ascii: "}"))
                position += 1
                return .nameOrEnd
            case UInt8(ascii: "["):
                open.append(UInt8(ascii: "]"))
                position += 1
                return .valueOrEnd
            case UInt8(ascii: "\""): return string() ? .commaOrEnd : nil
            case UInt8(ascii: "t"): return word("true") ? .commaOrEnd : nil
            case UInt8(ascii: "f"): return word("false") ? .commaOrEnd : nil
            case UInt8(ascii: "n"): return word("null") ? .commaOrEnd : nil
            default: return number() ? .commaOrEnd : nil
            }
        }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard next == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        private mutating func word(_ word: StaticString) -> Bool {
            word.withUTF8Buffer { bytes in
                guard text[position...].starts(with: bytes) else { return false }
                position += bytes.count
                return true
            }
        }

        private mutating func string() -> Bool {
            guard take("\"") else { return false }
            while let byte = next {
                switch byte {
                case UInt8(ascii: "\""):
                    position += 1
                    return true
                case UInt8(ascii: "\\"):
                    position += 1
                    guard let escape = next else { return false }
                    if escape == UInt8(ascii: "u") {
                        let digits = text[(position + 1)...].prefix(4)
                        guard digits.count == 4, digits.allSatisfy(Self.isHexDigit) else { return false }
                        position += 5
                    } else {
                        guard "\"\\/bfnrt".utf8.contains(escape) else { return false }
                        position += 1
                    }
                case 0..<0x20: return false
                default: position += 1
                }
            }
            return false
        }

        private mutating func number() -> Bool {
            _ = take("-")
            if !take("0"), !digits() { return false }
            if take("."), !digits() { return false }
            if take("e") || take("E") {
                if !take("-") { _ = take("+") }
                return digits()
            }
            return true
        }

        private mutating func digits() -> Bool {
            let start = position
            while let byte = next, 0x30...0x39 ~= byte { position += 1 }
            return position > start
        }

        private static func isHexDigit(_ byte: UInt8) -> Bool {
            0x30...0x39 ~= byte || 0x61...0x66 ~= (byte | 0x20)
        }
    }
}
