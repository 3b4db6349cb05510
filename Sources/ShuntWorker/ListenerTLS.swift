import Glibc
import Logging
import ShuntConfig
import ShuntCore
import ShuntReactor
import ShuntTLS
import Synchronization

/// TLS of a listener: what new connections get, and the files that it is made of.
final class ListenerTLS: Sendable {
    let listener: String
    let figures = TLSFigures()
    private let settings: TLSSettings
    private let tickets = TicketKeys()
    private let state: Mutex<State>
    /// Knows where each setting was given.
    private let configuration: Configuration
    private let logger: Logger

    private struct State {
        var context: TLSContext
        /// Of the files when they were last read.
        var stamps: [FileStamp]
        /// Files that have changed since, and may not be written whole yet.
        var changed: [FileStamp]?
        /// Seconds since 1970; before the first look nothing has expired that was not told when it was read.
        var lookedAt = Double.infinity
    }

    /// - Throws: `tls.invalid`, with the setting's place.
    init(_ name: String, _ configuration: Configuration, _ logger: Logger) throws(ShuntError) {
        listener = name
        self.configuration = configuration
        self.logger = logger
        settings = TLSSettings(name, configuration)
        let stamps = FileStamp.of(settings.files)
        let context = try Self.read(settings, tickets, figures, configuration, logger)
        state = Mutex(State(context: context, stamps: stamps))
    }

    var context: TLSContext { state.withLock { $0.context } }

    /// Reads the files again. Where they are wrong, which is logged, the old ones stay.
    /// - Returns: the new context; nil where nothing has changed.
    func reload() -> TLSContext? {
        let stamps = FileStamp.of(settings.files)
        state.withLock { ($0.stamps, $0.changed) = (stamps, nil) }
        do throws(ShuntError) {
            let new = try Self.read(settings, tickets, figures, configuration, logger)
            guard !new.isSame(as: context) else { return nil }
            state.withLock { $0.context = new }
            logger.notice("read certificates again", metadata: ["listener": "\(listener)"])
            return new
        } catch {
            logger.error("the certificates stay as they were: \(error)", metadata: ["listener": "\(listener)"])
            return nil
        }
    }

    /// Reads the files again where they have changed, and have been left alone since the last look.
    /// Warns of what has expired since the last look.
    /// - Parameter now: seconds since 1970.
    /// - Returns: the new context; nil where nothing has changed.
    func look(now: Double) -> TLSContext? {
        for file in expired(now: now) {
            logger.warning(
                "has expired: clients are refused until there is a newer one", metadata: ["listener": "\(listener)", "file": "\(file)"])
        }
        let stamps = FileStamp.of(settings.files)
        let isDue = state.withLock { state in
            guard stamps != state.stamps else {
                state.changed = nil
                return false
            }
            defer { state.changed = stamps }
            return stamps == state.changed
        }
        return isDue ? reload() : nil
    }

    /// The files that have expired since the last call. Reading a file that has expired before warns of it.
    private func expired(now: Double) -> [String] {
        state.withLock { state in
            defer { state.lookedAt = now }
            return state.context.expiries.filter { $0.at > state.lookedAt && $0.at <= now }.map(\.file)
        }
    }

    private static func read(
        _ settings: TLSSettings, _ tickets: TicketKeys, _ figures: TLSFigures, _ configuration: Configuration, _ logger: Logger
    ) throws(ShuntError) -> TLSContext {
        do throws(ShuntError) {
            let context = try TLSContext(settings, tickets: tickets, figures: figures)
            for warning in context.warnings { logger.warning("\(configuration.placed(warning))") }
            return context
        } catch {
            throw configuration.placed(error)
        }
    }

