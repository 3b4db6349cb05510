import COpenSSL
import Glibc
import MQTTCodec
import ShuntCore

// Unsafe: a `!` is an address of a packet, which is not empty.

/// CONNECT and CONNACK, as every connection of a load has them.
enum Greeting {
    static func packet(_ settings: LoadSettings, client: Int) -> [UInt8] {
        var connect = Connect(version: settings.version, clientID: settings.clientID(client), keepAlive: settings.keepAlive)
        connect.userName = settings.userName
        connect.password = settings.password.map { Array($0.utf8) }
        return connect.encoded()
    }

    /// What came in place of a welcome.
    enum Answer: Equatable {
        case welcome(ConnectAcknowledgement)
        case refused(ReasonCode)
        case nonsense(String)
    }

    /// - Parameter packet: a whole packet.
    static func read(_ header: PacketHeader, _ packet: Bytes, _ version: MQTTVersion) -> Answer {
        guard header.type == .connectAcknowledgement else { return .nonsense("something else than CONNACK") }
        let body = Bytes(rebasing: packet[header.headerSize...])
        do throws(MQTTFault) {
            // A broker that does not know 5.0 refuses it in the form of 3.1.1.
            let form = body.count == 2 ? MQTTVersion.v3_1_1 : version
            let answer = try ConnectAcknowledgement(decoding: body, form)
            if answer.reason.isError { return .refused(answer.reason) }
            return form == version || version < .v5 ? .welcome(answer) : .nonsense("a CONNACK of MQTT 3.1.1")
        } catch {
            return .nonsense("a CONNACK that is none: \(error.message)")
        }
    }

    /// Why a broker does not serve the load, by what it said in its welcome; nil where it does.
    static func obstacle(_ welcome: ConnectAcknowledgement, _ settings: LoadSettings) -> String? {
        guard let messages = settings.messages else { return nil }
        if let most = welcome.properties.maximumQoS, most < messages.qos.rawValue { return "the broker takes at most QoS \(most)" }
        let size = PublishFields(settings.version, topic: .none, payload: .none, qos: messages.qos).size + messages.size
        if let most = welcome.properties.maximumPacketSize, most < size { return "the broker takes packets of at most \(most) bytes" }
        if messages.scenario.kind == .sharedSubscription, welcome.properties.sharedSubscriptionAvailable == false {
            return "the broker has no shared subscriptions"
        }
        return nil
    }
}

/// Opens one connection before the load does, to find out whether the broker is there and serves it. So the user reads once that the address,
/// the version or the password is wrong, and not once a connection.
struct BrokerProbe {
    let settings: LoadSettings

    /// - Returns: the address that answered.
    /// - Throws: `address.unavailable`, `refused`, `usage`.
    func find() throws(ShuntError) -> BrokerTarget {
        let (host, port) = (settings.broker.host, settings.broker.port)
        var failure = ShuntError(.addressUnavailable, "the host has no address", at: host)
        for address in try BrokerTarget.Address.all(of: host, port: port) {
            let target = try BrokerTarget(address, sources: settings.sources)
            do throws(ShuntError) {
                try greet(target)
                return target
            } catch {
                // A broker that was reached has the last word.
                if error.code != .addressUnavailable { throw error }
                failure = error
            }
        }
        throw failure
    }

    private func greet(_ target: BrokerTarget) throws(ShuntError) {
        let descriptor: Int32
        switch target.open(source: 0) {
        case .begun(let opened): descriptor = opened
        case .noPort: throw unreachable("no local port is free")
        case .failed(EADDRNOTAVAIL) where !settings.sources.isEmpty:
            throw ShuntError(.usage, "'\(settings.sources[0])' is no address of this machine", at: "--source", help: "'ip address' lists them")
        case .failed(let code): throw unreachable(String(cString: strerror(code)).lowercased())
        }
        defer { close(descriptor) }
        let deadline = LoadClock.now() + Int(settings.patience * 1e9)
        guard wait(descriptor, POLLOUT, until: deadline) else { throw unreachable("no answer within \(Quantity.seconds(settings.patience))") }
        let code = socketError(descriptor)
        guard code == 0 else { throw unreachable(String(cString: strerror(code)).lowercased()) }
        let socket = SecureSocket(descriptor: descriptor, tls: try settings.tls?.connection(over: descriptor))
        defer { SSL_free(socket.tls) }
        try shakeHands(socket, until: deadline)
        // A number that no connection of the load has.
        let packet = Greeting.packet(settings, client: settings.connections)
        _ = packet.withUnsafeBytes { socket.send($0.baseAddress!, $0.count) }
        try judge(try answer(socket, until: deadline))
        let goodbye = Disconnect().encoded(settings.version)
        _ = goodbye.withUnsafeBytes { socket.send($0.baseAddress!, $0.count) }
    }

