import Logging
import ShuntConfig
import ShuntCore
import ShuntTLS
import ShuntTLSNIO
import Synchronization

/// TLS of the admin API: what new connections get, and the files that it is made of.
final class AdminTLS: Sendable {
    private let settings: TLSSettings
    private let configuration: Configuration
    private let tickets = TicketKeys()
    private let figures = TLSFigures()
    private let context: Mutex<TLSContext>
    private let logger: Logger

    /// nil where the configuration names no certificate.
    /// - Throws: `tls.invalid`, with the setting's place; `config.missing` for a key without a certificate.
    init?(_ configuration: Configuration, _ logger: Logger) throws(ShuntError) {
        let tls = configuration.master.admin.tls
        let key = "master.admin.tls"
        guard !tls.certificate.isEmpty else {
            guard tls.key.isEmpty else {
                let error = ShuntError(
                    .configMissing, "\(key) has no certificate", at: key, help: "give it certificate and key, or take tls away for plain HTTP")
                throw configuration.placed(error)
            }
            return nil
        }
        let keySetting = tls.key.isEmpty ? "\(key).certificate" : "\(key).key"
        let identity = TLSSettings.Identity(
            certificate: tls.certificate, key: tls.key, setting: "\(key).certificate", keySetting: keySetting)
        settings = TLSSettings(name: key, identities: [identity], applicationProtocols: ["http/1.1"])
        self.configuration = configuration
        self.logger = logger
        context = Mutex(try Self.read(settings, tickets, figures, configuration, logger))
    }

    /// For the server's connections.
    var server: TLSServer {
        TLSServer {
            let context = self.context.withLock { $0 }
            return (context.makeConnection(), context)
        }
    }

    /// When the certificates expire.
    var expiries: [(file: String, at: Double)] { context.withLock { $0.expiries } }

    /// Reads the files again. Where they are wrong, which is logged, the old ones stay.
    func reload() {
        do throws(ShuntError) {
            let new = try Self.read(settings, tickets, figures, configuration, logger)
            let isNew = context.withLock { old in
                defer { old = new }
                return !new.isSame(as: old)
            }
            if isNew { logger.notice("read the admin API's certificate again") }
        } catch {
            logger.error("the admin API's certificate stays as it was: \(error)")
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
}
