import ShuntCore

/// A host and a port as heartbeats list them.
public struct HostPort: Equatable, Sendable, CustomStringConvertible {
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `host:port`, an IPv6 address in brackets.
    public var description: String { host.contains(":") && !host.hasPrefix("[") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The objects of an array of `{host, port}`; nil where there is none.
    static func list(_ key: String, in object: LenientObject) throws(ShuntError) -> [HostPort]? {
        guard let elements = try object.array(key) else { return nil }
        var list: [HostPort] = []
        for element in elements {
            guard case .object(let member) = element else { throw object.mismatch(key, element, wanted: "{host, port}") }
            list.append(HostPort(host: try member.string("host") ?? "", port: try member.port("port") ?? 0))
        }
        return list
    }

    func write(to json: inout JSONWriter) {
        json.member("host", host)
        json.member("port", port)
    }
}
