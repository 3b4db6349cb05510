import ShuntCore

/// The status numbers of the protocol (§4.4): HTTP's, and 200 is the only one that is not an error.
public enum FrameStatus {
    public static let ok: Int16 = 200
    public static let temporaryRedirect: Int16 = 307

    /// The text of an error frame without a text, as receivers read it.
    public static func phrase(_ status: Int16) -> String {
        phrases[status] ?? "\(className(status)) (\(status))"
    }

    private static func className(_ status: Int16) -> String {
        switch status {
        case 100..<200: "Informational"
        case 200..<300: "Successful"
        case 300..<400: "Redirection"
        case 400..<500: "Client Error"
        case 500..<600: "Server Error"
        default: "Unknown Status"
        }
    }

    private static let phrases: [Int16: String] = [
        100: "Continue", 101: "Switching Protocols", 102: "Processing",
        200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
        205: "Reset Content", 206: "Partial Content", 207: "Multi-Status",
        300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
        305: "Use Proxy", 307: "Temporary Redirect",
        400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
        405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
        409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed",
        413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media EventType",
        416: "Requested Range Not Satisfiable", 417: "Expectation Failed", 422: "Unprocessable Entity", 423: "Locked",
        424: "Failed Dependency", 425: "Unordered Collection", 426: "Upgrade Required",
        500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
        504: "Gateway Timeout", 505: "HTTP Version Not Supported", 506: "Variant Also Negotiates",
        507: "Insufficient Storage", 510: "Not Extended",
    ]
}

extension ErrorCode {
    /// The text that message-channel's clients know for this error (§4.4); nil where they know none.
    public var exchangeText: String? {
        switch self {
        case .topicNoSubscriber: "The worker subscriber is empty"
        case .subscriptionExists: "subscribe failed"
        case .subscriptionUnknown: "unsubscribe failed"
        case .deviceNone: "The register device live list is empty"
        case .workerNone: "not found server"
        case .masterUnavailable: "Service Unavailable"
        default: nil
        }
    }

    /// The number that an error frame carries for this error.
    public var exchangeStatus: Int16 { Int16(truncatingIfNeeded: status) }
}
