import Glibc
import ShuntBench

/// Connections with a subscription each, which then do nothing.
struct IdleLoad: Sendable {
    let wire: any Wire
    let host: String
    let port: Int
    let connections: Int

    /// They are there as long as what this returns is kept.
    func connect() throws -> [Socket] {
        DescriptorLimit.raise()
        return try Crowd.connect(connections) { number in
            let socket = try wire.connect(host, port)
            try socket.subscribe("devices/\(number)/inbox", group: "device-\(number)", wire)
            return socket
        }
    }
}
