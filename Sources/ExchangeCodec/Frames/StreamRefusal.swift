import ShuntCore

/// The last answer to a peer whose stream cannot be read any further. Workers and masters give it alike, then close the connection.
public struct StreamRefusal: Equatable, Sendable {
    public let code: ErrorCode
    /// The bytes of the answer, in the peer's own protocol; empty if the peer could not read any answer.
    public let answer: [UInt8]
    /// Whether the peer speaks another protocol.
    public var isForeign: Bool { code == .protocolHTTP || code == .protocolMQTT || code == .protocolTLS }

    /// - Parameters:
    ///   - bytes: the received bytes, from the frame on that can't be read or is incomplete.
    ///   - isFirst: whether these are the first bytes of the connection.
    /// - Returns: nil while the bytes may still become a frame.
    public init?(of bytes: Bytes, isFirst: Bool) {
        guard isFirst, let foreign = ForeignProtocol(bytes) else { return nil }
        self.init(foreign)
    }

    /// The same for bytes that are not a frame.
    public init(of bytes: Bytes, isFirst: Bool, _ fault: FrameFault) {
        if isFirst, let foreign = ForeignProtocol(bytes) {
            self.init(foreign)
            return
        }
        var answer: [UInt8] = []
        if fault != .magic, bytes.count >= FrameLayout.headerSize {
            let id = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: Int64.self))
            answer = Frame(acknowledging: id, fault.error()).encoded()
        }
        self.init(code: fault.code, answer: answer)
    }

    private init(_ foreign: ForeignProtocol) { self.init(code: foreign.code, answer: foreign.answer) }

    private init(code: ErrorCode, answer: [UInt8]) {
        self.code = code
        self.answer = answer
    }
}

extension Frame {
    /// The answer to a request that is refused, with the text that message-channel's clients know for the error, if they know one.
    public init(acknowledging id: Int64, _ error: ShuntError) {
        let text = error.code.exchangeText ?? (error.help.map { "\(error.message); \($0)" } ?? error.message)
        self.init(acknowledging: id, status: error.code.exchangeStatus, text: text)
    }
}