    /// Reads the certificates that a configuration names, and warns of what is wrong with them.
    /// - Throws: `tls.invalid`, `config.missing`.
    static func all(of configuration: Configuration, _ logger: Logger) throws(ShuntError) -> [String: ListenerTLS] {
        var all: [String: ListenerTLS] = [:]
        for (name, listener) in configuration.worker.listeners.sorted(by: { $0.key < $1.key }) {
            let key = "worker.listeners.\(name).tls"
            if listener.tls.isOn {
                all[name] = try ListenerTLS(name, configuration, logger)
            } else if configuration.isGiven(key) {
                let error = ShuntError(
                    .configMissing, "\(key) has no certificate", at: key, help: "give it certificate and key, or take tls away for plain bytes")
                throw configuration.placed(error)
            }
        }
        return all
    }
}

extension TLSSettings {
    init(_ name: String, _ configuration: Configuration) {
        let key = "worker.listeners.\(name).tls"
        let listener = configuration.worker.listeners[name]
        let tls = listener?.tls ?? Configuration.Worker.TLS()
        var identities = tls.certificates.map { Identity(certificate: $0, setting: "\(key).certificates") }
        if !tls.certificate.isEmpty {
            // Without a setting of its own the key is looked for where the certificate is.
            let keySetting = tls.key.isEmpty ? "\(key).certificate" : "\(key).key"
            identities.insert(Identity(certificate: tls.certificate, key: tls.key, setting: "\(key).certificate", keySetting: keySetting), at: 0)
        }
        self.init(
            name: key, identities: identities, clientAuthorities: tls.clientCA, verify: Verification(rawValue: tls.verify.rawValue) ?? .required,
            revocations: tls.revocations, minimum: Version(rawValue: tls.minimum.rawValue) ?? .tls13,
            applicationProtocols: listener.map(Self.applicationProtocols) ?? [])
    }

    /// What clients may ask for by ALPN. Browsers ask for HTTP, in which WebSocket begins.
    private static func applicationProtocols(of listener: Configuration.Worker.Listener) -> [String] {
        switch (listener.transport, listener.protocol) {
        case (.websocket, _): ["http/1.1"]
        case (.tcp, .mqtt): ["mqtt"]
        case (.tcp, .exchange): []
        }
    }
}

extension LoopPeers {
    /// Has each listener's certificates read again, and clients closed that the new lists revoke.
    func renewCertificates(_ read: (ListenerTLS) -> TLSContext?) {
        for (number, listener) in listeners.enumerated() {
            guard let tls = listener.tls, let context = read(tls) else { continue }
            onEach { $0.closeRevoked(listener: number, by: context) }
        }
    }
}

extension WorkerLoop {
    /// Closes the listener's clients whose certificates are revoked.
    fileprivate func closeRevoked(listener: Int, by context: TLSContext) {
        var revoked: [Connection] = []
        loop.forEachConnection { connection in
            guard connection.role.number == listener, let certificate = connection.clientCertificate else { return }
            if context.revokes(certificate) { revoked.append(connection) }
        }
        // One in its handshake is not the engine's yet.
        for connection in revoked where !expel(connection.id, why: Self.revoked) { closeSilently(connection) }
    }

    /// Lists may have changed during its handshake, or on its way from another loop.
    func closeIfRevoked(_ connection: Connection) -> Bool {
        guard let certificate = connection.clientCertificate, let tls = listeners[connection.role.number].tls, tls.context.revokes(certificate)
        else { return false }
        closeSilently(connection)
        return true
    }

    private func closeSilently(_ connection: Connection) {
        loop.close(connection, .byUs(why: "\(Self.revoked) (\(ErrorCode.tlsHandshake.rawValue))"))
    }

    private static let revoked = "the client's certificate is revoked"
}

/// Tells whether a file is another one than before.
private struct FileStamp: Equatable, Sendable {
    private let device: UInt
    private let node: UInt
    private let size: Int
    private let seconds: Int
    private let nanoseconds: Int

    /// A file that is not there has a stamp too.
    static func of(_ files: [String]) -> [FileStamp] {
        files.map { path in
            var status = stat()
            guard stat(path, &status) == 0 else { return FileStamp(device: 0, node: 0, size: -1, seconds: 0, nanoseconds: 0) }
            return FileStamp(
                device: UInt(status.st_dev), node: UInt(status.st_ino), size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
                nanoseconds: status.st_mtim.tv_nsec)
        }
    }
}
