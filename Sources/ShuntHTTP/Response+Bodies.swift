import FoundationEssentials
import HTTPTypes
public import Hummingbird
import NIOCore
public import ShuntCore

extension Response {
    /// JSON that is already encoded.
    public static func json(_ bytes: [UInt8]) -> Response {
        body(bytes, type: "application/json", status: .ok)
    }

    public static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Response {
        body(Array(text.utf8), type: type, status: .ok)
    }

    /// The error with its own status, or with `status`.
    public static func problem(_ error: ShuntError, status: Int? = nil) -> Response {
        let details = ProblemDetails(error, status: status)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings and one number: there is nothing in it that cannot be encoded.
        let bytes = (try? encoder.encode(details)).map(Array.init) ?? Array("{}".utf8)
        return body(
            bytes, type: ProblemDetails.mediaType, status: HTTPResponse.Status(code: details.status, reasonPhrase: details.title))
    }

    private static func body(_ bytes: [UInt8], type: String, status: HTTPResponse.Status) -> Response {
        Response(
            status: status,
            headers: [.contentType: type, .cacheControl: "no-store", .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
