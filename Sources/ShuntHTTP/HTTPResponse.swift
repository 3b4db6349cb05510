import FoundationEssentials
public import ShuntCore

/// An answer, whole or the beginning of one that goes on.
public struct HTTPResponse: Equatable, Sendable {
    public var status: Int
    /// Besides those that any answer has.
    public var headers: [String: String]
    public var body: [UInt8]
    /// What follows the body, as long as it goes on; nil: the answer is whole.
    var stream: HTTPStream?

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

    /// A file that a browser may keep; it asks each time whether the file is still the same.
    public static func file(_ bytes: [UInt8], type: String) -> HTTPResponse {
        var response = HTTPResponse(status: 200, type: type, body: bytes)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["ETag"] = "\"\(String(fingerprint(bytes), radix: 16))\""
        return response
    }

    /// FNV-1a: other bytes, another number.
    private static func fingerprint(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// The answer to a client that has these versions of it already (RFC 9110 §13.1.2): 304 where one of them is this one.
    /// - Parameter tags: the values of the request's `If-None-Match`.
    func unless(_ tags: [String]) -> HTTPResponse {
        guard status == 200, let tag = headers["ETag"] else { return self }
        let held = tags.joined(separator: ",").split(separator: ",").map { $0.drop { $0 == " " } }
        guard held.contains(where: { $0 == "*" || $0 == tag || $0 == "W/\(tag)" }) else { return self }
        var response = self
        response.status = 304
        return response
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
