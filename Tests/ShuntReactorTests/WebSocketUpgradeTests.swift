import ShuntCore
import Testing

@testable import ShuntReactor

@Suite("The handshake of WebSocket")
struct WebSocketUpgradeTests {
    private func read(_ bytes: [UInt8]) -> WebSocketUpgrade.Outcome {
        bytes.withUnsafeBytes { WebSocketUpgrade.read($0, for: WebSocketHarness.door) }
    }

    /// The status line's number, the answer's text, and whether the connection is refused.
    private func answer(to bytes: [UInt8]) -> (status: Int, text: String, isRefused: Bool) {
        let (bytes, isRefused) =
            switch read(bytes) {
            case .accepted(_, let answer), .page(let answer): (answer, false)
            case .refused(_, let answer): (answer, true)
            case .needMore: ([], false)
            }
        let text = String(decoding: bytes, as: UTF8.self)
        return (Int(text.dropFirst(9).prefix(3)) ?? 0, text, isRefused)
    }

    @Test("RFC 6455 §1.3's key is answered by its accept key, and the offered subprotocol is chosen")
    func sample() {
        let (status, text, isRefused) = answer(to: WebSocketHarness.request())
        #expect(status == 101 && !isRefused)
        #expect(text.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
        #expect(text.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"))
        #expect(text.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n") && text.hasSuffix("\r\n\r\n"))
        #expect(!text.contains("Sec-WebSocket-Extensions"))
    }

