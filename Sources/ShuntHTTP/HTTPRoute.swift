import ShuntCore

/// One method of one path.
public struct HTTPRoute: Sendable {
    public enum Method: String, Sendable {
        case get = "GET"
        /// The only one that comes with a body.
        case post = "POST"
        case delete = "DELETE"
    }

    /// What one must be allowed to do to ask for it.
    public enum Need: Sendable {
        /// Everybody may.
        case nothing
        case read
        /// It changes something.
        case operate
    }

    /// The largest body that is read, in bytes.
    public static let maximumBodyLength = 1 << 20

    public let method: Method
    /// Segments between slashes; `{name}` takes any one segment.
    public let path: String
    /// The query parameters that are known; any other is an error.
    public let parameters: [String]
    public let need: Need
    let handle: @Sendable (HTTPCall) async throws -> HTTPResponse

    public init(
        _ method: Method, _ path: String, parameters: [String] = [], need: Need = .read,
        handle: @escaping @Sendable (HTTPCall) async throws -> HTTPResponse
    ) {
        self.method = method
        self.path = path
        self.parameters = parameters
        self.need = need
        self.handle = handle
    }
}

/// A request that a route has taken.
public struct HTTPCall: Sendable {
    /// What stands in the place of the route's `{name}`, decoded; empty where it has none.
    public let segment: String
    /// Decoded, only those that the route knows.
    public let parameters: [String: String]
    /// Whole, at most ``HTTPRoute/maximumBodyLength`` bytes.
    public let body: [UInt8]
    /// The name of the one who asks; nil where the endpoint does not want to know.
    public let caller: String?

    /// A parameter that must be a whole number within `range`.
    public func integer<T: FixedWidthInteger & Sendable>(
        _ name: String, in range: ClosedRange<T>, default value: T
    ) throws(ShuntError) -> T {
        try integer(name, in: range) ?? value
    }

    /// A parameter that must be a whole number within `range`, where it is given.
    public func integer<T: FixedWidthInteger & Sendable>(_ name: String, in range: ClosedRange<T>) throws(ShuntError) -> T? {
        guard let text = parameters[name] else { return nil }
        guard let value = T(text), range.contains(value) else {
            throw ShuntError(
                .requestInvalid, "'\(text)' is not a whole number that '\(name)' can be", at: name,
                help: "give one from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// A parameter that must be `true` or `false`, where it is given.
    public func boolean(_ name: String) throws(ShuntError) -> Bool? {
        guard let text = parameters[name] else { return nil }
        guard let value = Bool(text) else {
            throw ShuntError(
                .requestInvalid, "'\(text)' is not something that '\(name)' can be", at: name, help: "give true or false")
        }
        return value
    }

    /// A parameter that must be one of an enumeration's names, where it is given.
    public func choice<T: RawRepresentable<String> & CaseIterable>(_ name: String) throws(ShuntError) -> T? {
        guard let text = parameters[name] else { return nil }
        guard let value = T(rawValue: text) else {
            throw ShuntError(
                .requestInvalid, "'\(text)' is not something that '\(name)' can be", at: name,
                help: "give one of " + T.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return value
    }
}
