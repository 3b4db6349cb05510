import NIOCore
import NIOHTTP1
import ShuntCore

/// Answers a connection's requests, one after the other.
struct HTTPConnection: Sendable {
    let channel: NIOAsyncChannel<RequestPart, ResponsePart>
    let routes: RouteTable

    func serve() async {
        // Where reading or writing fails, the client has gone.
        let source = channel.channel.remoteAddress?.ipAddress ?? ""
        try? await channel.executeThenClose { inbound, outbound in
            var parts = inbound.makeAsyncIterator()
            do {
                while case .head(let head, let fault)? = try await parts.next() {
                    var isRead = false
                    let response =
                        if let fault { HTTPResponse.problem(fault) } else {
                            await routes.respond(to: head, from: source) { () async throws(ShuntError) -> [UInt8] in
                                try await body(of: head, &parts, &isRead)
                            }
                        }
                    if let stream = response.stream {
                        try await send(stream, after: response, isHead: head.method == .HEAD, outbound)
                        break
                    }
                    try await outbound.write(.whole(response))
                    guard head.isKeepAlive else { break }
                    while !isRead {
                        if case .body? = try await parts.next() { continue }
                        isRead = true
                    }
                }
            } catch is HTTPParserError {
                try await outbound.write(.whole(.problem(ShuntError(.requestInvalid, "the request is no HTTP/1.1", help: "see RFC 9112"))))
            }
            // The client has the answer when it closes its end; what it still sends must not break that.
            outbound.finish()
            try await channel.channel.closeFuture.get()
        }
    }

    /// Sends an answer that goes on. The connection is closed after it.
    private func send(
        _ stream: HTTPStream, after response: HTTPResponse, isHead: Bool, _ outbound: NIOAsyncChannelOutboundWriter<ResponsePart>
    ) async throws {
        defer { stream.ended() }
        channel.channel.closeFuture.whenComplete { _ in stream.ended() }
        try await outbound.write(.begin(response))
        if !isHead { try await stream.run { try await outbound.write(.more(ByteBuffer(bytes: $0))) } }
        try await outbound.write(.end)
    }

    /// - Parameter isRead: whether the body has been read to its end.
    /// - Throws: `frame.too_large` beyond ``HTTPRoute/maximumBodyLength``.
    private func body(
        of head: HTTPRequestHead, _ parts: inout NIOAsyncChannelInboundStream<RequestPart>.AsyncIterator, _ isRead: inout Bool
    ) async throws(ShuntError) -> [UInt8] {
        let limit = HTTPRoute.maximumBodyLength
        let tooLarge = ShuntError(.frameTooLarge, "the body is longer than \(limit) bytes", help: "send less")
        if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }), length > limit { throw tooLarge }
        channel.channel.triggerUserOutboundEvent(BodyWanted(), promise: nil)
        var collected: [UInt8] = []
        while true {
            switch try? await parts.next() {
            case .body(let bytes):
                guard collected.count + bytes.readableBytes <= limit else { throw tooLarge }
                collected.append(contentsOf: bytes.readableBytesView)
            case .end:
                isRead = true
                return collected
            case .head, nil: throw ShuntError(.requestInvalid, "the body ended early")
            }
        }
    }
}
