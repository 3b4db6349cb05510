import CLuaHost
import ShuntCore

/// Properties of MQTT 5.0 (§2.2.2) as a test tells them, encoded as a client's are, and as a test sees them.
struct TestProperties {
    /// Their identifiers on the wire.
    enum Identifier: UInt8 {
        case payloadFormat = 1
        case expiry = 2
        case contentType = 3
        case responseTopic = 8
        case correlationData = 9
        case user = 38
    }

    /// Without their length.
    private(set) var bytes: [UInt8] = []

    init() {}

    /// What a message of a test has.
    init(_ fields: [String: LuaValue]) {
        if let format = fields["payload_format"]?.whole { bytes += [Identifier.payloadFormat.rawValue, UInt8(clamping: format)] }
        if let expiry = fields["expiry"]?.whole {
            bytes += [Identifier.expiry.rawValue] + (0..<4).reversed().map { UInt8(truncatingIfNeeded: expiry >> ($0 * 8)) }
        }
        add(.contentType, fields["content_type"]?.bytes)
        add(.responseTopic, fields["response_topic"]?.bytes)
        add(.correlationData, fields["correlation_data"]?.bytes)
        for pair in fields["props"]?.pairs ?? [] { add(.user, pair.name, pair.value) }
    }

    mutating func add(_ identifier: Identifier, _ texts: String...) {
        bytes.append(identifier.rawValue)
        for text in texts { add(Array(text.utf8)) }
    }

    private mutating func add(_ identifier: Identifier, _ value: [UInt8]?) {
        guard let value else { return }
        bytes.append(identifier.rawValue)
        add(value)
    }

    private mutating func add(_ value: [UInt8]) {
        let value = value.prefix(65_535)
        bytes += [UInt8(value.count >> 8), UInt8(truncatingIfNeeded: value.count)] + value
    }

    /// Behind their length, a number of seven bits a byte (§1.5.5).
    var behindLength: [UInt8] {
        guard !bytes.isEmpty else { return [] }
        var length: [UInt8] = []
        var left = bytes.count
        repeat {
            length.append(UInt8(left & 0x7F) | (left > 0x7F ? 0x80 : 0))
            left >>= 7
        } while left > 0
        return length + bytes
    }

    /// What a test sees of encoded properties, by the names of a rule's fields.
    static func described(_ encoded: Bytes) -> [String: LuaValue] {
        var fields: [String: LuaValue] = [:]
        var pairs: [LuaValue] = []
        var left = shunt_bytes(encoded)
        var found = shunt_property()
        while shunt_next_property(&left, &found) {
            let text = LuaValue(text: Bytes(found.value))
            switch Identifier(rawValue: found.id) {
            case .payloadFormat: fields["payload_format"] = .int(Int64(found.number))
            case .expiry: fields["expiry"] = .int(Int64(found.number))
            case .contentType: fields["content_type"] = text
            case .responseTopic: fields["response_topic"] = text
            case .correlationData: fields["correlation_data"] = text
            case .user: pairs.append(.object(["name": LuaValue(text: Bytes(found.name)), "value": text]))
            case nil: break
            }
        }
        fields["props"] = .array(pairs)
        return fields
    }
}

extension LuaValue {
    var whole: Int64? { if case .int(let number) = self { number } else { nil } }

    /// Pairs of names and values.
    var pairs: [UserProperty] {
        (list ?? []).map { UserProperty($0["name"].string ?? "", $0["value"].string ?? "") }
    }
}
