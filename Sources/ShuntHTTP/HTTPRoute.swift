public import ShuntCore
import ShuntJSON

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
    public let parameters: [HTTPParameter]
    /// The header fields that the route looks at.
    public let fields: [HTTPParameter]
    public let need: Need
    /// What comes with a POST; nil: what comes is not looked at.
    public let body: HTTPBody?
    /// nil: the API's document does not tell of it.
    public let sheet: RouteSheet?
    let handle: @Sendable (HTTPCall) async throws -> HTTPResponse

    public init(
        _ method: Method, _ path: String, _ sheet: RouteSheet? = nil, parameters: [HTTPParameter] = [], fields: [HTTPParameter] = [],
        body: HTTPBody? = nil, need: Need = .read,
        handle: @escaping @Sendable (HTTPCall) async throws -> HTTPResponse
    ) {
        self.method = method
        self.path = path
        self.parameters = parameters
        self.fields = fields
        self.need = need
        self.body = body
        self.sheet = sheet
        self.handle = handle
    }

    /// The header field of a remark for people.
    public static let noteField = "Shunt-Note"

    /// The same route, whose answers may come with a remark.
    /// - Parameter note: called before each answer; the one before an error goes nowhere.
    public func noted(by note: @escaping @Sendable () async -> String?) -> HTTPRoute {
        HTTPRoute(method, path, sheet, parameters: parameters, fields: fields, body: body, need: need) { [handle] call in
            do {
                var response = try await handle(call)
                if let text = await note() { response.headers[Self.noteField] = Self.field(text) }
                return response
            } catch {
                _ = await note()
                throw error
            }
        }
    }

    /// A header field holds visible ASCII and spaces (RFC 9110 §5.5).
    private static func field(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { (0x20...0x7E).contains($0.value) ? $0 : "?" }))
    }
}

/// A request that a route has taken, checked against what the route declares.
public struct HTTPCall: Sendable {
    /// What stands in the place of the route's `{name}`, decoded; empty where it has none.
    public let segment: String
    /// Decoded, only those that are given.
    public let parameters: [String: String]
    let declared: [HTTPParameter]
    /// The header fields that the route looks at, by their declared names.
    public let fields: [String: String]
    /// Whole, at most ``HTTPRoute/maximumBodyLength`` bytes.
    public let body: [UInt8]
    /// The name of the one who asks; nil where the endpoint does not want to know.
    public let caller: String?
    /// Whether the one who asks may still do so: asked by answers that go on.
    public let mayStill: @Sendable () -> Bool

    /// The value of a parameter that is a whole number, or what counts where it is not given.
    public func integer<T: FixedWidthInteger>(_ name: String) -> T? {
        if let text = parameters[name] { return T(text) }
        for parameter in declared where parameter.name == name {
            if case .integer(_, let usual) = parameter.form { return usual.flatMap { T(exactly: $0) } }
        }
        return nil
    }

    public func boolean(_ name: String) -> Bool? { parameters[name].flatMap { Bool($0) } }

    public func choice<T: RawRepresentable<String>>(_ name: String) -> T? { parameters[name].flatMap { T(rawValue: $0) } }

    public var limit: Int { integer("limit") ?? HTTPParameter.usualLimit }
    public var offset: Int { integer("offset") ?? 0 }

    /// The body as a record; the route declares a body of this type.
    /// - Throws: `request.invalid`.
    public func record<Record: Decodable>(_ type: Record.Type) throws(ShuntError) -> Record {
        guard let record = try? RecordJSON.decode(type, from: body) else {
            throw ShuntError(.requestInvalid, "the body is not what this path takes", at: "the body")
        }
        return record
    }
}
