import FoundationEssentials

extension JSONSchema {
    /// Where JSON is not what a schema says.
    public struct Mismatch: Error, Equatable {
        /// The member, as `sender.tags`; empty where it is the whole.
        public var place: String
        /// A sentence without a full stop.
        public var what: String
    }

    /// Checks a text of JSON.
    public func check(_ json: [UInt8]) throws(Mismatch) {
        let decoder = JSONDecoder()
        decoder.userInfo[Checked.key] = self
        do {
            _ = try decoder.decode(Checked.self, from: Data(json))
        } catch let mismatch as Mismatch {
            throw mismatch
        } catch {
            throw Mismatch(place: "", what: "the body is no JSON")
        }
    }
}

/// Reads JSON as a schema has it, and keeps nothing. Each value is read as the one type that it may have.
private struct Checked: Decodable {
    // The name is not empty.
    static let key = CodingUserInfoKey(rawValue: "shunt.schema").unsafelyUnwrapped

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        guard let schema = decoder.userInfo[Self.key] as? JSONSchema else { return }
        try Self.check(schema, decoder)
    }

    private init() {}

    private static func check(_ schema: JSONSchema, _ decoder: any Decoder) throws {
        guard case .object(let properties, let isClosed) = schema.form else {
            return try check(schema, try decoder.singleValueContainer(), "")
        }
        guard let members = try? decoder.container(keyedBy: Name.self) else {
            throw JSONSchema.Mismatch(place: "", what: "the body is no object")
        }
        if isClosed, let stranger = members.allKeys.first(where: { key in !properties.contains { $0.name == key.stringValue } }) {
            let names = properties.map(\.name).joined(separator: ", ")
            throw JSONSchema.Mismatch(
                place: String(stranger.stringValue.prefix(100)), what: "the body has no member of this name: it takes \(names)")
        }
        for property in properties {
            let key = Name(property.name)
            guard members.contains(key) else {
                guard property.isRequired else { continue }
                throw JSONSchema.Mismatch(place: property.name, what: "the body lacks '\(property.name)'")
            }
            if try members.decodeNil(forKey: key) {
                guard property.schema.note.isNullable else { throw JSONSchema.Mismatch(place: property.name, what: wanted(property.schema)) }
                continue
            }
            try check(property.schema, try members.superDecoder(forKey: key).singleValueContainer(), property.name)
        }
    }

    /// A value that is no object.
    private static func check(_ schema: JSONSchema, _ value: any SingleValueDecodingContainer, _ place: String) throws {
        let note = schema.note
        let isRight: Bool =
            switch schema.form {
            case .string:
                (try? value.decode(String.self)).map { text in
                    let length = text.unicodeScalars.count
                    return (note.values.isEmpty || note.values.contains(text)) && length >= note.minimumLength ?? 0
                        && length <= note.maximumLength ?? .max
                } ?? false
            case .integer: (try? value.decode(Int64.self)).map { note.holds(Double($0)) } ?? false
            case .number: (try? value.decode(Double.self)).map { note.holds($0) } ?? false
            case .boolean: (try? value.decode(Bool.self)) != nil
            // No request has any.
            case .object, .map, .array, .scalarOrBytes: true
            }
        guard isRight else { throw JSONSchema.Mismatch(place: place, what: wanted(schema)) }
    }

    private static func wanted(_ schema: JSONSchema) -> String {
        let note = schema.note
        let kind =
            switch schema.form {
            case .string: note.values.isEmpty ? "a text" : "one of " + note.values.joined(separator: ", ")
            case .integer: "a whole number"
            case .number: "a number"
            case .boolean: "true or false"
            case .array: "a list"
            case .object, .map, .scalarOrBytes: "an object"
            }
        let from = note.minimum.map { " from " + number($0) } ?? ""
        let to = note.maximum.map { " to " + number($0) } ?? ""
        let least = note.minimumLength.map { ", at least \($0) characters" } ?? ""
        let most = note.maximumLength.map { ", at most \($0) characters" } ?? ""
        return "this is to be \(kind)" + from + to + least + most
    }

    private static func number(_ value: Double) -> String { Int64(exactly: value).map { "\($0)" } ?? "\(value)" }
}

extension JSONSchema.Note {
    fileprivate func holds(_ value: Double) -> Bool { value >= minimum ?? -.infinity && value <= maximum ?? .infinity }
}
