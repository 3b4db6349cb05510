import CLoad
import COpenSSL
import Glibc
import MQTTCodec
import ShuntCore

// Unsafe: clients are passed by their address in `clients`, which stays; a `!` is an address of memory that is not empty.

/// Opening and ending connections.
extension LoadLoop {
    /// Connections that a thread has under way at most: a broker's queue of those that it has not accepted is no longer, often.
    private static let underWay = 100

    /// Opens the connections that are due.
    /// - Returns: when the next one is.
    func openDue(_ now: Int) -> Int {
        while opened < clients.count, unsettled - (clients.count - opened) < Self.underWay {
            let number = clients[opened].number
            let due = settings.connectRate > 0 ? firstDue + Int(Double(number) / settings.connectRate * 1e9) : now
            guard due <= now else { return due }
            open(clients.baseAddress! + opened, opened, due: due)
            opened += 1
        }
        // Those under way make room.
        return .max
    }

    private func open(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int, due: Int) {
        client.pointee.dueAt = due
        // Addresses that were asked for are taken in turn; the system's own one as long as it has ports.
        if !settings.sources.isEmpty { source = client.pointee.number % target.sources.count }
        client.pointee.state = .connecting
        for _ in target.sources {
            switch target.open(source: source) {
            case .begun(let descriptor):
                client.pointee.descriptor = descriptor
                poller.add(descriptor, [.read, .write], number: place)
                return
            case .failed(let code): return end(client, String(cString: strerror(code)).lowercased())
            case .noPort: source = (source + 1) % target.sources.count
            }
        }
        end(client, "no local port is free; --source gives more local addresses")
    }

    /// A connection is there, or has failed.
    func connected(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        let error = load_connect_error(client.pointee.descriptor)
        guard error == 0 else { return end(client, String(cString: strerror(error)).lowercased()) }
        guard let tls = settings.tls else { return greet(client, place) }
        do throws(ShuntError) {
            client.pointee.tls = try tls.connection(over: client.pointee.descriptor)
        } catch {
            return end(client, error.message)
        }
        client.pointee.state = .securing
        shakeHands(client, place)
    }

    /// Goes on with a TLS handshake.
    func shakeHands(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        guard let tls = client.pointee.tls else { return }
        switch LoadTLS.shakeHands(tls) {
        case .done: greet(client, place)
        case .wantsRead: poller.change(client.pointee.descriptor, .read, number: place)
        case .wantsWrite: poller.change(client.pointee.descriptor, .write, number: place)
        case .failed: end(client, settings.tls?.failure(tls).message ?? "the TLS handshake failed")
        }
    }

    private func greet(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        client.pointee.state = .greeting
        poller.change(client.pointee.descriptor, .read, number: place)
        send(Greeting.packet(settings, client: client.pointee.number), client, place)
    }

    func welcomed(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int, _ answer: Greeting.Answer, at now: Int) {
        switch answer {
        case .refused(let reason): end(client, "refused: \(reason.words)")
        case .nonsense(let what): end(client, "the broker sent \(what)")
        case .welcome(let welcome):
            if let obstacle = Greeting.obstacle(welcome, settings) { return end(client, obstacle) }
            figures.welcomes.record(now - client.pointee.dueAt)
            if let chosen = welcome.properties.serverKeepAlive { keepAlive = Int(chosen) }
            if client.pointee.publisher >= 0, let messages, messages.qos != .atMostOnce {
                let capacity = min(messages.window, Int(welcome.properties.receiveMaximum ?? .max))
                client.pointee.window = InflightWindow(messages.qos, capacity: capacity)
            }
            guard let filter = roles.filter(of: client.pointee.number) else { return settled(client) }
            client.pointee.state = .subscribing
            send(Subscribe(1, [Subscribe.Filter(filter, messages?.qos ?? .atMostOnce)]).encoded(settings.version), client, place)
        }
    }

    /// - Parameter granted: SUBACK's code.
    func subscribed(_ client: UnsafeMutablePointer<LoadClient>, _ granted: ReasonCode?) {
        guard let granted, !granted.isError, let qos = QoS(rawValue: granted.rawValue) else {
            return end(client, "the subscription was refused" + (granted.map { ": \($0.words)" } ?? ""))
        }
        figures.grantedQoS = min(figures.grantedQoS, qos)
        settled(client)
    }

    private func settled(_ client: UnsafeMutablePointer<LoadClient>) {
        client.pointee.state = .ready
        if let wakeUp, client.pointee.subscriber >= 0, client.pointee.tls == nil { load_wake_at(client.pointee.descriptor, Int32(wakeUp)) }
        figures.open += 1
        unsettled -= 1
    }

    /// Closes a connection, and counts why.
    func end(_ client: UnsafeMutablePointer<LoadClient>, _ reason: String) {
        guard client.pointee.state != .closed else { return }
        figures.reasons.note(reason)
        if client.pointee.state == .ready {
            figures.open -= 1
            figures.lost += 1
        } else {
            figures.failed += 1
            unsettled -= 1
        }
        let waiting = client.pointee.window?.count ?? 0
        figures.outstanding -= waiting
        figures.unacknowledged += waiting
        close(client)
    }

    private func close(_ client: UnsafeMutablePointer<LoadClient>) {
        client.pointee.state = .closed
        SSL_free(client.pointee.tls)
        client.pointee.tls = nil
        if client.pointee.descriptor >= 0 { Glibc.close(client.pointee.descriptor) }
        client.pointee.descriptor = -1
        (client.pointee.input, client.pointee.output) = ([], [])
    }

    func sayGoodbye(_ client: UnsafeMutablePointer<LoadClient>) {
        if client.pointee.state == .ready, client.pointee.output.isEmpty {
            let packet = Disconnect().encoded(settings.version)
            // A broker that does not read it learns of the end by the close.
            _ = packet.withUnsafeBytes { client.pointee.socket.send($0.baseAddress!, $0.count) }
        }
        close(client)
    }

    /// Ends connections that have waited too long for an answer.
    func endOverdue(_ now: Int) {
        let patience = Int(settings.patience * 1e9)
        for place in 0..<opened where now - clients[place].dueAt > patience {
            let client = clients.baseAddress! + place
            let missing: String? =
                switch client.pointee.state {
                case .connecting: "no answer to the connection"
                case .securing: "no end of the TLS handshake"
                case .greeting: "no CONNACK"
                case .subscribing: "no SUBACK"
                case .closed, .ready: nil
                }
            if let missing { end(client, "\(missing) within \(Quantity.seconds(settings.patience))") }
        }
    }
}
