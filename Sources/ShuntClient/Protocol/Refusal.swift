import ExchangeCodec
import MQTTCodec
import ShuntCore

/// A server's refusal: the status and the text of an error frame (exchange protocol §4.5), or a reason code of MQTT.
public struct Refusal: Hashable, Sendable, CustomStringConvertible {
    /// An HTTP number other than 200.
    public var status: Int
    /// The server's words, for people.
    public var text: String
    /// MQTT's reason code (5.0 §2.4); nil if the exchange protocol was spoken. `status` is then the one of the error that it stands for.
    public var reasonCode: UInt8?

    /// A refusal by the exchange protocol.
    public init(status: Int, text: String) {
        self.status = status
        self.text = text
    }

    init(_ frame: Frame) { self.init(status: Int(frame.status), text: frame.text) }

    /// The number, and the text.
    public var description: String {
        guard let reasonCode else { return "\(status) \(text)" }
        return "0x" + (reasonCode < 16 ? "0" : "") + String(reasonCode, radix: 16, uppercase: true) + " " + text
    }

    /// The code of the one list that this answer stands for: by its text where message-channel's text says it
    /// (§4.4), else by its status where that leaves no doubt. A status that many codes share is `refused`.
    public var code: ErrorCode {
        if let reason = reasonCode.flatMap({ ReasonCode(rawValue: $0) }) { return reason.errorCode }
        if let known = ErrorCode.allCases.first(where: { $0.exchangeText == text && $0.status == status }) { return known }
        switch status {
        case 307: return .workerElsewhere
        case 401: return .accessCredentials
        case 403: return AccessRefusal.code(of: text) ?? .ruleRejected
        case 409: return .chatFull
        case 408: return .frameTimeout
        case 413: return .frameTooLarge
        case 508: return .hopLimit
        default: return .refused
        }
    }

    /// - Parameter location: the server that answered.
    public func error(at location: String? = nil) -> ShuntError {
        let answer = reasonCode == nil ? "status \(status): \(text)" : "reason \(self)"
        return ShuntError(code, "refused with \(answer)", at: location, help: help)
    }

    private var help: String? {
        code == .topicNoSubscriber && reasonCode == nil ? "nobody subscribes to this topic and key at this worker" : nil
    }

    /// Whether the same request would be refused again.
    var isPermanent: Bool { (400..<500).contains(status) && status != 408 && status != 429 }
}
