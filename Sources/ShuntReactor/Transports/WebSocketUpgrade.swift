import COpenSSL
import ShuntCore

/// What a listener wants of the clients that come by WebSocket.
public final class WebSocketDoor: Sendable {
    /// The path that clients ask for.
    public let path: String
    /// The origins of pages that may connect, as in `https://example.org`; `*` for all. A page of the host that the client asks for may as well,
    /// where the host is known to be this one.
    public let origins: [String]
    /// Whether the client speaks TLS, and so knows by a certificate that it reaches the host which it asks for.
    public let isSecure: Bool
    /// What the frames may carry: `mqtt`. The first that a client offers is taken.
    public let subprotocols: [String]

    public init(path: String, origins: [String], isSecure: Bool, subprotocols: [String]) {
        self.path = path
        (self.origins, self.isSecure) = (origins, isSecure)
        self.subprotocols = subprotocols
    }
}

/// The handshake of WebSocket: an HTTP request, and the answer to it (RFC 6455 §4.2).
public enum WebSocketUpgrade {
    public enum Outcome: Equatable, Sendable {
        /// A request of so many bytes. Frames follow it, and the answer to it.
        case accepted(size: Int, answer: [UInt8])
        /// More bytes are needed.
        case needMore
        /// A request for a page. The answer is all that its client gets.
        case page(answer: [UInt8])
        case refused(why: String, answer: [UInt8])
    }

    /// Reads the request at the start of some bytes.
    /// - Parameter position: where the bytes begin that were not looked at before.
    public static func read(_ bytes: Bytes, from position: Int = 0, for door: WebSocketDoor) -> Outcome {
        switch HTTPRequestHead.read(bytes, from: position) {
        case .complete(let head, let size): answer(to: head, size: size, for: door)
        case .needMore: .needMore
        case .tooLarge: refuse("431 Request Header Fields Too Large", "the request's header has more than \(HTTPRequestHead.limit) bytes")
        case .malformed(let why): refuse("400 Bad Request", why)
        }
    }