    @Test("A request waits for its end, and no more than its bytes are taken, wherever it is cut")
    func cut() {
        let request = WebSocketHarness.request()
        for count in 0..<request.count { #expect(read(Array(request.prefix(count))) == .needMore) }
        guard case .accepted(request.count, _) = read(request + [0x82, 0x80, 0, 0, 0, 0]) else {
            Issue.record("the request is not accepted")
            return
        }
        for count in 1..<request.count {
            let harness = WebSocketHarness(opened: false)
            harness.receive(Array(request.prefix(count)))
            #expect(!harness.isOpen && harness.wire.isEmpty)
            harness.receive(Array(request.dropFirst(count)) + WebSocketHarness.frame(2, [1, 2, 3]))
            #expect(harness.isOpen && harness.plain == [1, 2, 3] && harness.failure == nil)
        }
        let harness = WebSocketHarness(opened: false)
        for byte in request + WebSocketHarness.frame(2, [1, 2, 3]) { harness.receive([byte]) }
        #expect(harness.isOpen && harness.plain == [1, 2, 3])
    }

    @Test(
        "Requests that RFC 6455 §4.2.1 allows are accepted",
        arguments: [
            WebSocketHarness.request(replacing: ["Upgrade": "h2c, WebSocket", "Connection": "keep-alive, upgrade"]),
            WebSocketHarness.request(without: "Origin"), WebSocketHarness.request("GET /mqtt?token=a HTTP/1.1"),
            WebSocketHarness.request(replacing: ["Origin": "https://EXAMPLE.org:8443"]),
            WebSocketHarness.request(replacing: ["Origin": "http://server.example.com:8000", "Host": "Server.example.com:1883"]),
            WebSocketHarness.request(replacing: ["Origin": "http://[::1]:8000", "Host": "[::1]"]),
            WebSocketHarness.request(replacing: ["Sec-WebSocket-Protocol": "chat, mqttv3.1"]),
            WebSocketHarness.request(without: "Sec-WebSocket-Protocol", adding: ["sec-websocket-protocol:\tchat", "SEC-WEBSOCKET-PROTOCOL: mqtt "]),
            WebSocketHarness.request(adding: ["Sec-WebSocket-Extensions: permessage-deflate", "Content-Length: 0", "X: \u{fc}"]),
        ])
    func accepted(request: [UInt8]) {
        #expect(answer(to: request).status == 101)
    }

    @Test(
        "Others are refused, with the status and what is wrong",
        arguments: [
            (WebSocketHarness.request("GET /other HTTP/1.1"), 404, "/mqtt"), (WebSocketHarness.request("GET /mqtt/ HTTP/1.1"), 404, "/mqtt"),
            (WebSocketHarness.request("POST /mqtt HTTP/1.1"), 405, "Allow: GET, HEAD"),
            (WebSocketHarness.request("GET /mqtt HTTP/1.0"), 400, "HTTP/1.1"),
            (WebSocketHarness.request("GET /mqtt HTTP/2.0"), 400, "request line"), (WebSocketHarness.request("get /mqtt HTTP/1.1"), 400, "HTTP"),
            (WebSocketHarness.request("GET  /mqtt HTTP/1.1"), 400, "request line"), (WebSocketHarness.request("GET /mqtt"), 400, "request line"),
            (WebSocketHarness.request(without: "Host"), 400, "Host"), (WebSocketHarness.request(adding: ["Host: a"]), 400, "more than one Host"),
            (WebSocketHarness.request(replacing: ["Upgrade": "h2c"]), 400, "upgrade"),
            (WebSocketHarness.request(without: "Connection"), 400, "upgrade"),
            (WebSocketHarness.request(without: "Sec-WebSocket-Version"), 426, "Sec-WebSocket-Version: 13"),
            (WebSocketHarness.request(replacing: ["Sec-WebSocket-Version": "8"]), 426, "Sec-WebSocket-Version: 13"),
            (WebSocketHarness.request(without: "Sec-WebSocket-Key"), 400, "16 bytes"),
            (WebSocketHarness.request(replacing: ["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ="]), 400, "16 bytes"),
            (WebSocketHarness.request(replacing: ["Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQAB"]), 400, "16 bytes"),
            (WebSocketHarness.request(replacing: ["Sec-WebSocket-Key": "dGhl*HNhbXBsZSBub25jZQ=="]), 400, "16 bytes"),
            (WebSocketHarness.request(without: "Sec-WebSocket-Protocol"), 400, "mqtt or mqttv3.1"),
            (WebSocketHarness.request(replacing: ["Sec-WebSocket-Protocol": "MQTT, shunt.exchange"]), 400, "mqtt or mqttv3.1"),
            (WebSocketHarness.request(replacing: ["Origin": "https://example.org"]), 403, "origin"),
            (WebSocketHarness.request(replacing: ["Origin": "null"]), 403, "origin"),
            (WebSocketHarness.request(replacing: ["Origin": "http://server.example.com.evil"]), 403, "origin"),
            (WebSocketHarness.request(adding: ["Content-Length: 3"]), 400, "body"),
            (WebSocketHarness.request(adding: ["Transfer-Encoding: chunked"]), 400, "body"),
            (WebSocketHarness.request(adding: ["No colon"]), 400, "name"), (WebSocketHarness.request(adding: [" folded: x"]), 400, "name"),
            (WebSocketHarness.request(adding: ["Space : x"]), 400, "name"), (WebSocketHarness.request(adding: ["X: a\u{0}b"]), 400, "control"),
            (WebSocketHarness.request(adding: ["X: a\nY: b"]), 400, "control"), (WebSocketHarness.request(adding: ["X: a\rb"]), 400, "CR LF"),
            ([0x10, 0x0C, 0, 4], 400, "HTTP"), ([0x16, 3, 1], 400, "HTTP"), (Array("\r\n".utf8), 400, "HTTP"),
        ])
    func refused(request: [UInt8], status: Int, hint: String) {
        let found = answer(to: request)
        #expect(found.status == status && found.isRefused)
        #expect(found.text.contains(hint), "\(found.text)")
        let harness = WebSocketHarness(opened: false)
        harness.receive(request + WebSocketHarness.frame(2, [1]))
        #expect(harness.failure?.why.hasSuffix("(protocol.websocket)") == true)
        #expect(String(decoding: harness.wire, as: UTF8.self) == found.text && harness.plain.isEmpty)
    }

    @Test("A header of 8 KiB is taken; a longer one is refused once that shows, also when it comes byte by byte")
    func long() {
        let short = WebSocketHarness.request(adding: ["X: "]).count
        let longest = WebSocketHarness.request(adding: ["X: " + String(repeating: "x", count: 8192 - short)])
        #expect(longest.count == 8192 && answer(to: longest).status == 101)
        let tooLong = WebSocketHarness.request(adding: ["X: " + String(repeating: "x", count: 8193 - short)])
        #expect(answer(to: tooLong).status == 431)
        let harness = WebSocketHarness(opened: false)
        for byte in tooLong { harness.receive([byte]) }
        #expect(harness.failure?.why.contains("8192 bytes") == true)
    }

    @Test("Whoever asks for a page gets one that says what the port is, and nothing of the request", arguments: ["GET", "HEAD"], ["1.1", "1.0"])
    func page(method: String, version: String) {
        let (status, text, isRefused) = answer(to: Array("\(method) /<marked> HTTP/\(version)\r\nHost: a\r\n\r\n".utf8))
        #expect(status == 200 && !isRefused && text.contains("Connection: close\r\n"))
        #expect(text.contains("MQTT over WebSocket") == (method == "GET"))
        #expect(!text.contains("marked"))
        let harness = WebSocketHarness(opened: false)
        harness.receive(Array("\(method) / HTTP/\(version)\r\n\r\nGET /".utf8))
        #expect(harness.hasEnded && harness.failure == nil)
        #expect(harness.wire.starts(with: "HTTP/1.1 200 OK\r\n".utf8))
    }

    @Test(
        "Without TLS a page of the same host may come by an address or localhost alone: a name may lead here by its page's will",
        arguments: [
            ("127.0.0.1:8084", true), ("[::1]:8084", true), ("LOCALHOST:80", true), ("evil.example:8084", false), ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false), ("[evil]", false),
        ])
    func rebinding(host: String, mayCome: Bool) {
        for isSecure in [false, true] {
            let door = WebSocketDoor(path: "/", origins: [], isSecure: isSecure, subprotocols: ["mqtt"])
            let request = WebSocketHarness.request("GET / HTTP/1.1", replacing: ["Host": host, "Origin": "http://\(host)"])
            let outcome = request.withUnsafeBytes { WebSocketUpgrade.read($0, for: door) }
            if case .accepted = outcome { #expect(mayCome || isSecure) } else { #expect(!mayCome && !isSecure, "\(outcome)") }
        }
    }

    @Test("All origins may come where the listener says so")
    func allOrigins() {
        let door = WebSocketDoor(path: "/", origins: ["*"], isSecure: false, subprotocols: ["shunt.exchange"])
        let request = WebSocketHarness.request("GET / HTTP/1.1", replacing: ["Origin": "null", "Sec-WebSocket-Protocol": "shunt.exchange"])
        guard case .accepted = request.withUnsafeBytes({ WebSocketUpgrade.read($0, for: door) }) else {
            Issue.record("the origin is refused")
            return
        }
    }
}
