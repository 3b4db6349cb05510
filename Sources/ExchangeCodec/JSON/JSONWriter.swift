/// Writes objects as message-channel's peers write them: no spaces, nulls left out, keys in the order of the calls.
struct JSONWriter {
    enum Style {
        /// `{"key":"text"}`
        case strict
        /// `{key:'text'}`: heartbeats and chat hosts (§8).
        case singleQuoted
    }

    private(set) var bytes: [UInt8] = []
    private let style: Style
    private var isFirst = true

    private init(_ style: Style) { self.style = style }

    static func object(_ style: Style = .strict, _ members: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter(style)
        writer.object(members)
        return writer.bytes
    }

    mutating func member(_ key: String, _ value: String?) {
        guard let value else { return }
        begin(key)
        string(value)
    }

    mutating func member<Integer: BinaryInteger>(_ key: String, _ value: Integer?) {
        guard let value else { return }
        begin(key)
        bytes += String(value).utf8
    }

    mutating func member(_ key: String, _ value: Bool) {
        begin(key)
        bytes += (value ? "true" : "false").utf8
    }

    mutating func member(_ key: String, _ values: [String]?) {
        guard let values else { return }
        begin(key)
        array(values) { $0.string($1) }
    }

    mutating func member(_ key: String, object members: (inout JSONWriter) -> Void) {
        begin(key)
        object(members)
    }

    mutating func member<Element>(
        _ key: String, objects elements: [Element], _ members: (inout JSONWriter, Element) -> Void
    ) {
        begin(key)
        array(elements) { writer, element in writer.object { members(&$0, element) } }
    }

    private mutating func object(_ members: (inout JSONWriter) -> Void) {
        bytes.append(UInt8(ascii: "{"))
        isFirst = true
        members(&self)
        bytes.append(UInt8(ascii: "}"))
        isFirst = false
    }

    private mutating func array<Element>(_ elements: [Element], _ write: (inout JSONWriter, Element) -> Void) {
        bytes.append(UInt8(ascii: "["))
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(&self, element)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func begin(_ key: String) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        if style == .singleQuoted, Self.isIdentifier(key) { bytes += key.utf8 } else { string(key) }
        bytes.append(UInt8(ascii: ":"))
    }

    private static func isIdentifier(_ key: String) -> Bool {
        guard let first = key.utf8.first, !(0x30...0x39 ~= first) else { return false }
        return key.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"): true
            default: false
            }
        }
    }

    private mutating func string(_ text: String) {
        let quote = style == .strict ? UInt8(ascii: "\"") : UInt8(ascii: "'")
        bytes.append(quote)
        for byte in text.utf8 {
            switch byte {
            case quote, UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x08: bytes += #"\b"#.utf8
            case 0x09: bytes += #"\t"#.utf8
            case 0x0A: bytes += #"\n"#.utf8
            case 0x0C: bytes += #"\f"#.utf8
            case 0x0D: bytes += #"\r"#.utf8
            case 0..<0x20: bytes += ((byte < 0x10 ? #"\u000"# : #"\u00"#) + String(byte, radix: 16)).utf8
            default: bytes.append(byte)
            }
        }
        bytes.append(quote)
    }
}
