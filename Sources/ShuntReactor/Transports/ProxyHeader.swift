import ShuntCore

/// The header that a proxy sends ahead of a client's bytes, to say who the client is: HAProxy's PROXY protocol, versions 1 and 2
/// (proxy-protocol.txt of HAProxy).
public enum ProxyHeader {
    public enum Outcome: Equatable, Sendable {
        /// A header of so many bytes. No address: the proxy speaks for itself, or of a client without an IP address.
        case complete(size: Int, client: PeerAddress?)
        /// More bytes are needed. The bytes so far are right.
        case needMore
        case malformed(String)
    }

    /// Bytes of the longest header that is taken, with all that a proxy may add to it.
    public static let limit = 4096
    /// §2.1: the longest line of version 1, with its end.
    private static let lineLimit = 107
    private static let lineStart = Array("PROXY ".utf8)
    /// §2.2.
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// Reads the header at the start of some bytes.
    public static func read(_ bytes: Bytes) -> Outcome {
        if starts(bytes, with: signature) { return bytes.count < 16 ? .needMore : binary(bytes) }
        if starts(bytes, with: lineStart) { return bytes.count <= lineStart.count ? .needMore : line(bytes) }
        return .malformed("no PROXY header at the start of the connection")
    }

    /// Whether the bytes start so, as far as there are any.
    private static func starts(_ bytes: Bytes, with prefix: [UInt8]) -> Bool { zip(bytes, prefix).allSatisfy { $0 == $1 } }

    // MARK: Version 1

    /// §2.1: `PROXY TCP4 192.168.0.1 192.168.0.11 56324 443`, CR, LF.
    private static func line(_ bytes: Bytes) -> Outcome {
        guard let end = bytes.prefix(lineLimit - 1).firstIndex(of: 0x0D) else {
            return bytes.count < lineLimit ? .needMore : .malformed("a PROXY line of more than \(lineLimit) bytes")
        }
        guard end + 1 < bytes.count else { return .needMore }
        guard bytes[end + 1] == 0x0A else { return .malformed("a PROXY line that does not end with CR LF") }
        let words = String(decoding: bytes[..<end], as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
        // What follows UNKNOWN is to be ignored.
        if words[1] == "UNKNOWN" { return .complete(size: end + 2, client: nil) }
        let isIPv6 = words[1] == "TCP6"
        guard words.count == 6, isIPv6 || words[1] == "TCP4", var client = address(words[2], isIPv6: isIPv6),
            address(words[3], isIPv6: isIPv6) != nil, let port = port(words[4]), self.port(words[5]) != nil
        else { return .malformed("a PROXY line that names no client") }
        client.port = port
        return .complete(size: end + 2, client: client)
    }

    private static func address(_ text: Substring, isIPv6: Bool) -> PeerAddress? {
        text.contains(":") == isIPv6 ? PeerAddress(host: String(text)) : nil
    }

    /// Decimal digits without a sign or a zero at their start.
    private static func port(_ text: Substring) -> UInt16? {
        guard text == "0" || text.first != "0", text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt16(text)
    }

    // MARK: Version 2

    /// §2.2: the signature, version and command, family and transport, the length of what follows: addresses, then TLVs.
    private static func binary(_ bytes: Bytes) -> Outcome {
        let (version, command) = (bytes[12] >> 4, bytes[12] & 0x0F)
        let (family, transport) = (bytes[13] >> 4, bytes[13] & 0x0F)
        guard version == 2 else { return .malformed("a PROXY header of version \(version)") }
        guard command <= 1 else { return .malformed("a PROXY header with the unassigned command \(command)") }
        guard family <= 3, transport <= 2 else { return .malformed("a PROXY header of the unassigned family \(bytes[13])") }
        let length = Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 14, as: UInt16.self)))
        let size = 16 + length
        guard size <= limit else { return .malformed("a PROXY header of \(size) bytes; at most \(limit)") }
        // Before the rest has come: an address that does not fit is wrong.
        let addresses = [0, 12, 36, 216][Int(family)]
        guard command == 0 || length >= addresses else {
            return .malformed("a PROXY header of \(length) bytes, where its addresses alone have \(addresses)")
        }
        guard bytes.count >= size else { return .needMore }
        // LOCAL: a check of the proxy's own. Only a stream's client has an address that means something here.
        guard command == 1, transport == 1, family == 1 || family == 2 else { return .complete(size: size, client: nil) }
        let isIPv6 = family == 2
        var client = PeerAddress(networkOrder: Bytes(rebasing: bytes[16...]), isIPv6: isIPv6)
        client.port = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: isIPv6 ? 48 : 24, as: UInt16.self))
        return .complete(size: size, client: client)
    }
}

/// Reads a proxy's header, takes the client's address from it, and hands on what follows.
public final class ProxyHeaderReader: Transport {
    public private(set) var phase = TransportPhase.opening("the PROXY header")
    public private(set) var remoteAddress: PeerAddress?
    private let next: (any Transport)?
    /// Of a header that did not come whole, as it seldom does.
    private var start: [UInt8] = []

    /// - Parameter next: what the bytes behind the header go through.
    public init(next: (any Transport)? = nil) { self.next = next }

    public func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        guard !wire.isEmpty else { return TransportProgress(taken: 0, given: 0) }
        guard !start.isEmpty else { return try take(ProxyHeader.read(wire), of: wire) }
        let before = start.count
        start += wire.prefix(ProxyHeader.limit - before)
        return try take(start.withUnsafeBytes { ProxyHeader.read($0) }, of: wire, after: before)
    }

    private func take(_ outcome: ProxyHeader.Outcome, of wire: Bytes, after before: Int = 0) throws(TransportFailure) -> TransportProgress {
        switch outcome {
        case .complete(let size, let client):
            remoteAddress = client
            start = []
            phase = .passed(next: next)
            return TransportProgress(taken: size - before, given: 0)
        case .needMore:
            if before == 0 { start = Array(wire) }
            return TransportProgress(taken: wire.count, given: 0)
        case .malformed(let why): throw TransportFailure("\(why) (\(ErrorCode.protocolProxy.rawValue))")
        }
    }

    /// Nothing is written before the client is known.
    public func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        TransportProgress(taken: 0, given: 0)
    }
}
