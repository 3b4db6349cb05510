import ShuntCore

/// One of the master's server-sent events.
struct ServerSentEvent: Equatable, Sendable {
    /// Empty: an event of the registry.
    var name = ""
    /// `REGISTRY:ID`: where to go on behind it; nil where it has none.
    var id: String?
    /// JSON.
    var data: [UInt8] = []
}

/// Cuts a stream of bytes into server-sent events, as WHATWG's HTML says (§9.2.6), without what the admin API does not send: lines end with LF,
/// perhaps after CR.
struct EventStreamReader {
    /// Bytes of one event, and of one line.
    static let most = 1 << 20

    private var line: [UInt8] = []
    private var event = ServerSentEvent()
    private var hasData = false

    /// - Returns: the events that are whole now. A comment, which only says that the stream lives, is none.
    /// - Throws: `master.unavailable` where an event is too long.
    mutating func push(_ bytes: some Sequence<UInt8>) throws(ShuntError) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            guard byte == UInt8(ascii: "\n") else {
                guard line.count < Self.most else { throw Self.tooLong }
                line.append(byte)
                continue
            }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if let event = try take() { events.append(event) }
            line.removeAll(keepingCapacity: true)
        }
        return events
    }

    /// - Returns: an event that ends with this line.
    private mutating func take() throws(ShuntError) -> ServerSentEvent? {
        guard !line.isEmpty else {
            defer { (event, hasData) = (ServerSentEvent(), false) }
            return hasData ? event : nil
        }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = line[min(colon + 1, line.endIndex)...]
        if value.first == UInt8(ascii: " ") { value.removeFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "event": event.name = String(decoding: value, as: UTF8.self)
        case "id": event.id = String(decoding: value, as: UTF8.self)
        case "data":
            guard event.data.count + value.count < Self.most else { throw Self.tooLong }
            if hasData { event.data.append(UInt8(ascii: "\n")) }
            event.data += value
            hasData = true
        default: break
        }
        return nil
    }

    private static var tooLong: ShuntError { ShuntError(.masterUnavailable, "an event of the master has more than \(most >> 20) MiB") }
}
