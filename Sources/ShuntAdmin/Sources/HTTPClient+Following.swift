import NIOCore
import NIOHTTP1
import NIOPosix
import ShuntConfig
import ShuntCore
import ShuntTLSNIO

/// A request whose answer goes on: server-sent events.
extension HTTPClient {
    /// A server that follows the protocol sends something every ten seconds.
    static let longestSilence: TimeAmount = .seconds(35)

    /// - Parameters:
    ///   - last: the place of the last event that is known: the server goes on behind it.
    ///   - take: called with one event after the other; false ends it.
    /// - Returns: what came instead of events; nil once `take` has ended it.
    /// - Throws: `master.unavailable` where the stream ends, or is silent.
    static func follow(
        _ target: String, after last: String?, token: String?, to address: HostPort, tls: TLSClient?,
        _ take: (ServerSentEvent) async throws(ShuntError) -> Bool
    ) async throws(ShuntError) -> Answer? {
        do {
            let opened = eventLoops.next().makePromise(of: Void.self)
            let channel = try await connect(to: address, tls, opened)
            try await opened.futureResult.get()
            return try await channel.executeThenClose { parts, requests in
                var headers = headers(for: address, accept: "text/event-stream", token)
                if let last { headers.add(name: "Last-Event-ID", value: last) }
                try await requests.write(.head(HTTPRequestHead(version: .http1_1, method: .GET, uri: target, headers: headers)))
                try await requests.write(.end(nil))
                return try await read(parts, take)
            }
        } catch {
            throw describe(error, address, Int(longestSilence.nanoseconds / 1_000_000_000))
        }
    }

    private static func connect(
        to address: HostPort, _ tls: TLSClient?, _ opened: EventLoopPromise<Void>
    ) async throws -> NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart> {
        if tls == nil { opened.succeed(()) }
        do {
            return try await ClientBootstrap(group: eventLoops).connectTimeout(connectTimeout).connect(host: address.host, port: address.port) {
                channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls {
                        let handler = try tls.handler(for: address, protocols: ["http/1.1"], opened: opened)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(IdleStateHandler(readTimeout: longestSilence))
                    try channel.pipeline.syncOperations.addHandler(SilenceHandler())
                    return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
        } catch {
            opened.fail(error)
            throw error
        }
    }

    private static func read(
        _ parts: NIOAsyncChannelInboundStream<HTTPClientResponsePart>, _ take: (ServerSentEvent) async throws(ShuntError) -> Bool
    ) async throws -> Answer? {
        var reader = EventStreamReader()
        var answer = Answer(status: 0, contentType: "", body: [])
        do {
            for try await part in parts {
                switch part {
                case .head(let head): answer = Answer(head)
                case .body(let buffer) where answer.status == 200 && answer.contentType == "text/event-stream":
                    for event in try reader.push(buffer.readableBytesView) where try await !take(event) { return nil }
                case .body(let buffer):
                    guard answer.body.count + buffer.readableBytes <= EventStreamReader.most else { throw AnswerFailure.tooLong }
                    answer.body.append(contentsOf: buffer.readableBytesView)
                case .end: if answer.contentType != "text/event-stream" { return answer }
                }
            }
        } catch is HTTPParserError where answer.status != 0 {
            throw ShuntError(.masterUnavailable, "the stream of events has broken off")
        }
        throw ShuntError(.masterUnavailable, "the master has ended the stream of events")
    }
}

/// Ends a connection on which nothing comes any more.
private final class SilenceHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = HTTPClientResponsePart

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is IdleStateHandler.IdleStateEvent else { return context.fireUserInboundEventTriggered(event) }
        context.fireErrorCaught(AnswerFailure.silent)
        context.close(promise: nil)
    }
}
