import ExchangeCodec
import MQTTCodec
import ShuntConfig
import ShuntCore
import ShuntEngine
import ShuntReactor
import ShuntTLS

/// What loops know of a listener: how bytes for its clients divide into frames, and what stands between their sockets and these.
struct ListenerSetup: Sendable {
    let name: String
    let speaks: ClientProtocol
    let framing: Framing
    /// As figures name them.
    let protocolName: String
    let transportName: String
    /// The only ones that may connect, each with a PROXY header; empty where clients connect themselves.
    private let proxies: [AddressRange]
    /// Its clients find no room here, and are told where there is some.
    private(set) var isTurningAway = false
    /// nil for plain bytes.
    let tls: ListenerTLS?
    /// nil where it takes any number of clients.
    let gate: ConnectionGate?
    /// nil where its clients may publish as fast as they like.
    let pace: Pace?
    /// nil where clients do not come by WebSocket.
    private let door: WebSocketDoor?

    init(name: String, _ listener: Configuration.Worker.Listener, tls: ListenerTLS?) {
        self.name = name
        (speaks, framing) =
            switch listener.protocol {
            case .exchange: (.exchange, .exchange)
            case .mqtt: (.mqtt, .mqtt)
            }
        (protocolName, transportName) = (listener.protocol.rawValue, listener.transport.rawValue)
        proxies = listener.proxies
        self.tls = tls
        gate = ConnectionGate(listener.limits)
        pace = Pace(listener.limits)
        door = listener.transport == .websocket ? WebSocketDoor(listener) : nil
    }

    /// The same listener for clients that find no room; nil where its protocol cannot tell them where there is some.
    var turningAway: ListenerSetup? {
        guard speaks == .mqtt else { return nil }
        var other = self
        other.isTurningAway = true
        return other
    }

    /// Whether a connection from there is let in. The address is asked for only where it matters.
    func admits(_ address: @autoclosure () -> PeerAddress) -> Bool {
        guard !proxies.isEmpty else { return true }
        let address = address()
        return proxies.contains { $0.contains(address) }
    }

    /// For a new connection; nil for plain bytes.
    func transport() -> (any Transport)? {
        let webSocket = door.map { WebSocketTransport($0) }
        let secured = tls.map { TLSTransport($0.context) }
        let inner: (any Transport)? =
            if let webSocket, let secured { StackedTransport(secured, carrying: webSocket) } else { secured ?? webSocket }
        return proxies.isEmpty ? inner : ProxyHeaderReader(next: inner)
    }
}

extension WebSocketDoor {
    convenience init(_ listener: Configuration.Worker.Listener) {
        let subprotocols =
            switch listener.protocol {
            case .exchange: ["shunt.exchange"]
            case .mqtt: ["mqtt", "mqttv3.1"]
            }
        self.init(path: listener.path, origins: listener.origins, isSecure: listener.tls.isOn, subprotocols: subprotocols)
    }
}

extension Framing {
    /// Messages may be dropped; answers, and what tells a device that it was replaced, are not.
    static let exchange = Framing { bytes in
        let kind: FrameKind =
            switch FrameType.decoding(bytes[FrameLayout.typeOffset]) {
            case .message: .message
            case .notify, .chat: .notice
            default: .answer
            }
        return FrameExtent(length: exchangeLength(bytes), kind: kind)
    }

    /// Frames on the way to a master: none may be dropped.
    static let link = Framing { FrameExtent(length: exchangeLength($0), kind: .answer) }

    /// A PUBLISH of QoS 0 may be dropped. One of another QoS is owed to the client; all else is an answer.
    static let mqtt = Framing { bytes in
        guard case .packet(let packet) = PacketDecoder.decode(bytes, limit: .max) else { return FrameExtent(length: bytes.count, kind: .answer) }
        guard packet.type == .publish else { return FrameExtent(length: packet.size, kind: .answer) }
        return FrameExtent(length: packet.size, kind: packet.flags & 0b0110 == 0 ? .message : .assured)
    }

    private static func exchangeLength(_ bytes: Bytes) -> Int {
        FrameLayout.headerSize + Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: FrameLayout.lengthOffset, as: UInt32.self)))
    }
}
