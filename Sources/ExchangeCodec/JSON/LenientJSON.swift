import ShuntCore

/// A JSON value in the dialect that message-channel's servers accept (§8).
///
/// A number stays the text that it was: the caller reads it as a number or as a string.
public enum LenientJSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([LenientJSON])
    case object(LenientObject)

    /// How deep arrays and objects may nest.
    public static let maximumDepth = 32
    /// The most values of a text, so that the values take little more memory than the text.
    public static let maximumValues = 65_536

    /// Reads an object, the only thing that bodies are.
    /// - Parameters:
    ///   - bytes: the whole text. Bytes that are not UTF-8 are repaired.
    ///   - subject: the name of the text, for errors: `SUBSCRIBE body`.
    /// - Throws: `request.invalid` with the offset of the first wrong byte.
    public static func object(in bytes: Bytes, subject: String) throws(ShuntError) -> LenientObject {
        var parser = LenientJSONParser(bytes, subject: subject)
        return try parser.parseDocument()
    }

    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// The members of an object in the order of the text. Of members with the same key the last one counts.
public struct LenientObject: Equatable, Sendable {
    public struct Member: Equatable, Sendable {
        public var key: String
        public var value: LenientJSON
    }

    public var members: [Member]
    /// The name of the text, for errors.
    var subject: String

    /// The value of a key, whatever the letter case; nil where it is missing or null.
    public subscript(key: String) -> LenientJSON? {
        guard let value = members.last(where: { $0.key.equalsIgnoringCase(key) })?.value, value != .null else { return nil }
        return value
    }

    /// A string; numbers and booleans count as their text.
    public func string(_ key: String) throws(ShuntError) -> String? {
        guard let value = self[key] else { return nil }
        return try text(of: value, key: key)
    }

    /// Strings; null elements are left out.
    public func strings(_ key: String) throws(ShuntError) -> [String]? {
        guard let value = self[key] else { return nil }
        guard case .array(let elements) = value else { throw mismatch(key, value, wanted: "an array of strings") }
        var strings: [String] = []
        for element in elements where element != .null { strings.append(try text(of: element, key: key)) }
        return strings
    }

    /// An integer; a string counts as the number in it, the empty one and `null` as none. Decimals are cut off.
    public func integer(_ key: String) throws(ShuntError) -> Int64? {
        guard let value = self[key] else { return nil }
        switch value {
        case .string(let text) where text.isEmpty || text == "null":
            return nil
        case .number(let text), .string(let text):
            if let integer = Int64(text) { return integer }
            // No number that fits is longer; a longer one is not worth reading.
            if text.utf8.count <= 64, let decimal = Double(text), decimal >= -0x1p63, decimal < 0x1p63 { return Int64(decimal) }
            throw mismatch(key, value, wanted: "a 64-bit integer")
        default:
            throw mismatch(key, value, wanted: "an integer")
        }
    }

    /// A port, 0…65535.
    public func port(_ key: String) throws(ShuntError) -> Int? {
        guard let number = try integer(key) else { return nil }
        guard let port = UInt16(exactly: number) else {
            throw ShuntError(.requestInvalid, "'\(key)' is \(number)", at: subject, help: "a port is 0 to 65535")
        }
        return Int(port)
    }

    public func object(_ key: String) throws(ShuntError) -> LenientObject? {
        guard let value = self[key] else { return nil }
        guard case .object(let object) = value else { throw mismatch(key, value, wanted: "an object") }
        return object
    }

    public func array(_ key: String) throws(ShuntError) -> [LenientJSON]? {
        guard let value = self[key] else { return nil }
        guard case .array(let elements) = value else { throw mismatch(key, value, wanted: "an array") }
        return elements
    }

    /// The error for a key that a reader needs and the object does not have.
    func missing(_ key: String, code: ErrorCode = .requestInvalid) -> ShuntError {
        ShuntError(code, "'\(key)' is missing", at: subject)
    }

    func mismatch(_ key: String, _ value: LenientJSON, wanted: String) -> ShuntError {
        ShuntError(.requestInvalid, "'\(key)' is \(value.kind) that can not be taken", at: subject, help: "\(wanted) is wanted")
    }

    func text(of value: LenientJSON, key: String) throws(ShuntError) -> String {
        switch value {
        case .string(let text), .number(let text): return text
        case .bool(let bool): return bool ? "true" : "false"
        default: throw mismatch(key, value, wanted: "a string")
        }
    }
}

extension String {
    /// ASCII letters only.
    func equalsIgnoringCase(_ other: String) -> Bool {
        func lowercased(_ byte: UInt8) -> UInt8 { 0x41...0x5A ~= byte ? byte | 0x20 : byte }
        return utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8) { lowercased($0) == lowercased($1) }
    }
}
