import ShuntCore

/// The key of a CHAT frame (§11.1). The raw value is the key on the wire; letter case counts.
public enum ChatKey: String, Sendable, CaseIterable {
    /// Creates the chat or joins it.
    case create = "CREATE"
    /// A text to the other members.
    case session = "SESSION"
    case destroy = "DESTROY"
    /// Gives up the member's place. Only Shunt's clients send it; Java clients close their connection.
    case leave = "LEAVE"

    /// - Throws: `chat.invalid` if there is no key, or another one.
    public init(decoding key: Bytes?) throws(ShuntError) {
        guard let key, let known = Self.allCases.first(where: { key.elementsEqual($0.rawValue.utf8) }) else {
            throw ShuntError(
                .chatInvalid, key == nil ? "the chat frame has no key" : "the chat frame's key is unknown",
                help: "CREATE, SESSION, LEAVE and DESTROY are known")
        }
        self = known
    }
}

/// The keys of CHAT frames that one of Shunt's masters sends a worker by itself.
public enum MasterChatKey: String, Sendable {
    /// The chat belongs to the worker that the value names.
    case moved = "MOVED"
}

/// The value of CHAT from a worker to the master: the address for the worker's clients (§11.3).
public struct ChatHostBody: Equatable, Sendable {
    /// nil: the source address of the connection.
    public var host: String?
    public var port: Int
    /// Whether a redirection is to have the `WorkerAddresses` of the chat's worker as its text. Only Shunt's own masters are asked so.
    public var wantsAddresses: Bool

    public init(host: String? = nil, port: Int, wantsAddresses: Bool = false) {
        self.host = host?.isEmpty == true ? nil : host
        self.port = port
        self.wantsAddresses = wantsAddresses
    }

    /// - Throws: `request.invalid` if this is not the object, or the port is missing. An empty host is none.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "chat host")
        guard let port = try object.port("port") else { throw object.missing("port") }
        let host = try object.string("host")
        self.init(host: host?.isEmpty == false ? host : nil, port: port, wantsAddresses: try object.string("addresses") == "true")
    }

    /// The one object of the protocol with a space in it.
    public func encoded() -> [UInt8] {
        let rest = ", port:\(port)\(wantsAddresses ? ", addresses:true" : "")}"
        guard let host else { return Array("{host:null\(rest)".utf8) }
        var json = JSONWriter.object(.singleQuoted) { $0.member("host", host) }
        json.removeLast()
        return json + rest.utf8
    }
}
