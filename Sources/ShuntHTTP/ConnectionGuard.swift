import Glibc
import NIOCore
import NIOHTTP1
import ShuntCore

/// A route wants to read the body of the request that is being answered.
struct BodyWanted: Sendable {}

/// What a connection is given of a request.
enum RequestPart: Sendable {
    /// - fault: what is wrong with the host that it names.
    case head(HTTPRequestHead, fault: ShuntError?)
    case body(ByteBuffer)
    case end
}

/// What a connection answers a request with.
enum ResponsePart: Sendable {
    case whole(HTTPResponse)
    /// The head of an answer that goes on, its bytes, and its end.
    case begin(HTTPResponse)
    case more(ByteBuffer)
    case end
}

/// Sees to what HTTP asks of a connection.
///
/// - A first request comes soon, and others find room.
/// - A connection is closed after its answer when its client wants that (RFC 9112 §9.3): HTTP/1.0 says so by its version.
/// - A client that waits to be told to send its body (RFC 9110 §10.1.1) is told so when a route reads it. One that is answered without is
///   disconnected: nobody could say whether its body still comes.
/// - The host that a request names is checked. What is wrong with it is handed on with the request.
final class ConnectionGuard: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = RequestPart
    typealias OutboundIn = ResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// What there is to know of a request until it is answered.
    private struct Unanswered {
        var isHead: Bool
        var closes: Bool
        /// Its client waits to be told to send the body.
        var waitsForContinue: Bool
        /// Its client knows answers in chunks (RFC 9112 §7.1).
        var takesChunks = true
    }

    private let connections: OpenConnections
    private let hosts: AllowedHosts
    private let headTimeout: TimeAmount
    private var deadline: Scheduled<Void>?
    private var unanswered = CircularBuffer<Unanswered>()
    private var isStreaming = false

    init(_ connections: OpenConnections, _ hosts: AllowedHosts, _ headTimeout: TimeAmount) {
        self.connections = connections
        self.hosts = hosts
        self.headTimeout = headTimeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        connections.opened(channel)
        deadline = context.eventLoop.scheduleTask(in: headTimeout) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(var head):
            deadline?.cancel()
            let fault = hostFault(of: head)
            // Where a request ends is as doubtful as its host.
            if !head.isKeepAlive || fault?.code == .requestInvalid { head.headers.replaceOrAdd(name: "Connection", value: "close") }
            unanswered.append(
                Unanswered(
                    isHead: head.method == .HEAD, closes: !head.isKeepAlive, waitsForContinue: Self.expectsContinue(head),
                    takesChunks: Self.isVersion11(head)))
            context.fireChannelRead(wrapInboundOut(.head(head, fault: fault)))
        case .body(let bytes): context.fireChannelRead(wrapInboundOut(.body(bytes)))
        case .end:
            connections.began(context.channel)
            context.fireChannelRead(wrapInboundOut(.end))
        }
    }

    private static func expectsContinue(_ head: HTTPRequestHead) -> Bool {
        isVersion11(head) && head.headers[canonicalForm: "expect"].contains { $0.lowercased() == "100-continue" }
            && (head.headers.contains(name: "transfer-encoding") || head.headers["content-length"].contains { $0 != "0" })
    }

    private static func isVersion11(_ head: HTTPRequestHead) -> Bool { head.version.major == 1 && head.version.minor >= 1 }

    private func hostFault(of head: HTTPRequestHead) -> ShuntError? {
        do throws(ShuntError) {
            try hosts.check(target: head.uri, hosts: head.headers["host"], isRequired: Self.isVersion11(head))
            return nil
        } catch {
            return error
        }
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is BodyWanted else { return context.triggerUserOutboundEvent(event, promise: promise) }
        if unanswered.first?.waitsForContinue == true {
            unanswered[unanswered.startIndex].waitsForContinue = false
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
        promise?.succeed(())
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .whole(let response): write(response, context, promise)
        case .begin(let response): begin(response, context, promise)
        case .more(let bytes): context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: promise)
        case .end: context.write(wrapOutboundOut(.end(nil)), promise: promise)
        }
    }

    /// The connection is closed after such an answer, and makes room for no other while it lasts.
    private func begin(_ response: HTTPResponse, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        let request = unanswered.popFirst()
        var headers = HTTPHeaders(response.headers.map { ($0.key, $0.value) })
        headers.add(name: "Date", value: Self.date())
        headers.add(name: "Connection", value: "close")
        isStreaming = true
        // The system would take megabytes for a client that does not read.
        context.channel.setOption(.socketOption(.so_sndbuf), value: 128 << 10).whenComplete { _ in }
        connections.streams(context.channel)
        let version: HTTPVersion = request?.takesChunks == false ? .http1_0 : .http1_1
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: version, status: .ok, headers: headers))), promise: promise)
    }

    /// The client of an answer that goes on has closed its end: nobody reads any more.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if isStreaming, event as? ChannelEvent == .inputClosed { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    private func write(_ response: HTTPResponse, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        // What can't be read is answered, and nothing follows it.
        let request = unanswered.popFirst() ?? Unanswered(isHead: false, closes: true, waitsForContinue: false)
        var headers = HTTPHeaders(response.headers.map { ($0.key, $0.value) })
        headers.add(name: "Content-Length", value: "\(response.body.count)")
        headers.add(name: "Date", value: Self.date())
        if request.closes || request.waitsForContinue { headers.add(name: "Connection", value: "close") }
        let status = HTTPResponseStatus(statusCode: response.status)
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        // 304 is the answer to a client that has the body.
        if !request.isHead, response.status != 304, !response.body.isEmpty {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        connections.answered(context.channel)
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
        guard request.waitsForContinue else { return }
        context.flush()
        context.close(promise: nil)
    }

    /// As RFC 9110 §5.6.7 writes it.
    private static func date() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
            // The buffer has 64 bytes, so it has an address.
            let length = strftime(text.baseAddress!, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
            return String(decoding: UnsafeRawBufferPointer(text).prefix(length), as: UTF8.self)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }
}
