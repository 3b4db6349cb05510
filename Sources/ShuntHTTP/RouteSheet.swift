public import ShuntCore
public import ShuntJSON

/// What the API's document tells of a route, beside its path, its parameters and its body.
public struct RouteSheet: Sendable {
    public enum Answer: Sendable {
        /// A record; the closure makes its schema.
        case json(@Sendable ([String: JSONSchema.Note]) -> JSONSchema)
        /// JSON, and no more is said of it.
        case anyJSON
        /// - type: the media type, without parameters.
        case text(type: String)
    }

    /// What the route does: a sentence.
    public var summary: String
    public var answer: Answer
    /// What an answer is: a sentence.
    public var gives: String
    /// The codes that the route answers with, beside those that any route may.
    public var errors: [ErrorCode]
    /// What the `{…}` of the path stands for.
    public var segment: String
    /// Statuses that come with a problem of any code, and when.
    public var problems: [Int: String] = [:]

    public init(_ summary: String, _ answer: Answer, gives: String, segment: String = "", errors: [ErrorCode] = []) {
        (self.summary, self.answer, self.gives, self.segment, self.errors) = (summary, answer, gives, segment, errors)
    }

    /// The sheet of a route that answers with a record, as ``RecordJSON`` writes it.
    public init<Record: Codable & Sendable>(
        _ summary: String, _ type: Record.Type, gives: String, segment: String = "", errors: [ErrorCode] = []
    ) {
        self.init(summary, .json { JSONSchema(of: type, notes: $0) }, gives: gives, segment: segment, errors: errors)
    }
}

/// The body that a route takes: a request is checked by it, and the API's document tells it.
public struct HTTPBody: Sendable {
    public var schema: JSONSchema
    /// A body that is right, for errors.
    public var example: String

    public init(_ schema: JSONSchema, example: String) { (self.schema, self.example) = (schema, example) }

    /// - Throws: `request.invalid` where the body is not what the route takes.
    func check(_ bytes: [UInt8]) throws(ShuntError) {
        do throws(JSONSchema.Mismatch) {
            try schema.check(bytes)
        } catch {
            throw ShuntError(
                .requestInvalid, error.what, at: error.place.isEmpty ? "the body" : error.place, help: "send JSON such as \(example)")
        }
    }
}
