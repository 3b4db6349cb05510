import ShuntCore

/// What carries a protocol between client and server.
enum Carrier: Sendable {
    case tcp, tls, webSocket

    /// One packet of a client as it is written to a socket of this carrier.
    func framed(_ packet: [UInt8]) -> [UInt8] { self == .webSocket ? WebSocket.frame(packet) : packet }

    func connect(_ host: String, _ port: Int, receiveBuffer: Int?) throws -> Socket {
        switch self {
        case .tcp: try Socket(host: host, port: port, receiveBuffer: receiveBuffer)
        case .tls: try TLSSocket(host: host, port: port, receiveBuffer: receiveBuffer)
        case .webSocket: try WebSocket(host: host, port: port, receiveBuffer: receiveBuffer)
        }
    }
}
