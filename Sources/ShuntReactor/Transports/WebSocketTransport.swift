import ShuntCore

/// A client's WebSocket (RFC 6455): the handshake, then a stream of bytes as the payload of binary messages.
///
/// Where messages and frames begin and end means nothing: packets may share one, and be cut by them. Payload goes on as it comes, so a frame
/// may be of any length. Between two frames nothing is kept of them.
public final class WebSocketTransport: Transport {
    public private(set) var phase = TransportPhase.opening("the WebSocket handshake")
    /// nil once the handshake is done.
    private var door: WebSocketDoor?
    /// A request that did not come whole; the payload of a control frame that does not.
    private var start: [UInt8] = []
    /// Bytes of its own that wait to be written: the handshake's answer, a pong, a close frame.
    private var own: [UInt8] = []
    /// Where the pong stands in these that no later ping has been answered by; a peer that reads none makes no more than one wait.
    private var pong: Int?
    /// Only while a frame is incomplete.
    private(set) var reader: WebSocketFrameReader?
    /// Data frames in a row that were empty.
    private var emptyFrames: UInt16 = 0
    private var isInMessage = false
    private var hasSentClose = false
    /// Comes when what was read before it has been given.
    private var ending: Ending?

    private enum Ending {
        case asked
        case failed(String)
    }

    /// Empty data frames that may follow one another.
    private static let emptyFramesAllowed: UInt16 = 1000

    public init(_ door: WebSocketDoor) { self.door = door }

    // MARK: Reading

