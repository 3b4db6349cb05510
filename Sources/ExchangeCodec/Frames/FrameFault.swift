import ShuntCore

/// The rule that a malformed frame breaks (§6). All of them close the connection.
public enum FrameFault: UInt8, Sendable, CaseIterable {
    /// The whole frame would exceed the limit, or its body length is negative.
    case tooLarge
    case magic
    case type
    case compression
    case status
    /// Neither text nor JSON, or in an error frame none of the five formats.
    case format
    /// A body of 1 to 4 bytes.
    case bodyTooShort
    /// A body whose value has no bytes.
    case emptyValue
    case valueLength
    case nameLength
    case keyLength
    /// A line break in the text of an error frame.
    case errorText

    public var code: ErrorCode { self == .tooLarge ? .frameTooLarge : .frameMalformed }

    /// - Parameter location: the peer, as the caller knows it.
    public func error(at location: String? = nil) -> ShuntError {
        ShuntError(code, message, at: location, help: help)
    }

    private var message: String {
        switch self {
        case .tooLarge: "the frame announces a body that is larger than the limit, or negative"
        case .magic: "the frame's first byte is wrong"
        case .type: "the frame's type (byte 9) is unassigned"
        case .compression: "the frame's compression (byte 10) is unassigned"
        case .status: "the frame's status (bytes 11 and 12) is negative"
        case .format: "the body's format (byte 17) can not be read"
        case .bodyTooShort: "the body is too short for a format and a value length"
        case .emptyValue: "the body's value has length 0"
        case .valueLength: "the value (length at byte 18) does not fit into the body"
        case .nameLength: "the name after the value does not fit into the body"
        case .keyLength: "the key after the name does not fit into the body"
        case .errorText: "the text of an error frame has a line break"
        }
    }

    private var help: String {
        switch self {
        case .tooLarge: "send less, or raise limits.frame"
        case .magic: "frames start with 0x71; is this another protocol?"
        case .type: "0 to 10 and 13 are assigned"
        case .compression: "0 none, 1 gzip, 2 lz4, 3 snappy"
        case .status: "requests carry 200"
        case .format: "1 text, 2 JSON"
        case .bodyTooShort: "a body has at least 6 bytes"
        case .emptyValue: "a frame without a value has body length 0"
        case .valueLength, .nameLength, .keyLength: "lengths are big-endian, 32 bits, and count bytes"
        case .errorText: "replace CR and LF by spaces"
        }
    }
}
