import ShuntCore

/// Reads the fields of a packet, one after another (5.0 §1.5). Nothing is read beyond the packet.
struct PacketReader {
    let bytes: Bytes
    private(set) var at: Int

    init(_ bytes: Bytes, from start: Int = 0) {
        self.bytes = bytes
        at = start
    }

    var isAtEnd: Bool { at >= bytes.count }
    var left: Int { bytes.count - at }

    mutating func byte(_ what: StaticString) throws(MQTTFault) -> UInt8 {
        guard left >= 1 else { throw Self.cut(what) }
        defer { at += 1 }
        return bytes[at]
    }

    mutating func uint16(_ what: StaticString) throws(MQTTFault) -> UInt16 {
        guard left >= 2 else { throw Self.cut(what) }
        defer { at += 2 }
        return UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
    }

    mutating func uint32(_ what: StaticString) throws(MQTTFault) -> UInt32 {
        UInt32(try uint16(what)) << 16 | UInt32(try uint16(what))
    }

    /// A packet identifier, which is not 0.
    mutating func identifier() throws(MQTTFault) -> UInt16 {
        let identifier = try uint16("the packet identifier")
        guard identifier != 0 else { throw MQTTFault(.protocolError, "packet identifier 0", "MQTT-2.2.1-3") }
        return identifier
    }

    /// A variable byte integer, in no more bytes than it needs (5.0 §1.5.5).
    mutating func variable(_ what: StaticString) throws(MQTTFault) -> Int {
        var value = 0
        for place in 0..<4 {
            let byte = try byte(what)
            value |= Int(byte & 0x7F) << (7 * place)
            guard byte < 0x80 else { continue }
            guard place == 0 || byte != 0 else {
                throw MQTTFault(.malformedPacket, "\(what) takes more bytes than it needs", "MQTT-1.5.5-1")
            }
            return value
        }
        throw MQTTFault(.malformedPacket, "\(what) has more than four bytes")
    }

    mutating func binary(_ what: StaticString) throws(MQTTFault) -> Bytes {
        let count = Int(try uint16(what))
        guard left >= count else { throw Self.cut(what) }
        defer { at += count }
        return Bytes(rebasing: bytes[at..<at + count])
    }

    /// Text as 5.0 §1.5.4 has it.
    mutating func text(_ what: StaticString) throws(MQTTFault) -> Bytes {
        let text = try binary(what)
        guard UTF8Text.isValid(text) else {
            throw MQTTFault(.malformedPacket, "\(what) \(UTF8Text.fault)", "MQTT-1.5.4-1")
        }
        return text
    }

    /// The next bytes as a packet of their own.
    mutating func part(_ count: Int, _ what: StaticString) throws(MQTTFault) -> Bytes {
        guard left >= count else { throw Self.cut(what) }
        defer { at += count }
        return Bytes(rebasing: bytes[at..<at + count])
    }

    /// Fails if something follows.
    func end() throws(MQTTFault) {
        guard isAtEnd else { throw MQTTFault(.malformedPacket, "\(left) bytes follow the packet's last field") }
    }

    private static func cut(_ what: StaticString) -> MQTTFault { MQTTFault(.malformedPacket, "the packet ends within \(what)") }
}

/// Text as MQTT allows it: well-formed UTF-8, so without surrogates, and without NUL (5.0 §1.5.4).
///
/// Control characters (U+0001 to U+001F, U+007F to U+009F) and the code points that stand for no character are refused too, as the same section
/// allows: other clients, those of libmosquitto above all, end their connection where a message has one in it, and one client would take the
/// messages from all of them.
public enum UTF8Text {
    /// What is said of bytes that are no text.
    static let fault = "is no UTF-8, or has NUL, a control character or a code point of no character in it"

    public static func isValid(_ bytes: Bytes) -> Bool { isWellFormed(bytes, isPayload: false) }

    /// Whether a payload is UTF-8, which may have any character in it.
    public static func isPayload(_ bytes: Bytes) -> Bool { isWellFormed(bytes, isPayload: true) }

    private static func isWellFormed(_ bytes: Bytes, isPayload: Bool) -> Bool {
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            if byte < 0x80 {
                guard isPayload || byte >= 0x20 && byte != 0x7F else { return false }
                at += 1
                continue
            }
            guard let length = length(byte), at + length <= bytes.count, isTail(bytes, at, length) else { return false }
            guard isPayload || isCharacter(bytes, at, length) else { return false }
            at += length
        }
        return true
    }

    /// Whether a code point beyond ASCII may be in a text: it is no control character, and not one of those that Unicode keeps free of characters.
    private static func isCharacter(_ bytes: Bytes, _ at: Int, _ length: Int) -> Bool {
        let second = bytes[at + 1]
        switch length {
        case 2: return bytes[at] != 0xC2 || second >= 0xA0
        case 3:
            guard bytes[at] == 0xEF else { return true }
            let third = bytes[at + 2]
            return second == 0xB7 ? !(0x90...0xAF).contains(third) : second != 0xBF || third < 0xBE
        default: return second & 0x0F != 0x0F || bytes[at + 2] != 0xBF || bytes[at + 3] < 0xBE
        }
    }

    private static func length(_ first: UInt8) -> Int? {
        switch first {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: nil
        }
    }

    /// The bytes after the first of a character; the range of the second leaves out overlong forms, surrogates and what is beyond U+10FFFF.
    private static func isTail(_ bytes: Bytes, _ at: Int, _ length: Int) -> Bool {
        let second = bytes[at + 1]
        let range: ClosedRange<UInt8> =
            switch bytes[at] {
            case 0xE0: 0xA0...0xBF
            case 0xED: 0x80...0x9F
            case 0xF0: 0x90...0xBF
            case 0xF4: 0x80...0x8F
            default: 0x80...0xBF
            }
        guard range.contains(second) else { return false }
        for place in 2..<max(2, length) where bytes[at + place] & 0xC0 != 0x80 { return false }
        return true
    }
}