    public func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        var rest = wire
        if let door { try shakeHands(&rest, door) }
        var given = 0
        if door == nil, ending == nil { given = readFrames(&rest, into: space) }
        guard let ending else { return TransportProgress(taken: wire.count - rest.count, given: given) }
        // What follows the end is not looked at.
        guard given == 0 else { return TransportProgress(taken: wire.count, given: given) }
        switch ending {
        case .asked: phase = .ended
        case .failed(let why): throw TransportFailure(why)
        }
        return TransportProgress(taken: wire.count, given: 0)
    }

    private func shakeHands(_ wire: inout Bytes, _ door: WebSocketDoor) throws(TransportFailure) {
        guard !wire.isEmpty, ending == nil else { return }
        let before = start.count
        let outcome: WebSocketUpgrade.Outcome
        if before == 0 {
            outcome = WebSocketUpgrade.read(wire, for: door)
        } else {
            start += wire.prefix(HTTPRequestHead.limit - before)
            outcome = start.withUnsafeBytes { WebSocketUpgrade.read($0, from: before, for: door) }
        }
        switch outcome {
        case .accepted(let size, let answer):
            wire = Bytes(rebasing: wire[(size - before)...])
            (start, own, self.door) = ([], answer, nil)
            phase = .open
        case .needMore:
            if before == 0 { start = Array(wire) }
            wire = Bytes(start: nil, count: 0)
        case .page(let answer):
            (start, own, ending) = ([], answer, .asked)
        case .refused(let why, let answer):
            (start, own) = ([], answer)
            throw TransportFailure(why)
        }
    }

    /// What comes whole is read here, anything else by wslay.
    /// - Returns: how many bytes of payload stand in the space.
    private func readFrames(_ wire: inout Bytes, into space: UnsafeMutableRawBufferPointer) -> Int {
        defer { if reader?.isIdle == true { reader = nil } }
        var given = 0
        while ending == nil, !wire.isEmpty {
            let room = UnsafeMutableRawBufferPointer(rebasing: space[given...])
            if !isInMessage, reader?.isIdle != false, let frame = WholeWebSocketFrame(wire), frame.payload <= room.count || given > 0 {
                // A longer one is for the next call, which has more room. wslay cuts what is longer than all room.
                guard frame.payload <= room.count else { break }
                frame.unmask(into: room)
                given += frame.payload
                wire = Bytes(rebasing: wire[frame.size...])
                emptyFrames = 0
                continue
            }
            guard room.count >= WebSocketFrameReader.longestPiece else { break }
            let reader = self.reader ?? WebSocketFrameReader()
            self.reader = reader
            switch reader.next(&wire) {
            case .piece(let piece): given += take(piece, into: room)
            case .malformed: fail(.protocolError, "a WebSocket frame's header is malformed")
            case .needMore: return given
            }
        }
        return given
    }

    /// - Returns: how many bytes of payload it has given.
    private func take(_ piece: WebSocketFrameReader.Piece, into space: UnsafeMutableRawBufferPointer) -> Int {
        guard piece.isMasked else { return fail(.protocolError, "a WebSocket frame of a client has no mask") }
        guard piece.reserved == 0 else { return fail(.protocolError, "a WebSocket frame has reserved bits, and no extension was agreed") }
        switch piece.opcode {
        case WebSocketOpcode.binary, WebSocketOpcode.continuation: return takeData(piece, into: space)
        case WebSocketOpcode.text: return fail(.unsupportedData, "a WebSocket message is text, not binary")
        case WebSocketOpcode.close, WebSocketOpcode.ping, WebSocketOpcode.pong: takeControl(piece)
        default: return fail(.protocolError, "a WebSocket frame has the unknown opcode \(piece.opcode)")
        }
        return 0
    }

    private func takeData(_ piece: WebSocketFrameReader.Piece, into space: UnsafeMutableRawBufferPointer) -> Int {
        if piece.beginsFrame, (piece.opcode == WebSocketOpcode.continuation) != isInMessage {
            return fail(
                .protocolError,
                isInMessage ? "a WebSocket message begins inside another" : "a WebSocket frame continues a message that has not begun")
        }
        if piece.endsFrame { isInMessage = !piece.endsMessage }
        guard !piece.payload.isEmpty else {
            emptyFrames += 1
            return emptyFrames > Self.emptyFramesAllowed ? fail(.policyViolation, "the client sends empty WebSocket frames alone") : 0
        }
        emptyFrames = 0
        space.copyMemory(from: piece.payload)
        return piece.payload.count
    }

    private func takeControl(_ piece: WebSocketFrameReader.Piece) {
        if piece.opcode != WebSocketOpcode.pong { start += piece.payload }
        guard piece.endsFrame else { return }
        defer { start = [] }
        switch piece.opcode {
        case WebSocketOpcode.ping:
            if let pong { own.removeLast(own.count - pong) }
            pong = own.count
            own += WebSocketFrame.control(WebSocketOpcode.pong, start)
        case WebSocketOpcode.close: takeClose()
        default: break
        }
    }

    /// §5.5.1: nothing, or a code and a reason.
    private func takeClose() {
        guard !start.isEmpty else { return end(.asked, code: nil) }
        let code = start.count == 1 ? 0 : UInt16(start[0]) << 8 | UInt16(start[1])
        if !WebSocketClose.isSendable(code) {
            fail(.protocolError, "a WebSocket close frame has a code that may not be sent")
        } else if String(validating: start[2...], as: UTF8.self) == nil {
            fail(.invalidPayload, "the reason in a WebSocket close frame is not UTF-8")
        } else {
            end(.asked, code: code)
        }
    }

    @discardableResult
    private func fail(_ code: WebSocketClose, _ why: String) -> Int {
        end(.failed("\(why) (\(ErrorCode.protocolWebSocket.rawValue))"), code: code.rawValue)
        return 0
    }

    private func end(_ ending: Ending, code: UInt16?) {
        self.ending = ending
        reader = nil
        sayClose(code)
    }

    private func sayClose(_ code: UInt16?) {
        guard !hasSentClose else { return }
        hasSentClose = true
        own += WebSocketFrame.control(WebSocketOpcode.close, code.map { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } ?? [])
    }

    // MARK: Writing

    public func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        var given = 0
        if !own.isEmpty {
            space.copyBytes(from: own)
            given = own.count
            (own, pong) = ([], nil)
        }
        guard door == nil, !hasSentClose, !plain.isEmpty else { return TransportProgress(taken: 0, given: given) }
        let room = UnsafeMutableRawBufferPointer(rebasing: space[given...])
        let taken = min(plain.count, room.count - WebSocketFrame.longestHeader)
        let header = WebSocketFrame.writeHeader(WebSocketOpcode.binary, payload: taken, into: room)
        UnsafeMutableRawBufferPointer(rebasing: room[header...]).copyMemory(from: Bytes(rebasing: plain[..<taken]))
        return TransportProgress(taken: taken, given: given + header + taken)
    }

    public func finish() { finish(because: .byPeer) }

    public func finish(because reason: CloseReason) {
        guard door == nil else { return }
        let code: WebSocketClose =
            switch reason {
            case .processEnds: .goingAway
            case .byUs(let why) where why.contains(ErrorCode.frameTooLarge.rawValue): .tooBig
            default: .normal
            }
        sayClose(code.rawValue)
    }
}
