import ShuntCore

/// What a worker of Shunt tells its master of clients: those that are there, and the sessions that are gone. Unlike other bodies it is no JSON,
/// as there may be a million: 32 bytes a client and its names, 8 for one that is gone. Numbers are big-endian; a text has 2 bytes of length
/// before it.
///
/// | bytes | |
/// |---|---|
/// | 1 | 1, the version |
/// | 1 | flags: 1 the list ends here, 2 the worker has forgotten changes, and the master should ask for a new list |
/// | 8 | the list's number |
/// | 2, text | the worker's port and host; an empty host is the address of the connection |
/// | 1, texts | how many listeners' names, and these |
/// | 2 | how many clients |
/// | | each: 8 session, 1 flags (1, 2: protocol; 4 away; 8 IPv6), 1 listener, 4 or 16 address, 2 port, 8 since in milliseconds since 1970, 4 |
/// | | subscriptions, text client, text uid |
/// | 2 | how many are gone; each 8 |
///
/// A report has at most 65,535 of each.
public struct ClientReportBody: Equatable, Sendable {
    public enum Speaks: UInt8, Sendable {
        case exchange, mqtt3, mqtt5

        public var name: String {
            switch self {
            case .exchange: "exchange"
            case .mqtt3: "mqtt 3.1.1"
            case .mqtt5: "mqtt 5.0"
            }
        }
    }

    public struct Client: Equatable, Sendable {
        /// A connection, or a session that outlives its connections.
        public var session: ConnectionID
        public var client: String
        public var uid: String
        public var speaks: Speaks
        /// Its place among the listeners' names; `noListener` while it is away.
        public var listener: UInt8
        public var address: PeerAddress
        public var isAway: Bool
        /// Milliseconds since 1970.
        public var since: Int64
        public var subscriptions: UInt32

        public static let noListener = UInt8.max

        public init(
            session: ConnectionID, client: String, uid: String, speaks: Speaks, listener: UInt8 = Self.noListener,
            address: PeerAddress = PeerAddress(), isAway: Bool = false, since: Int64, subscriptions: UInt32
        ) {
            (self.session, self.client, self.uid, self.speaks) = (session, Self.cut(client), Self.cut(uid), speaks)
            (self.listener, self.address, self.isAway) = (listener, address, isAway)
            (self.since, self.subscriptions) = (since, subscriptions)
        }

        /// Bytes of a name that are told; longer ones are cut.
        public static let maximumName = 1024

        private static func cut(_ text: String) -> String {
            guard text.utf8.count > maximumName else { return text }
            var end = text.utf8.index(text.utf8.startIndex, offsetBy: maximumName)
            while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
            return String(text.unicodeScalars[..<end])
        }

        /// Bytes in a report.
        public var size: Int { 44 + client.utf8.count + uid.utf8.count }
    }

    public var worker: WorkerSource
    public var list: Int64
    /// All that there was when the list began has been told.
    public var isLast: Bool
    /// Changes were forgotten: the master should ask for a new list.
    public var isIncomplete: Bool
    public var listeners: [String]
    public var clients: [Client]
    public var gone: [ConnectionID]

    public init(
        worker: WorkerSource, list: Int64, isLast: Bool = false, isIncomplete: Bool = false, listeners: [String] = [], clients: [Client] = [],
        gone: [ConnectionID] = []
    ) {
        (self.worker, self.list, self.isLast, self.isIncomplete) = (worker, list, isLast, isIncomplete)
        (self.listeners, self.clients, self.gone) = (listeners, clients, gone)
    }

    private static let version: UInt8 = 1
    private static let (lastFlag, incompleteFlag): (UInt8, UInt8) = (1, 2)
    private static let (protocolBits, awayFlag, longFlag): (UInt8, UInt8, UInt8) = (3, 4, 8)