    private static func answer(to head: HTTPRequestHead, size: Int, for door: WebSocketDoor) -> Outcome {
        let isHead = head.method.equals("HEAD")
        guard head.method.equals("GET") || isHead else {
            return refuse("405 Method Not Allowed", "only GET is served here", header: "Allow: GET, HEAD\r\n")
        }
        guard !head.hasBody else { return refuse("400 Bad Request", "the request has a body") }
        guard head.hasUpgrade, !isHead else { return .page(answer: page(for: door, withBody: !isHead)) }
        guard head.isHTTP11, head.upgradesToWebSocket, head.connectionUpgrades else {
            return refuse("400 Bad Request", "the request asks for no upgrade to WebSocket by HTTP/1.1")
        }
        guard let host = head.host, !host.isEmpty else { return refuse("400 Bad Request", "the request names no Host") }
        guard let version = head.webSocketVersion, version.equals("13") else {
            return refuse("426 Upgrade Required", "the version of WebSocket is not 13", header: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
        }
        guard let key = head.key, isKey(key) else { return refuse("400 Bad Request", "Sec-WebSocket-Key is not 16 bytes in base64") }
        guard head.target.prefix(while: { $0 != 0x3F }).elementsEqual(door.path.utf8) else {
            return refuse("404 Not Found", "the path for WebSocket is \(door.path)")
        }
        guard head.origin.map({ isAllowed($0, host: host, door) }) ?? true else {
            return refuse("403 Forbidden", "pages of this origin may not connect; worker.listeners.*.origins names those that may")
        }
        guard let subprotocol = subprotocol(of: head, for: door) else {
            let known = door.subprotocols.joined(separator: " or ")
            return refuse("400 Bad Request", "Sec-WebSocket-Protocol must offer \(known)")
        }
        return .accepted(size: size, answer: acceptance(of: key, subprotocol))
    }

    /// 16 bytes in base64: 22 of its digits and the padding.
    private static func isKey(_ key: Bytes) -> Bool {
        guard key.count == 24, key[22] == 0x3D, key[23] == 0x3D else { return false }
        return key.prefix(22).allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2F: true
            default: false
            }
        }
    }

    private static func subprotocol(of head: HTTPRequestHead, for door: WebSocketDoor) -> String? {
        var found: String?
        for offered in head.subprotocols where found == nil {
            _ = offered.hasListElement { element in
                found = door.subprotocols.first { element.equals($0) }
                return found != nil
            }
        }
        return found
    }

    // MARK: Origins

    /// RFC 6455 §10.2: browsers say which page connects; other clients say nothing.
    private static func isAllowed(_ origin: Bytes, host: Bytes, _ door: WebSocketDoor) -> Bool {
        if door.origins.contains(where: { $0 == "*" || origin.equalsIgnoringCase($0.utf8) }) { return true }
        guard let authority = authority(of: origin) else { return false }
        let host = withoutPort(host)
        return withoutPort(authority).equalsIgnoringCase(host) && (door.isSecure || isCertain(host))
    }

    /// A page may have any name lead here, its own too (DNS rebinding); but no address, and not `localhost`.
    private static func isCertain(_ host: Bytes) -> Bool {
        if host.equalsIgnoringCase("localhost".utf8) { return true }
        let isBracketed = host.count > 2 && host.first == 0x5B && host.last == 0x5D
        return PeerAddress(host: String(decoding: isBracketed ? Bytes(rebasing: host.dropFirst().dropLast()) : host, as: UTF8.self)) != nil
    }

    /// Host and port of `https://host:port`; nil where there are none, as in `null`.
    private static func authority(of origin: Bytes) -> Bytes? {
        guard let colon = origin.firstIndex(of: 0x3A), origin.count > colon + 3, origin[colon + 1] == 0x2F, origin[colon + 2] == 0x2F else {
            return nil
        }
        return Bytes(rebasing: origin[(colon + 3)...])
    }

    private static func withoutPort(_ authority: Bytes) -> Bytes {
        // The colons of an IPv6 address are inside brackets.
        guard let colon = authority.lastIndex(of: 0x3A), authority[colon...].allSatisfy({ $0 != 0x5D }) else { return authority }
        return Bytes(rebasing: authority[..<colon])
    }

    // MARK: Answers

    private static let identifier = Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8)

    /// RFC 6455 §4.2.2: SHA-1 of the key and the protocol's own identifier, in base64.
    static func acceptKey(for key: Bytes) -> String {
        let text = Array(key) + identifier
        var digest = [UInt8](repeating: 0, count: 20)
        SHA1(text, text.count, &digest)
        var encoded = [UInt8](repeating: 0, count: 29)
        let count = EVP_EncodeBlock(&encoded, digest, Int32(digest.count))
        return String(decoding: encoded.prefix(Int(count)), as: UTF8.self)
    }

    private static func acceptance(of key: Bytes, _ subprotocol: String) -> [UInt8] {
        Array(
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(acceptKey(for: key))\r\n"
                + "Sec-WebSocket-Protocol: \(subprotocol)\r\n\r\n").utf8)
    }

    private static func refuse(_ status: String, _ why: String, header: String = "") -> Outcome {
        .refused(
            why: "\(why) (\(ErrorCode.protocolWebSocket.rawValue))",
            answer: response(status, "text/plain", header: header, body: why.prefix(1).uppercased() + why.dropFirst() + ".\n"))
    }

    private static func response(_ status: String, _ type: String, header: String = "", body: String, withBody: Bool = true) -> [UInt8] {
        let head =
            "HTTP/1.1 \(status)\r\nContent-Type: \(type); charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n"
            + "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\(header)\r\n"
        return Array((withBody ? head + body : head).utf8)
    }

    /// Says what the port is. Nothing of it comes from the client.
    private static func page(for door: WebSocketDoor, withBody: Bool) -> [UInt8] {
        let name = door.subprotocols.contains("mqtt") ? "MQTT" : "Shunt's exchange protocol"
        let path = door.path.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
        return response(
            "200 OK", "text/html", header: "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n",
            body: """
                <!DOCTYPE html>
                <html lang="en"><meta charset="utf-8"><title>Shunt</title>
                <body style="font: 16px/1.5 sans-serif; max-width: 36em; margin: 4em auto; padding: 0 1em">
                <h1>Shunt</h1>
                <p>This port speaks \(name) over WebSocket. Clients connect to the path <code>\(path)</code>
                with the subprotocol <code>\(door.subprotocols[0])</code>. There is nothing else to see here.</p>
                </body></html>

                """, withBody: withBody)
    }
}
