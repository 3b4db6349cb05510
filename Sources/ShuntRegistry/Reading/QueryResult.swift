import FoundationEssentials
public import ShuntJSON

/// What a query gave.
public struct QueryResult: Codable, Equatable, Sendable {
    public var columns: [String]
    public var rows: [[QueryValue]]
    /// Whether there was more than the caps let through.
    public var truncated: Bool

    public init(columns: [String], rows: [[QueryValue]], truncated: Bool) {
        self.columns = columns
        self.rows = rows
        self.truncated = truncated
    }
}

/// A value as SQLite types it. In JSON: null, a number, a string; bytes as `{"base64": "…"}`.
public enum QueryValue: Codable, Equatable, Sendable {
    case null
    case integer(Int64)
    /// Always finite; SQLite's infinities come as text.
    case real(Double)
    case text(String)
    case blob([UInt8])

    private enum BlobKey: String, CodingKey {
        case base64
    }

    public func encode(to encoder: any Encoder) throws {
        if case .blob(let bytes) = self {
            var container = encoder.container(keyedBy: BlobKey.self)
            return try container.encode(Data(bytes).base64EncodedString(), forKey: .base64)
        }
        var container = encoder.singleValueContainer()
        switch self {
        case .null, .blob: try container.encodeNil()
        case .integer(let value): try container.encode(value)
        case .real(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        }
    }

    public init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: BlobKey.self) {
            let text = try container.decode(String.self, forKey: .base64)
            guard let bytes = Data(base64Encoded: text) else {
                throw DecodingError.dataCorruptedError(forKey: .base64, in: container, debugDescription: "not base64")
            }
            self = .blob(Array(bytes))
            return
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .real(value)
        } else {
            self = .text(try container.decode(String.self))
        }
    }
}

extension QueryValue: SchemaStated {
    public static let jsonSchema = JSONSchema(.scalarOrBytes)
    public static let example = QueryValue.null
}
