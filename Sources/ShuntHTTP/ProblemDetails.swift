import FoundationEssentials
import NIOHTTP1
public import ShuntCore

/// An error as JSON (RFC 9457), with the code from the one list.
public struct ProblemDetails: Codable, Equatable, Sendable {
    public static let mediaType = "application/problem+json"

    /// Always `about:blank`: the code says what kind of problem it is.
    public var type = "about:blank"
    /// The status in words.
    public var title: String
    public var status: Int
    /// What was wrong.
    public var detail: String
    /// ``ErrorCode``'s raw value.
    public var code: String
    /// Where it was wrong.
    public var location: String?
    /// What would be right.
    public var help: String?

    public init(_ error: ShuntError, status: Int? = nil) {
        self.status = status ?? error.code.status
        title = HTTPResponseStatus(statusCode: self.status).reasonPhrase
        detail = error.message
        code = error.code.rawValue
        location = error.location
        help = error.help
    }

    /// The error that this came from; `internal` where its code is not known here.
    public var error: ShuntError {
        ShuntError(ErrorCode(rawValue: code) ?? .internalError, detail, at: location, help: help)
    }
}
