/// The shape of a JSON value, in the terms of JSON Schema 2020-12, as far as records need it.
public struct JSONSchema: Equatable, Sendable {
    public indirect enum Form: Equatable, Sendable {
        /// - isClosed: other members are an error.
        case object([Property], isClosed: Bool)
        /// Members of any name.
        case map(JSONSchema)
        case array(JSONSchema)
        case string
        case integer
        case number
        case boolean
        /// Anything of these JSON types, and bytes as `{"base64": "…"}` beside them.
        case scalarOrBytes
    }

    public struct Property: Equatable, Sendable {
        /// As it stands in the JSON.
        public var name: String
        public var schema: JSONSchema
        public var isRequired: Bool
        /// What a record that has a name means in this place; empty: no more than the record says.
        public var text = ""
    }

    /// What a schema says beside the form.
    public struct Note: Equatable, Sendable, ExpressibleByStringLiteral {
        /// A sentence or two, for people.
        public var text: String
        public var minimum: Double?
        public var maximum: Double?
        /// Unicode scalars.
        public var minimumLength: Int?
        public var maximumLength: Int?
        /// The only values that a string may have; empty: any.
        public var values: [String] = []
        /// Whether `null` may stand for a member that is not there.
        public var isNullable = false

        public init(
            _ text: String, minimum: Double? = nil, maximum: Double? = nil, minimumLength: Int? = nil, maximumLength: Int? = nil,
            values: [String] = []
        ) {
            (self.text, self.minimum, self.maximum, self.values) = (text, minimum, maximum, values)
            (self.minimumLength, self.maximumLength) = (minimumLength, maximumLength)
        }

        public init(stringLiteral text: String) { self.init(text) }
    }

    public var form: Form
    public var note: Note
    /// The record's name, where the schema is one that several places refer to.
    public var name: String?

    public init(_ form: Form, _ note: Note = "", name: String? = nil) { (self.form, self.note, self.name) = (form, note, name) }
}

extension JSONSchema {
    /// The schema as JSON, with `$ref` for each record that has a name.
    /// - Parameters:
    ///   - prefix: what stands before the name in a `$ref`.
    ///   - shared: gets the schema of each such record.
    public func json(prefix: String = "#/components/schemas/", shared: inout [String: JSONValue]) -> JSONValue {
        guard let name else { return .object(members(prefix, &shared)) }
        if shared[name] == nil { shared[name] = .object(members(prefix, &shared)) }
        return ["$ref": .string(prefix + name)]
    }

    private func members(_ prefix: String, _ shared: inout [String: JSONValue]) -> [String: JSONValue] {
        var members: [String: JSONValue] = note.text.isEmpty ? [:] : ["description": .string(note.text)]
        switch form {
        case .object(let properties, let isClosed):
            var schemas: [String: JSONValue] = [:]
            for property in properties { schemas[property.name] = Self.member(property, prefix, &shared) }
            members["type"] = "object"
            members["properties"] = .object(schemas)
            members["required"] = .array(properties.filter(\.isRequired).map { .string($0.name) })
            if isClosed { members["additionalProperties"] = false }
        case .map(let value):
            members["type"] = "object"
            members["additionalProperties"] = value.json(prefix: prefix, shared: &shared)
        case .array(let element):
            members["type"] = "array"
            members["items"] = element.json(prefix: prefix, shared: &shared)
        case .string: members["type"] = "string"
        case .integer:
            members["type"] = "integer"
            members["format"] = "int64"
        case .number: members["type"] = "number"
        case .boolean: members["type"] = "boolean"
        case .scalarOrBytes:
            let bytes: JSONValue = ["type": "object", "properties": ["base64": ["type": "string"]], "required": ["base64"]]
            members["anyOf"] = [["type": ["null", "number", "string"]], bytes]
        }
        bound(&members)
        return members
    }

    private func bound(_ members: inout [String: JSONValue]) {
        if let minimum = note.minimum { members["minimum"] = JSONValue(minimum) }
        if let maximum = note.maximum { members["maximum"] = JSONValue(maximum) }
        if let length = note.minimumLength { members["minLength"] = .integer(Int64(length)) }
        if let length = note.maximumLength { members["maxLength"] = .integer(Int64(length)) }
        if !note.values.isEmpty { members["enum"] = .array(note.values.map { .string($0) }) }
        if note.isNullable, let type = members["type"] { members["type"] = [type, "null"] }
    }

    private static func member(_ property: Property, _ prefix: String, _ shared: inout [String: JSONValue]) -> JSONValue {
        guard case .object(var reference) = property.schema.json(prefix: prefix, shared: &shared) else { return [:] }
        if property.schema.name != nil, !property.text.isEmpty { reference["description"] = .string(property.text) }
        return .object(reference)
    }
}
