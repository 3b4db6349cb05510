import ShuntBench
import ShuntCore

/// TLS connections, one after the other. They say nothing once hands are shaken.
struct HandshakeLoad {
    let host: String
    let port: Int
    /// The only version of TLS that is spoken, as OpenSSL numbers it.
    let version: Int32
    /// Whether all resume the session of a first connection.
    let resumes: Bool
    let seconds: Double

    struct Result {
        var handshakes = 0
        var resumed = 0
    }

    func run() throws -> Result {
        let context = TLSClientContext(version: version)
        let session = resumes ? try firstSession(context) : nil
        var result = Result()
        let end = LoadClock.seconds() + seconds
        while LoadClock.seconds() < end {
            let socket = try TLSSocket(host: host, port: port, context: context, session: session)
            result.handshakes += 1
            if socket.isResumed { result.resumed += 1 }
            socket.end()
        }
        return result
    }

    private func firstSession(_ context: TLSClientContext) throws -> TLSSession {
        let socket = try TLSSocket(host: host, port: port, context: context)
        // OpenSSL resumes no session whose connection was not ended.
        defer { socket.end() }
        guard let session = socket.session() else { throw ShuntError(.tlsHandshake, "the server gives no session that can be resumed") }
        return session
    }
}
