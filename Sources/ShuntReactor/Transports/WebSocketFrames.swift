import CWslay
import ShuntCore

// Unsafe: wslay's callback gets an uncounted reference to the reader, which frees wslay's context before it goes.

/// Finds the frames in what a peer sends (RFC 6455 §5.2), by wslay, and gives their payload piece by piece as it comes.
///
/// It takes 4 KiB, so a connection has one only while a frame is incomplete.
final class WebSocketFrameReader {
    /// A part of a frame's payload.
    struct Piece {
        let opcode: UInt8
        let reserved: UInt8
        let isMasked: Bool
        /// The frame ends its message.
        let endsMessage: Bool
        /// Without its mask. Until the next one is asked for.
        let payload: Bytes
        let beginsFrame: Bool
        let endsFrame: Bool
    }

    enum Outcome {
        case piece(Piece)
        case needMore
        /// A length that is not written as short as it can be or has its highest bit set; a long or fragmented control frame.
        case malformed
    }

    /// Bytes of the longest piece.
    static let longestPiece = 4096

    private var context: wslay_frame_context_ptr?
    /// What wslay may take. It takes more than it needs.
    private var wire = Bytes(start: nil, count: 0)
    private var fed: UInt64 = 0
    private var used: UInt64 = 0
    private var offset: UInt64 = 0

    init() {
        var callbacks = wslay_frame_callbacks()
        callbacks.recv_callback = { buffer, count, _, reader in
            guard let buffer, let reader else { return -1 }
            return Unmanaged<WebSocketFrameReader>.fromOpaque(reader)._withUnsafeGuaranteedRef { $0.feed(buffer, count) }
        }
        guard wslay_frame_context_init(&context, &callbacks, Unmanaged.passUnretained(self).toOpaque()) == 0 else {
            fatalError("no memory for a WebSocket frame")
        }
    }

    deinit { wslay_frame_context_free(context) }

    /// All that was taken is used, and no frame is incomplete.
    var isIdle: Bool { fed == used && offset == 0 }

    private func feed(_ buffer: UnsafeMutablePointer<UInt8>, _ room: Int) -> Int {
        let count = min(room, wire.count)
        guard count > 0, let start = wire.baseAddress else { return -1 }
        UnsafeMutableRawPointer(buffer).copyMemory(from: start, byteCount: count)
        wire = Bytes(rebasing: wire[count...])
        fed += UInt64(count)
        return count
    }

    /// The next piece.
    /// - Parameter wire: becomes what is left of it.
    func next(_ wire: inout Bytes) -> Outcome {
        self.wire = wire
        var frame = wslay_frame_iocb()
        let result = wslay_frame_recv(context, &frame)
        wire = self.wire
        guard result >= 0 else { return result == Int(WSLAY_ERR_WANT_READ.rawValue) ? .needMore : .malformed }
        let begins = offset == 0
        if begins { used += Self.headerSize(frame) }
        offset += UInt64(frame.data_length)
        used += UInt64(frame.data_length)
        let ends = offset == frame.payload_length
        if ends { offset = 0 }
        return .piece(
            Piece(
                opcode: frame.opcode, reserved: frame.rsv, isMasked: frame.mask != 0, endsMessage: frame.fin != 0,
                payload: Bytes(start: frame.data, count: frame.data_length), beginsFrame: begins, endsFrame: ends))
    }

    private static func headerSize(_ frame: wslay_frame_iocb) -> UInt64 {
        UInt64(WebSocketFrame.headerSize(payload: frame.payload_length)) + (frame.mask != 0 ? 4 : 0)
    }
}

/// Writing whole frames without a mask, as servers do (RFC 6455 §5.2).
enum WebSocketFrame {
    static let longestHeader = 10

    static func headerSize(payload: UInt64) -> Int { payload < 126 ? 2 : payload <= 0xFFFF ? 4 : 10 }

    /// Writes the header of a frame that is a message of its own.
    /// - Parameter space: at least `longestHeader` bytes.
    /// - Returns: its size.
    static func writeHeader(_ opcode: UInt8, payload: Int, into space: UnsafeMutableRawBufferPointer) -> Int {
        space[0] = 0x80 | opcode
        let size = headerSize(payload: UInt64(payload))
        switch size {
        case 2: space[1] = UInt8(payload)
        case 4:
            space[1] = 126
            space.storeBytes(of: UInt16(payload).bigEndian, toByteOffset: 2, as: UInt16.self)
        default:
            space[1] = 127
            space.storeBytes(of: UInt64(payload).bigEndian, toByteOffset: 2, as: UInt64.self)
        }
        return size
    }

    /// - Parameter payload: at most 125 bytes.
    static func control(_ opcode: UInt8, _ payload: [UInt8]) -> [UInt8] { [0x80 | opcode, UInt8(payload.count)] + payload }
}

enum WebSocketOpcode {
    static let continuation: UInt8 = 0
    static let text: UInt8 = 1
    static let binary: UInt8 = 2
    static let close: UInt8 = 8
    static let ping: UInt8 = 9
    static let pong: UInt8 = 10
}

/// Why a WebSocket ends (RFC 6455 §7.4.1).
enum WebSocketClose: UInt16 {
    case normal = 1000
    /// The server ends.
    case goingAway = 1001
    case protocolError = 1002
    /// Text, where binary messages are wanted.
    case unsupportedData = 1003
    /// A reason that is not UTF-8.
    case invalidPayload = 1007
    case policyViolation = 1008
    case tooBig = 1009

    /// Whether a peer may name such a code (§7.4).
    static func isSendable(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
