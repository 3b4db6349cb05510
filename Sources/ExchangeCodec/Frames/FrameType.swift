/// The request or answer of a frame (§4.1). The raw value is the code on the wire.
public enum FrameType: UInt8, Sendable, CaseIterable {
    case ping = 0
    case notify = 1
    case chat = 2
    case message = 3
    case subscribe = 4
    case unsubscribe = 5
    case allocation = 6
    case balance = 7
    /// Assigned, never sent by message-channel. One of Shunt's masters asks and tells its workers with it (`RetainedRequestBody`, `BansBody`).
    case binding = 8
    case register = 9
    /// Assigned, never sent.
    case registered = 10
    case acknowledgement = 13

    /// The type of a code on the wire; nil for an unassigned one.
    ///
    /// Spelt out, because it must be inlined into the decoder and the synthesised `init(rawValue:)` is not.
    @inlinable
    public static func decoding(_ code: UInt8) -> FrameType? {
        switch code {
        case 0: .ping
        case 1: .notify
        case 2: .chat
        case 3: .message
        case 4: .subscribe
        case 5: .unsubscribe
        case 6: .allocation
        case 7: .balance
        case 8: .binding
        case 9: .register
        case 10: .registered
        case 13: .acknowledgement
        default: nil
        }
    }

    /// The code on the wire.
    @inlinable
    public var code: UInt8 {
        switch self {
        case .ping: 0
        case .notify: 1
        case .chat: 2
        case .message: 3
        case .subscribe: 4
        case .unsubscribe: 5
        case .allocation: 6
        case .balance: 7
        case .binding: 8
        case .register: 9
        case .registered: 10
        case .acknowledgement: 13
        }
    }
}