    public func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(clients.reduce(256 + 8 * gone.count) { $0 + $1.size })
        bytes.append(Self.version)
        bytes.append((isLast ? Self.lastFlag : 0) | (isIncomplete ? Self.incompleteFlag : 0))
        Self.append(UInt64(bitPattern: list), to: &bytes)
        Self.append(UInt16(clamping: worker.port), to: &bytes)
        Self.append(worker.host ?? "", to: &bytes)
        let listeners = listeners.prefix(Int(UInt8.max))
        bytes.append(UInt8(listeners.count))
        for listener in listeners { Self.append(listener, to: &bytes) }
        let (told, ended) = (clients.prefix(Int(UInt16.max)), gone.prefix(Int(UInt16.max)))
        Self.append(UInt16(told.count), to: &bytes)
        for client in told { Self.append(client, to: &bytes) }
        Self.append(UInt16(ended.count), to: &bytes)
        for session in ended { Self.append(session.raw, to: &bytes) }
        return bytes
    }

    private static func append(_ client: Client, to bytes: inout [UInt8]) {
        let isLong = !client.address.isIPv4
        append(client.session.raw, to: &bytes)
        bytes.append(client.speaks.rawValue | (client.isAway ? awayFlag : 0) | (isLong ? longFlag : 0))
        bytes.append(client.listener)
        if isLong {
            append(client.address.high, to: &bytes)
            append(client.address.low, to: &bytes)
        } else {
            append(UInt32(truncatingIfNeeded: client.address.low), to: &bytes)
        }
        append(client.address.port, to: &bytes)
        append(UInt64(bitPattern: client.since), to: &bytes)
        append(client.subscriptions, to: &bytes)
        append(client.client, to: &bytes)
        append(client.uid, to: &bytes)
    }

    private static func append<Number: FixedWidthInteger>(_ number: Number, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        let text = text.utf8.prefix(Int(UInt16.max))
        append(UInt16(text.count), to: &bytes)
        bytes.append(contentsOf: text)
    }

    /// - Throws: `request.invalid` where bytes are missing or left over, or a value is unknown.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        var reader = Reader(bytes)
        guard try reader.number(UInt8.self) == Self.version else { throw Reader.fault("has a version that is unknown") }
        let flags = try reader.number(UInt8.self)
        let list = Int64(bitPattern: try reader.number(UInt64.self))
        let port = try reader.number(UInt16.self)
        self.init(
            worker: WorkerSource(host: try reader.text(), port: Int(port)), list: list, isLast: flags & Self.lastFlag != 0,
            isIncomplete: flags & Self.incompleteFlag != 0)
        for _ in 0..<(try reader.number(UInt8.self)) { listeners.append(try reader.text()) }
        for _ in 0..<(try reader.number(UInt16.self)) { clients.append(try Self.client(&reader)) }
        for _ in 0..<(try reader.number(UInt16.self)) { gone.append(ConnectionID(raw: try reader.number(UInt64.self))) }
        guard reader.isAtEnd else { throw Reader.fault("has bytes behind its end") }
    }

    private static func client(_ reader: inout Reader) throws(ShuntError) -> Client {
        let session = ConnectionID(raw: try reader.number(UInt64.self))
        let flags = try reader.number(UInt8.self)
        guard let speaks = Speaks(rawValue: flags & protocolBits) else { throw Reader.fault("names a protocol that is unknown") }
        let listener = try reader.number(UInt8.self)
        var address = PeerAddress()
        if flags & longFlag != 0 {
            address.high = try reader.number(UInt64.self)
            address.low = try reader.number(UInt64.self)
            address.port = try reader.number(UInt16.self)
        } else {
            let host = try reader.number(UInt32.self)
            address = PeerAddress(ipv4: host, port: try reader.number(UInt16.self))
        }
        let since = Int64(bitPattern: try reader.number(UInt64.self))
        let subscriptions = try reader.number(UInt32.self)
        let name = try reader.text()
        return Client(
            session: session, client: name, uid: try reader.text(), speaks: speaks, listener: listener, address: address,
            isAway: flags & awayFlag != 0, since: since, subscriptions: subscriptions)
    }

    private struct Reader {
        private let bytes: Bytes
        private var offset = 0

        init(_ bytes: Bytes) { self.bytes = bytes }

        var isAtEnd: Bool { offset == bytes.count }

        mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) throws(ShuntError) -> Number {
            let size = MemoryLayout<Number>.size
            guard bytes.count - offset >= size else { throw Self.fault("ends too soon") }
            defer { offset += size }
            return Number(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }

        mutating func text() throws(ShuntError) -> String {
            let count = Int(try number(UInt16.self))
            guard bytes.count - offset >= count else { throw Self.fault("ends within a text") }
            defer { offset += count }
            return String(decoding: bytes[offset..<offset + count], as: UTF8.self)
        }

        static func fault(_ what: String) -> ShuntError {
            ShuntError(.requestInvalid, "the report of clients \(what)", help: "workers and master want the same version of Shunt")
        }
    }
}
