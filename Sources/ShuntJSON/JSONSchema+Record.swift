/// A type that no trial decoding tells the shape of: its decoding tries several.
public protocol SchemaStated {
    static var jsonSchema: JSONSchema { get }
    /// Any value.
    static var example: Self { get }
}

extension JSONSchema {
    /// What JSON the record is, as ``RecordJSON`` writes and reads it. The record's own decoding is asked, so this can't differ from it.
    /// - Parameters:
    ///   - notes: by `Type.member`, or by `member` for all types, and by `Type` for a record; members by their names in JSON.
    ///   - isRequest: other members are an error, and `null` may stand for one that is not there.
    ///   - omitting: members that are not for those who write the JSON.
    public init<Record: Decodable>(of type: Record.Type, notes: [String: Note], isRequest: Bool = false, omitting: Set<String> = []) {
        self = SchemaProbe.shape(of: type, SchemaProbe.Context(notes: notes, isRequest: isRequest)).schema
        guard !omitting.isEmpty, case .object(let properties, let isClosed) = form else { return }
        form = .object(properties.filter { !omitting.contains($0.name) }, isClosed: isClosed)
    }

    /// The name of a type without its module and its generic arguments: `ExplainRecord.Rule`.
    static func name(of type: Any.Type) -> String {
        var depth = 0
        let plain = String(reflecting: type).filter { character in
            if character == "<" { depth += 1 }
            defer { if character == ">" { depth -= 1 } }
            return depth == 0
        }
        return plain.split(separator: ".").dropFirst().joined(separator: ".")
    }

    /// As `JSONEncoder.KeyEncodingStrategy.convertToSnakeCase` has it, for names without acronyms.
    static func snakeCase(_ name: String) -> String {
        name.reduce(into: "") { text, character in
            if character.isUppercase, !text.isEmpty { text.append("_") }
            text += character.lowercased()
        }
    }
}

/// Hands a record's decoding values of the types that it asks for, and writes down what it has asked for.
private final class SchemaProbe: Decoder {
    struct Context {
        var notes: [String: JSONSchema.Note]
        var isRequest: Bool
    }

    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]
    let context: Context
    var properties: [JSONSchema.Property] = []
    /// Where the record is a single value.
    var single: JSONSchema?
    let name: String

    init(_ context: Context, name: String) { (self.context, self.name) = (context, name) }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> { KeyedDecodingContainer(KeyedProbe(probe: self)) }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw Unstated() }
    func singleValueContainer() -> any SingleValueDecodingContainer { SingleProbe(probe: self) }

    /// The record is neither an object nor a single value: it has to state its schema.
    struct Unstated: Error {}

    static func shape<T: Decodable>(of type: T.Type, _ context: Context) -> (value: T?, schema: JSONSchema) {
        if let plain = plain(type) { return plain }
        if let stated = type as? any SchemaStated.Type { return (stated.example as? T, stated.jsonSchema) }
        if let many = type as? any ProbedCollection.Type {
            let (value, schema) = many.probed(context)
            return (value as? T, schema)
        }
        if let choice = type as? any (RawRepresentable & CaseIterable).Type, let (value, values) = cases(choice) {
            return (value as? T, JSONSchema(.string, .init("", values: values)))
        }
        let name = JSONSchema.name(of: type)
        let probe = SchemaProbe(context, name: name)
        let value = try? T(from: probe)
        if let single = probe.single { return (value, single) }
        let schema = JSONSchema(
            .object(probe.properties, isClosed: context.isRequest), context.notes[name] ?? "",
            name: name.contains(".") || String(reflecting: type).contains("<") ? nil : name)
        return (value, schema)
    }

    private static func plain<T>(_ type: T.Type) -> (value: T?, schema: JSONSchema)? {
        switch type {
        case is String.Type: ("" as? T, JSONSchema(.string))
        case is Bool.Type: (false as? T, JSONSchema(.boolean))
        case is Double.Type: (0.0 as? T, JSONSchema(.number))
        case is Float.Type: (Float(0) as? T, JSONSchema(.number))
        default: (type as? any FixedWidthInteger.Type).map { (zero($0) as? T, JSONSchema(.integer)) }
        }
    }

    private static func zero<N: FixedWidthInteger>(_ type: N.Type) -> Any { N.zero }

    private static func cases<E: RawRepresentable & CaseIterable>(_ type: E.Type) -> (Any, [String])? {
        let values = type.allCases.compactMap { $0.rawValue as? String }
        return values.isEmpty ? nil : type.allCases.first.map { ($0, values) }
    }

    fileprivate func decode<T: Decodable>(_ type: T.Type, _ key: String, isRequired: Bool) throws -> T {
        let shape = Self.shape(of: type, context)
        var schema = shape.schema
        let member = JSONSchema.snakeCase(key)
        var note = context.notes["\(name).\(member)"] ?? context.notes[member] ?? ""
        if schema.name == nil, !note.text.isEmpty {
            if note.values.isEmpty { note.values = schema.note.values }
            schema.note = note
        }
        if context.isRequest, !isRequired { schema.note.isNullable = true }
        properties.append(.init(name: member, schema: schema, isRequired: isRequired, text: note.text))
        guard let value = shape.value else { throw Unstated() }
        return value
    }
}

/// Decoding asks whether a member is there only where it may be left out.
private final class KeyedProbe<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let codingPath: [any CodingKey] = []
    let allKeys: [Key] = []
    private let probe: SchemaProbe
    private var asked: String?

    init(probe: SchemaProbe) { self.probe = probe }

    func contains(_ key: Key) -> Bool {
        asked = key.stringValue
        return true
    }

    func decodeNil(forKey key: Key) -> Bool { false }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        defer { asked = nil }
        return try probe.decode(type, key.stringValue, isRequired: asked != key.stringValue)
    }

    func nestedContainer<NestedKey: CodingKey>(keyedBy type: NestedKey.Type, forKey key: Key) throws -> KeyedDecodingContainer<NestedKey> {
        throw SchemaProbe.Unstated()
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { throw SchemaProbe.Unstated() }
    func superDecoder() throws -> any Decoder { throw SchemaProbe.Unstated() }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw SchemaProbe.Unstated() }
}

private struct SingleProbe: SingleValueDecodingContainer {
    let codingPath: [any CodingKey] = []
    let probe: SchemaProbe

    func decodeNil() -> Bool { false }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let shape = SchemaProbe.shape(of: type, probe.context)
        probe.single = shape.schema
        guard let value = shape.value else { throw SchemaProbe.Unstated() }
        return value
    }
}

/// Lists and tables of names, whose elements are looked at by themselves.
private protocol ProbedCollection {
    static func probed(_ context: SchemaProbe.Context) -> (Any, JSONSchema)
}

extension Array: ProbedCollection where Element: Decodable {
    fileprivate static func probed(_ context: SchemaProbe.Context) -> (Any, JSONSchema) {
        (Self(), JSONSchema(.array(SchemaProbe.shape(of: Element.self, context).schema)))
    }
}

extension Dictionary: ProbedCollection where Key == String, Value: Decodable {
    fileprivate static func probed(_ context: SchemaProbe.Context) -> (Any, JSONSchema) {
        (Self(), JSONSchema(.map(SchemaProbe.shape(of: Value.self, context).schema)))
    }
}

extension Optional: ProbedCollection where Wrapped: Decodable {
    fileprivate static func probed(_ context: SchemaProbe.Context) -> (Any, JSONSchema) {
        var schema = SchemaProbe.shape(of: Wrapped.self, context).schema
        schema.note.isNullable = true
        return (Self.none as Any, schema)
    }
}
