/// Where a listener takes clients: `host:port`, or `unix:PATH`, a socket in the file system.
public enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
    case tcp(HostPort)
    case unix(String)

    /// Bytes of a path that the system takes, without the NUL at its end (sun_path of unix(7)).
    public static let longestPath = 107

    /// nil unless the text is a whole address.
    /// - Parameter ports: from 0 where the system may choose one.
    public init?(_ text: some StringProtocol, ports: ClosedRange<Int> = 1...65_535) {
        guard text.hasPrefix("unix:") else {
            guard let address = HostPort(text, ports: ports) else { return nil }
            self = .tcp(address)
            return
        }
        let path = String(text.dropFirst(5))
        guard (1...Self.longestPath).contains(path.utf8.count), !path.utf8.contains(0) else { return nil }
        self = .unix(path)
    }

    /// nil for a socket in the file system.
    public var hostPort: HostPort? {
        if case .tcp(let address) = self { address } else { nil }
    }

    public var description: String {
        switch self {
        case .tcp(let address): address.description
        case .unix(let path): "unix:\(path)"
        }
    }
}
