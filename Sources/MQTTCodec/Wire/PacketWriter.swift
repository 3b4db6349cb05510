import ShuntCore

/// Writes the fields of a packet (5.0 §1.5). A packet's fixed header is written last, when its length is known.
struct PacketWriter {
    private(set) var body: [UInt8] = []

    mutating func byte(_ value: UInt8) { body.append(value) }

    mutating func uint16(_ value: UInt16) {
        body.append(UInt8(value >> 8))
        body.append(UInt8(truncatingIfNeeded: value))
    }

    mutating func uint32(_ value: UInt32) {
        uint16(UInt16(value >> 16))
        uint16(UInt16(truncatingIfNeeded: value))
    }

    mutating func variable(_ value: Int) { VariableInteger.append(value, to: &body) }

    /// Bytes behind their length; at most 65,535 of them.
    mutating func binary(_ bytes: some Collection<UInt8>) {
        uint16(UInt16(bytes.count))
        body.append(contentsOf: bytes)
    }

    /// A text behind its length, cut to the 65,535 bytes that fit, between two characters.
    mutating func text(_ text: String) {
        var utf8 = Array(text.utf8.prefix(65_535))
        if utf8.count < text.utf8.count { while !UTF8Text.isValidAtEnd(utf8) { utf8.removeLast() } }
        binary(utf8)
    }

    mutating func properties(_ properties: Properties) { properties.write(to: &self) }

    mutating func append(_ bytes: some Sequence<UInt8>) { body.append(contentsOf: bytes) }

    /// The whole packet.
    func packet(_ type: PacketType, flags: UInt8? = nil) -> [UInt8] {
        var packet: [UInt8] = [type.rawValue << 4 | (flags ?? type.requiredFlags)]
        packet.reserveCapacity(body.count + 5)
        VariableInteger.append(body.count, to: &packet)
        packet.append(contentsOf: body)
        return packet
    }
}

/// The variable byte integer (5.0 §1.5.5).
enum VariableInteger {
    /// What four bytes hold.
    static let maximum = 268_435_455

    @inline(__always)
    static func size(_ value: Int) -> Int { value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4 }

    static func append(_ value: Int, to bytes: inout [UInt8]) {
        var rest = value
        repeat {
            bytes.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
    }

    /// - Returns: the place behind it.
    @inline(__always)
    static func write(_ value: Int, to place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        var (rest, place) = (value, place)
        repeat {
            place.storeBytes(of: UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0), as: UInt8.self)
            place += 1
            rest >>= 7
        } while rest > 0
        return place
    }
}

extension UTF8Text {
    /// A text of this side's with blanks where a character may not be in one: it may repeat what a rule or a service has said.
    static func cleaned(_ text: String) -> String {
        var text = text
        guard !text.withUTF8({ isValid(Bytes($0)) }) else { return text }
        return text.unicodeScalars.map { scalar in
            var character = String(scalar)
            return character.withUTF8 { isValid(Bytes($0)) } ? character : " "
        }.joined()
    }

    /// Whether text that was cut ends with a whole character.
    static func isValidAtEnd(_ bytes: [UInt8]) -> Bool {
        bytes.suffix(4).withUnsafeBytes { tail in
            (0..<min(4, max(1, tail.count))).contains { isValid(Bytes(rebasing: tail[$0...])) }
        }
    }
}
