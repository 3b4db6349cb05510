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
    /// What wslay may take. It would take more than the frame has.
    private var wire = Bytes(start: nil, count: 0)
    private var header = Header()
    /// Bytes of the payload that wslay was fed, and that it has given.
    private var fed: UInt64 = 0
    private var offset: UInt64 = 0

    /// A frame's header as far as it was fed.
    private struct Header {
        /// Bytes so far, and in all.
        var count = 0
        var size = 2
        private(set) var payload: UInt64 = 0
        private var lengthEnds = 2

        var isWhole: Bool { count == size }

        mutating func append(_ byte: UInt8) {
            count += 1
            if count == 2 {
                lengthEnds = WebSocketFrame.lengthEnds(byte)
                size = lengthEnds + (byte & 0x80 == 0 ? 0 : 4)
                payload = lengthEnds == 2 ? UInt64(byte & 0x7F) : 0
            } else if count > 2, count <= lengthEnds {
                payload = payload << 8 | UInt64(byte)
            }
        }
    }

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

    /// No frame is incomplete.
    var isIdle: Bool { header.count == 0 }

    private func feed(_ buffer: UnsafeMutablePointer<UInt8>, _ room: Int) -> Int {
        let wanted = header.isWhole ? header.payload - fed : UInt64(header.size - header.count)
        let count = min(room, wire.count, Int(clamping: wanted))
        guard count > 0, let start = wire.baseAddress else { return -1 }
        UnsafeMutableRawPointer(buffer).copyMemory(from: start, byteCount: count)
        if header.isWhole { fed += UInt64(count) } else { for byte in wire[..<count] { header.append(byte) } }
        wire = Bytes(rebasing: wire[count...])
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
        offset += UInt64(frame.data_length)
        let ends = offset == frame.payload_length
        if ends { (header, fed, offset) = (Header(), 0, 0) }
        return .piece(
            Piece(
                opcode: frame.opcode, reserved: frame.rsv, isMasked: frame.mask != 0, endsMessage: frame.fin != 0,
                payload: Bytes(start: frame.data, count: frame.data_length), beginsFrame: begins, endsFrame: ends))
    }
}

/// A message of one frame that has come whole, as nearly all are. All other frames are wslay's.
struct WholeWebSocketFrame {
    private let key: Bytes
    private let masked: Bytes

    /// Bytes of the frame, and of its payload.
    var size: Int { headerSize + masked.count }
    var payload: Int { masked.count }
    private let headerSize: Int

    /// - Returns: nil where the bytes begin with anything else than a whole masked binary message of 1 to 65,535 bytes.
    init?(_ wire: Bytes) {
        guard wire.count > 6, wire[0] == 0x80 | WebSocketOpcode.binary, wire[1] & 0x80 != 0 else { return nil }
        var count = Int(wire[1] & 0x7F)
        let lengthEnds = WebSocketFrame.lengthEnds(wire[1])
        if lengthEnds == 4 {
            count = Int(wire[2]) << 8 | Int(wire[3])
            guard count >= 126 else { return nil }
        }
        headerSize = lengthEnds + 4
        guard lengthEnds <= 4, count > 0, wire.count - headerSize >= count else { return nil }
        key = Bytes(rebasing: wire[lengthEnds..<headerSize])
        masked = Bytes(rebasing: wire[headerSize..<headerSize + count])
    }

    /// - Parameter space: at least as many bytes as the payload has.
    func unmask(into space: UnsafeMutableRawBufferPointer) {
        let four = UInt64(key.loadUnaligned(as: UInt32.self))
        let eight = four << 32 | four
        var place = 0
        while place + 8 <= masked.count {
            space.storeBytes(of: masked.loadUnaligned(fromByteOffset: place, as: UInt64.self) ^ eight, toByteOffset: place, as: UInt64.self)
            place += 8
        }
        while place < masked.count {
            space[place] = masked[place] ^ key[place & 3]
            place += 1
        }
    }
}

/// Writing whole frames without a mask, as servers do (RFC 6455 §5.2).
enum WebSocketFrame {
    static let longestHeader = 10

    /// Where the length ends, by a header's second byte.
    static func lengthEnds(_ second: UInt8) -> Int {
        switch second & 0x7F {
        case 126: 4
        case 127: 10
        default: 2
        }
    }

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
