import ExchangeCodec
import ShuntCore

/// A server's refusal: the status and the text of an error frame (exchange protocol §4.5).
public struct Refusal: Hashable, Sendable, CustomStringConvertible {
    /// An HTTP number other than 200.
    public var status: Int
    public var text: String

    public init(status: Int, text: String) {
        self.status = status
        self.text = text
    }

    init(_ frame: Frame) { self.init(status: Int(frame.status), text: frame.text) }

    public var description: String { "\(status) \(text)" }

    /// The code of the one list that this answer stands for: by its text where message-channel's text says it
    /// (§4.4), else by its status where that leaves no doubt. A status that many codes share is `refused`.
    public var code: ErrorCode {
        if let known = ErrorCode.allCases.first(where: { $0.exchangeText == text && $0.status == status }) { return known }
        switch status {
        case 307: return .chatElsewhere
        case 403: return .ruleRejected
        case 409: return .chatFull
        case 408: return .frameTimeout
        case 413: return .frameTooLarge
        case 508: return .hopLimit
        default: return .refused
        }
    }

    /// - Parameter location: the server that answered.
    public func error(at location: String? = nil) -> ShuntError {
        ShuntError(code, "refused with status \(status): \(text)", at: location, help: help)
    }

    private var help: String? {
        code == .topicNoSubscriber ? "nobody subscribes to this topic and key at this worker" : nil
    }

    /// Whether the same request would be refused again.
    var isPermanent: Bool { (400..<500).contains(status) && status != 408 && status != 429 }
}
