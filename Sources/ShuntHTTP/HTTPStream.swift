/// An answer that goes on until the server or its client ends it.
public final class HTTPStream: Sendable, Equatable {
    /// Sends bytes; returns when the connection takes more. Throws where the client has gone.
    public typealias Send = @Sendable ([UInt8]) async throws -> Void

    let run: @Sendable (Send) async throws -> Void
    let ended: @Sendable () -> Void

    /// - Parameters:
    ///   - run: sends the answer; the connection is closed when it returns.
    ///   - ended: the client has gone, or `run` has returned. Called once or several times, on any thread; also where `run` never was.
    public init(run: @escaping @Sendable (Send) async throws -> Void, ended: @escaping @Sendable () -> Void) {
        (self.run, self.ended) = (run, ended)
    }

    public static func == (one: HTTPStream, other: HTTPStream) -> Bool { one === other }
}

extension HTTPResponse {
    /// An answer that goes on.
    public static func stream(_ stream: HTTPStream, type: String) -> HTTPResponse {
        var response = HTTPResponse(status: 200, type: type, body: [])
        // A proxy that gathers an answer before it hands it on would hold it for ever.
        response.headers["X-Accel-Buffering"] = "no"
        response.stream = stream
        return response
    }
}
