import ShuntCore

/// The head of an HTTP/1.1 request that may ask for WebSocket (RFC 9112 §3 and §5, RFC 6455 §4.2.1), as places in the bytes that it came in.
struct HTTPRequestHead {
    enum Outcome {
        /// A head of so many bytes, with the empty line at its end.
        case complete(HTTPRequestHead, size: Int)
        /// More bytes are needed. The bytes so far may be right.
        case needMore
        case tooLarge
        case malformed(String)
    }

    private(set) var method: Bytes
    private(set) var target: Bytes
    private(set) var isHTTP11: Bool
    private(set) var host: Bytes?
    private(set) var origin: Bytes?
    private(set) var key: Bytes?
    private(set) var webSocketVersion: Bytes?
    /// The values of each Sec-WebSocket-Protocol line.
    private(set) var subprotocols: [Bytes] = []
    /// It has an Upgrade line.
    private(set) var hasUpgrade = false
    private(set) var upgradesToWebSocket = false
    private(set) var connectionUpgrades = false
    private(set) var hasBody = false

    /// Bytes of the longest head that is taken.
    static let limit = 8 << 10

    /// Reads the head at the start of some bytes.
    /// - Parameter position: where the bytes begin that were not looked at before.
    static func read(_ bytes: Bytes, from position: Int) -> Outcome {
        // What is no HTTP at all, as an MQTT client's CONNECT or a TLS client's hello, shows by its first byte.
        if let first = bytes.first, !isUppercase(first) { return .malformed("the connection does not begin with an HTTP request") }
        guard let size = size(of: bytes.prefix(limit), from: max(0, position - 3)) else { return bytes.count < limit ? .needMore : .tooLarge }
        var rest = Bytes(rebasing: bytes[..<(size - 2)])
        guard let line = takeLine(&rest), var head = HTTPRequestHead(requestLine: line) else {
            return .malformed("the request line is not one of HTTP/1")
        }
        while let line = takeLine(&rest) {
            if let fault = head.read(field: line) { return .malformed(fault) }
        }
        return rest.isEmpty ? .complete(head, size: size) : .malformed("a line of the request does not end with CR LF")
    }

    /// Where the empty line ends.
    private static func size(of bytes: Slice<Bytes>, from position: Int) -> Int? {
        var index = position
        while index + 4 <= bytes.count {
            // Looked at from its end: most bytes are no part of it, and three are passed at once.
            switch bytes[index + 3] {
            case 0x0A where bytes[index] == 0x0D && bytes[index + 1] == 0x0A && bytes[index + 2] == 0x0D: return index + 4
            case 0x0A, 0x0D: index += 1
            default: index += 4
            }
        }
        return nil
    }

    /// A line without its CR LF; nil where there is no further one.
    private static func takeLine(_ rest: inout Bytes) -> Bytes? {
        guard let end = rest.firstIndex(of: 0x0D), end + 1 < rest.count, rest[end + 1] == 0x0A else { return nil }
        defer { rest = Bytes(rebasing: rest[(end + 2)...]) }
        return Bytes(rebasing: rest[..<end])
    }

    /// RFC 9112 §3: `GET /mqtt HTTP/1.1`.
    private init?(requestLine line: Bytes) {
        let parts = line.split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].allSatisfy(Self.isUppercase), !parts[1].isEmpty, parts[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return nil
        }
        (method, target) = (Bytes(rebasing: parts[0]), Bytes(rebasing: parts[1]))
        let version = Bytes(rebasing: parts[2])
        isHTTP11 = version.equals("HTTP/1.1")
        guard isHTTP11 || version.equals("HTTP/1.0") else { return nil }
    }

    /// RFC 9112 §5: a name, a colon, a value.
    /// - Returns: what is wrong; nil where nothing is.
    private mutating func read(field line: Bytes) -> String? {
        guard let colon = line.firstIndex(of: 0x3A), colon > 0, line[..<colon].allSatisfy(Self.isToken) else {
            return "a header line has no name"
        }
        let name = Bytes(rebasing: line[..<colon])
        let value = Bytes(rebasing: line[(colon + 1)...]).trimmed
        guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else { return "a header's value has a control character" }
        switch name.count {
        case 4 where name.equalsIgnoringCase("host"): return set(\.host, value, "Host")
        case 6 where name.equalsIgnoringCase("origin"): return set(\.origin, value, "Origin")
        case 17 where name.equalsIgnoringCase("sec-websocket-key"): return set(\.key, value, "Sec-WebSocket-Key")
        case 21 where name.equalsIgnoringCase("sec-websocket-version"): return set(\.webSocketVersion, value, "Sec-WebSocket-Version")
        case 22 where name.equalsIgnoringCase("sec-websocket-protocol"): subprotocols.append(value)
        case 7 where name.equalsIgnoringCase("upgrade"):
            hasUpgrade = true
            if value.hasListElement(where: { $0.equalsIgnoringCase("websocket") }) { upgradesToWebSocket = true }
        case 10 where name.equalsIgnoringCase("connection"):
            if value.hasListElement(where: { $0.equalsIgnoringCase("upgrade") }) { connectionUpgrades = true }
        case 14 where name.equalsIgnoringCase("content-length"): hasBody = hasBody || !value.equals("0")
        case 17 where name.equalsIgnoringCase("transfer-encoding"): hasBody = true
        default: break
        }
        return nil
    }

    private mutating func set(_ field: WritableKeyPath<Self, Bytes?>, _ value: Bytes, _ name: String) -> String? {
        guard self[keyPath: field] == nil else { return "the request has more than one \(name)" }
        self[keyPath: field] = value
        return nil
    }

    private static func isUppercase(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) }

    /// RFC 9110 §5.6.2.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
        default: false
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Without spaces and tabs at its ends.
    var trimmed: Bytes {
        guard let first = firstIndex(where: { !Self.isSpace($0) }), let last = lastIndex(where: { !Self.isSpace($0) }) else {
            return Bytes(start: nil, count: 0)
        }
        return Bytes(rebasing: self[first...last])
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    func equals(_ text: StaticString) -> Bool { elementsEqual(Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount)) }

    func equals(_ text: String) -> Bool { elementsEqual(text.utf8) }

    /// - Parameter text: in lower case.
    func equalsIgnoringCase(_ text: StaticString) -> Bool { equalsIgnoringCase(Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount)) }

    /// By ASCII's letters alone.
    func equalsIgnoringCase(_ other: some Collection<UInt8>) -> Bool { elementsEqual(other) { Self.lowercased($0) == Self.lowercased($1) } }

    private static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    /// Whether one of the elements of a list with commas (RFC 9110 §5.6.1) is such a one.
    func hasListElement(where isWanted: (Bytes) -> Bool) -> Bool {
        var rest = self[...]
        while true {
            let end = rest.firstIndex(of: 0x2C) ?? rest.endIndex
            if isWanted(Bytes(rebasing: rest[..<end]).trimmed) { return true }
            guard end < rest.endIndex else { return false }
            rest = rest[(end + 1)...]
        }
    }
}
