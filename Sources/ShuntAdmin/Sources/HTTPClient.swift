import NIOCore
import NIOHTTP1
import NIOPosix
import ShuntConfig
import ShuntCore
import ShuntHTTP
import ShuntTLSNIO

/// One HTTP/1.1 request on a connection of its own: a command needs no more.
enum HTTPClient {
    struct Answer: Sendable {
        var status: Int
        /// Without parameters, in lower case.
        var contentType: String
        var body: [UInt8]
        /// A remark for people that came with it.
        var note: String?
    }

    /// What is said where not even a connection was made.
    static let unreached = "no master can be reached"

    static let connectTimeout: TimeAmount = .seconds(3)
    static let maximumBodyLength = 64 << 20

    static let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// - Parameters:
    ///   - token: what shows who asks; nil for nothing.
    ///   - patience: seconds that the answer may take.
    ///   - tls: nil: plain HTTP.
    static func send(
        _ method: String, _ target: String, body: [UInt8], token: String?, patience: Int, to address: HostPort, tls: TLSClient? = nil
    ) async throws(ShuntError) -> Answer {
        do {
            let loop = eventLoops.next()
            let answer = loop.makePromise(of: Answer.self)
            let opened = loop.makePromise(of: Void.self)
            if tls == nil { opened.succeed(()) }
            let connecting = ClientBootstrap(group: eventLoops)
                .connectTimeout(connectTimeout)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if let tls {
                            let handler = try tls.handler(for: address, protocols: ["http/1.1"], opened: opened)
                            try channel.pipeline.syncOperations.addHandler(handler)
                        }
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(AnswerCollector(answer, limit: maximumBodyLength))
                    }
                }
                .connect(host: address.host, port: address.port)
            // A channel that fails before its handlers are in would leave the promise open.
            connecting.whenFailure {
                opened.fail($0)
                answer.fail($0)
            }
            opened.futureResult.whenFailure { answer.fail($0) }
            // At once, on the loop: a server waits for a request no longer than a few seconds, however busy this machine is.
            connecting.and(opened.futureResult).whenSuccess { channel, _ in
                write(method, target, body, token, address, to: channel).cascadeFailure(to: answer)
            }
            let channel = try await connecting.get()
            let timeout = channel.eventLoop.scheduleTask(in: .seconds(Int64(patience))) { answer.fail(AnswerFailure.late) }
            defer {
                timeout.cancel()
                channel.close(promise: nil)
            }
            return try await answer.futureResult.get()
        } catch {
            throw describe(error, address, patience, mayBeDone: method != "GET")
        }
    }

    private static func write(
        _ method: String, _ target: String, _ body: [UInt8], _ token: String?, _ address: HostPort, to channel: any Channel
    ) -> EventLoopFuture<Void> {
        var headers = headers(for: address, accept: "application/json", token)
        if !body.isEmpty {
            headers.add(name: "Content-Type", value: "application/json")
            headers.add(name: "Content-Length", value: "\(body.count)")
        }
        let head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method), uri: target, headers: headers)
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if !body.isEmpty { channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil) }
        return channel.writeAndFlush(HTTPClientRequestPart.end(nil))
    }

    static func headers(for address: HostPort, accept type: String, _ token: String?) -> HTTPHeaders {
        var headers: HTTPHeaders = ["Host": address.description, "Accept": type, "Connection": "close"]
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        return headers
    }

    /// - Parameter mayBeDone: what was asked changes something, and may go on without its answer.
    static func describe(_ error: any Error, _ address: HostPort, _ patience: Int, mayBeDone: Bool = false) -> ShuntError {
        if let error = error as? ShuntError { return error }
        let what =
            switch error {
            case AnswerFailure.late: "the master does not answer within \(patience) seconds"
            case AnswerFailure.tooLong: "the answer is longer than \(maximumBodyLength >> 20) MiB"
            case AnswerFailure.closed: "the connection was closed before the answer came (a master that speaks TLS wants https://)"
            case is HTTPParserError: "what answers there does not speak HTTP"
            case AnswerFailure.silent: "nothing has come from the master for \(longestSilence.nanoseconds / 1_000_000_000) seconds"
            // One that comes before there is a connection is another.
            case is IOError: "the connection was broken before the answer came"
            default: unreached
            }
        let isSent = mayBeDone && (error is AnswerFailure || error is IOError)
        return ShuntError(
            .masterUnavailable, what, at: address.description,
            help: isSent
                ? "it may be done all the same: look before you ask again"
                : "start one with `shunt master` or `shunt dev`, say where it is with --master host:port, "
                    + "or read its file with --registry path")
    }
}

enum AnswerFailure: Error {
    case late, tooLong, closed, silent
}

extension HTTPClient.Answer {
    init(_ head: HTTPResponseHead) {
        let type = head.headers.first(name: "content-type") ?? ""
        self.init(status: Int(head.status.code), contentType: type.prefix { $0 != ";" && $0 != " " }.lowercased(), body: [])
        note = head.headers.first(name: HTTPRoute.noteField)
    }
}

/// Gathers one answer.
private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<HTTPClient.Answer>
    private let limit: Int
    private var answer = HTTPClient.Answer(status: 0, contentType: "", body: [])

    init(_ promise: EventLoopPromise<HTTPClient.Answer>, limit: Int) {
        self.promise = promise
        self.limit = limit
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            answer = HTTPClient.Answer(head)
        case .body(let buffer):
            guard answer.body.count + buffer.readableBytes <= limit else {
                promise.fail(AnswerFailure.tooLong)
                return context.close(promise: nil)
            }
            answer.body.append(contentsOf: buffer.readableBytesView)
        case .end:
            promise.succeed(answer)
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(AnswerFailure.closed)
    }
}