    private func shakeHands(_ socket: SecureSocket, until deadline: Int) throws(ShuntError) {
        guard let tls = settings.tls, let connection = socket.tls else { return }
        while true {
            let event: Int32
            switch LoadTLS.shakeHands(connection) {
            case .done: return
            case .failed: throw tls.failure(connection)
            case .wantsRead: event = POLLIN
            case .wantsWrite: event = POLLOUT
            }
            guard wait(socket.descriptor, event, until: deadline) else {
                throw refused("no end of the TLS handshake within \(Quantity.seconds(settings.patience))", "is this a port for TLS?")
            }
        }
    }

    private func answer(_ socket: SecureSocket, until deadline: Int) throws(ShuntError) -> Greeting.Answer {
        var bytes: [UInt8] = []
        while socket.hasMore || wait(socket.descriptor, POLLIN, until: deadline) {
            var chunk = [UInt8](repeating: 0, count: 4096)
            let got = socket.receive(&chunk, chunk.count)
            let code = errno
            if got < 0, code == EAGAIN || code == EINTR { continue }
            // In TLS 1.3 a server judges a client's certificate when the client takes the handshake for done.
            if got < 0, code == EPROTO, let tls = settings.tls, let connection = socket.tls { throw tls.failure(connection) }
            guard got > 0 else {
                throw refused("it closed the connection before CONNACK", endHelp)
            }
            bytes += chunk[..<got]
            let found = bytes.withUnsafeBytes { bytes -> Greeting.Answer? in
                switch PacketDecoder.decode(bytes, limit: 1 << 16) {
                case .packet(let header): Greeting.read(header, Bytes(rebasing: bytes[..<header.size]), settings.version)
                case .needMore: nil
                case .malformed(let fault): .nonsense(fault.message)
                }
            }
            if let found { return found }
        }
        throw refused("no CONNACK within \(Quantity.seconds(settings.patience))", portHelp)
    }

    private var endHelp: String? {
        let help = [
            settings.version == .v5 ? "--v311, where it knows MQTT 3.1.1 alone" : nil, settings.tls == nil ? "--tls, where the port speaks TLS" : nil,
        ]
        let given = help.compactMap { $0 }
        return given.isEmpty ? nil : given.joined(separator: "; ")
    }

    private var portHelp: String { settings.tls == nil ? "is this a port for MQTT, without TLS?" : "is this a port for MQTT?" }

    private func judge(_ answer: Greeting.Answer) throws(ShuntError) {
        switch answer {
        case .welcome(let welcome):
            if let obstacle = Greeting.obstacle(welcome, settings) { throw ShuntError(.refused, obstacle, at: settings.broker.description) }
        case .refused(.unsupportedProtocolVersion) where settings.version == .v5: throw refused("it does not know MQTT 5.0", "--v311")
        case .refused(let reason):
            let isLogin = [ReasonCode.badUserNameOrPassword, .notAuthorized].contains(reason)
            throw refused(reason.words, isLogin ? "--user and --password-file, or --token-file" : nil)
        case .nonsense(let what): throw refused("it sent \(what)", portHelp)
        }
    }

    private func unreachable(_ why: String) -> ShuntError {
        ShuntError(
            .addressUnavailable, "can't connect: \(why)", at: settings.broker.description, help: "does a broker listen there? --host HOST:PORT")
    }

    private func refused(_ why: String, _ help: String?) -> ShuntError {
        ShuntError(.refused, "the broker refused a connection: \(why)", at: settings.broker.description, help: help)
    }

    private func wait(_ descriptor: Int32, _ event: Int32, until deadline: Int) -> Bool {
        var wanted = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        while true {
            let left = deadline - LoadClock.now()
            guard left > 0 else { return false }
            let found = poll(&wanted, 1, Int32(clamping: left / 1_000_000 + 1))
            if found > 0 { return true }
            if found < 0, errno != EINTR { return false }
        }
    }

    private func socketError(_ descriptor: Int32) -> Int32 {
        var (error, size) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno
    }
}
