import FoundationEssentials
public import ShuntCore

/// An answer, whole.
public struct HTTPResponse: Equatable, Sendable {
    public var status: Int
    /// Besides those that any answer has.
    public var headers: [String: String]
    public var body: [UInt8]

    init(status: Int, type: String, body: [UInt8]) {
        self.status = status
        headers = ["Content-Type": type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"]
        self.body = body
    }

    /// JSON that is already encoded.
    public static func json(_ bytes: [UInt8]) -> HTTPResponse {
        HTTPResponse(status: 200, type: "application/json", body: bytes)
    }

    public static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> HTTPResponse {
        HTTPResponse(status: 200, type: type, body: Array(text.utf8))
    }

    /// The error with its own status, or with `status`.
    public static func problem(_ error: ShuntError, status: Int? = nil) -> HTTPResponse {
        let details = ProblemDetails(error, status: status)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and one number: there is nothing in it that cannot be encoded.
        let bytes = (try? encoder.encode(details)).map(Array.init) ?? Array("{}".utf8)
        return HTTPResponse(status: details.status, type: ProblemDetails.mediaType, body: bytes)
    }
}
