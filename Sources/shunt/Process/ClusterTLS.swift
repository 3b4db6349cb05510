import Logging
import ShuntConfig
import ShuntCore
import ShuntTLS

/// TLS between the masters and workers of a cluster (`cluster.tls`): what this process shows, and whom it takes.
struct ClusterTLS {
    /// For workers that come to this master; nil where there is no master in this process.
    let server: ReloadableTLS?
    /// For the masters that this worker or master goes to; nil where there is no worker, and a master serves alone.
    let client: ReloadableTLS?
    /// Knows where each setting was given.
    private let configuration: Configuration

    /// nil where the configuration names no certificate.
    /// - Parameter warn: gets what is wrong with files that can be used: a certificate that has expired.
    /// - Throws: `tls.invalid`, `config.missing`, with the setting's place.
    init?(_ kind: ServerProcess.Kind, _ configuration: Configuration, warn: (ShuntError) -> Void) throws(ShuntError) {
        let tls = configuration.cluster.tls
        let missing: (key: String, given: String)? =
            switch (tls.certificate.isEmpty, tls.authority.isEmpty) {
            case (true, true): tls.key.isEmpty ? nil : ("certificate", "key")
            case (true, false): ("certificate", "ca")
            case (false, true): ("ca", "certificate")
            case (false, false): nil
            }
        if let (key, given) = missing {
            let error = ShuntError(
                .configMissing, "cluster.tls has no \(key)", at: "cluster.tls.\(given)",
                help: "give it certificate, key and ca, or take cluster.tls away for plain bytes")
            throw configuration.placed(error)
        }
        guard !tls.certificate.isEmpty else { return nil }
        self.configuration = configuration
        do throws(ShuntError) {
            let settings = Self.settings(tls)
            server = kind.hasMaster ? try ReloadableTLS(settings(.optional), role: .server) : nil
            client = kind.hasWorker || !configuration.master.peers.isEmpty ? try ReloadableTLS(settings(.required), role: .client) : nil
        } catch {
            throw configuration.placed(error)
        }
        for warning in (server ?? client)?.context.warnings ?? [] { warn(configuration.placed(warning)) }
    }

    /// A client that wants to know which workers there are needs no certificate; one that it shows must be right.
    private static func settings(_ tls: Configuration.Cluster.TLS) -> (TLSSettings.Verification) -> TLSSettings {
        let keySetting = "cluster.tls." + (tls.key.isEmpty ? "certificate" : "key")
        let identity = TLSSettings.Identity(
            certificate: tls.certificate, key: tls.key, setting: "cluster.tls.certificate", keySetting: keySetting)
        return { verify in
            TLSSettings(
                name: "cluster.tls", identities: [identity], clientAuthorities: tls.authority, verify: verify,
                authoritiesSetting: "cluster.tls.ca")
        }
    }

    /// Reads the files again, for new connections. Where they are wrong, which is logged, the old ones stay.
    func reload(_ logger: Logger) {
        do throws(ShuntError) {
            var isNew = false
            for tls in [server, client] { if let tls, try tls.reload() { isNew = true } }
            guard isNew else { return }
            logger.notice("read the cluster's certificates again")
            for warning in (server ?? client)?.context.warnings ?? [] { logger.warning("\(configuration.placed(warning))") }
        } catch {
            logger.error("the cluster's certificates stay as they were: \(configuration.placed(error))")
        }
    }
}
