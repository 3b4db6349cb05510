import ShuntCore

/// Another protocol that a client speaks on an exchange port, known by the first bytes that it sends.
public enum ForeignProtocol: Equatable, Sendable, CaseIterable {
    case http, mqtt, tls

    /// - Parameter bytes: the first bytes of a connection; the result is nil while they may still be a frame's.
    public init?(_ bytes: Bytes) {
        guard let first = bytes.first, first != FrameLayout.magic else { return nil }
        if first == 0x16, bytes.count >= 6, bytes[1] == 3, bytes[2] <= 4, bytes[5] == 1 {
            self = .tls
        } else if first == 0x10, Self.isConnect(bytes) {
            self = .mqtt
        } else if Self.methods.contains(where: { bytes.starts(with: $0.utf8) }) {
            self = .http
        } else {
            return nil
        }
    }

    public var code: ErrorCode {
        switch self {
        case .http: .protocolHTTP
        case .mqtt: .protocolMQTT
        case .tls: .protocolTLS
        }
    }

    /// The answer that a client of this protocol understands, before the connection is closed.
    public var answer: [UInt8] {
        switch self {
        case .http:
            let text =
                "This port speaks the exchange protocol, not HTTP. A worker's health and metrics are at worker.http.listen, the "
                + "admin API at the master's master.admin.listen.\n"
            let head =
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: \(text.utf8.count)\r\n"
                + "Connection: close\r\n\r\n"
            return Array((head + text).utf8)
        // CONNACK: unacceptable protocol version.
        case .mqtt: return [0x20, 0x02, 0x00, 0x01]
        // A fatal alert: handshake_failure.
        case .tls: return [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28]
        }
    }

    private static let methods = ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PRI * "]

    /// CONNECT: its length in one to four bytes, then the protocol's name with a length of two.
    private static func isConnect(_ bytes: Bytes) -> Bool {
        guard let end = bytes.dropFirst().prefix(4).firstIndex(where: { $0 < 0x80 }) else { return false }
        let rest = bytes[(end + 1)...]
        return rest.starts(with: [0, 4] + "MQTT".utf8) || rest.starts(with: [0, 6] + "MQIsdp".utf8)
    }
}
