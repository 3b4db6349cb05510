import HTTPTypes
import NIOCore
import NIOHTTP1
import ShuntCore

/// A route wants to read the body of the request that is being answered.
struct BodyWanted: Sendable {}

/// Sees to what HTTP asks of a connection and Hummingbird leaves out.
///
/// - A first request comes soon, and others find room.
/// - A connection is closed after its answer when its client wants that (RFC 9112 §9.3): HTTP/1.0 says so by its version.
/// - A client that waits to be told to send its body (RFC 9110 §10.1.1) is told so when a route reads it. One that is answered without is
///   disconnected: nobody could say whether its body still comes.
/// - The host that a request names is checked. What is wrong with it is left for the route table to answer.
final class ConnectionGuard: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let connections: OpenConnections
    private let hosts: AllowedHosts
    private let headTimeout: TimeAmount
    private var deadline: Scheduled<Void>?
    /// What is wrong with the last request closes the connection.
    private var closesAfterAnswers = false
    /// Of each request that is not answered yet, whether its client waits to be told to send the body.
    private var waitsForContinue = CircularBuffer<Bool>()

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
            waitsForContinue.append(Self.expectsContinue(head))
            if !head.isKeepAlive { head.headers.replaceOrAdd(name: "Connection", value: "close") }
            noteHost(of: &head)
            context.fireChannelRead(wrapInboundOut(.head(head)))
        case .end(let trailers):
            connections.began(context.channel)
            context.fireChannelRead(wrapInboundOut(.end(trailers)))
        case .body: context.fireChannelRead(data)
        }
    }

    private static func expectsContinue(_ head: HTTPRequestHead) -> Bool {
        isVersion11(head) && head.headers[canonicalForm: "expect"].contains { $0.lowercased() == "100-continue" }
            && (head.headers.contains(name: "transfer-encoding") || head.headers["content-length"].contains { $0 != "0" })
    }

    private static func isVersion11(_ head: HTTPRequestHead) -> Bool { head.version.major == 1 && head.version.minor >= 1 }

    /// Nothing but this handler writes the field that says what is wrong.
    private func noteHost(of head: inout HTTPRequestHead) {
        head.headers.remove(name: HostFault.field.rawName)
        do throws(ShuntError) {
            try hosts.check(target: head.uri, hosts: head.headers["host"], isRequired: Self.isVersion11(head))
        } catch {
            head.headers.add(name: HostFault.field.rawName, value: HostFault.encode(error))
            // Where its request ends is as doubtful as its host.
            guard error.code == .requestInvalid else { return }
            closesAfterAnswers = true
            head.headers.replaceOrAdd(name: "Connection", value: "close")
        }
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is BodyWanted else { return context.triggerUserOutboundEvent(event, promise: promise) }
        if waitsForContinue.first == true {
            waitsForContinue[waitsForContinue.startIndex] = false
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
        promise?.succeed(())
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let isUnanswered = waitsForContinue.first ?? false
        switch unwrapOutboundIn(data) {
        case .head(var head) where isUnanswered || (closesAfterAnswers && waitsForContinue.count == 1):
            head.headers.replaceOrAdd(name: "Connection", value: "close")
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            connections.answered(context.channel)
            if !waitsForContinue.isEmpty { waitsForContinue.removeFirst() }
            context.write(data, promise: promise)
            guard isUnanswered else { return }
            context.flush()
            context.close(promise: nil)
        default: context.write(data, promise: promise)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }
}

/// What is wrong with the host that a request names, on its way from the connection to the route table.
enum HostFault {
    static let field = HTTPField.Name("shunt-host-fault")!

    static func encode(_ error: ShuntError) -> String {
        [error.code.rawValue, error.message, error.location ?? "", error.help ?? ""].map(QueryString.encode).joined(separator: " ")
    }

    static func decode(_ text: String) -> ShuntError {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false).map { QueryString.decode($0) ?? "" }
        guard parts.count == 4 else { return ShuntError(.requestInvalid, "the request's host can't be read") }
        return ShuntError(ErrorCode(rawValue: parts[0]) ?? .requestInvalid, parts[1], at: parts[2], help: parts[3])
    }
}
