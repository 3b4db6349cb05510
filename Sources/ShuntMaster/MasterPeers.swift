import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntEngine
import ShuntTLS

/// The other masters of the cluster, and how they are spoken to.
struct MasterPeers: Sendable {
    /// This master's address, as the others and workers have it.
    let own: String
    let others: [String]
    /// nil where nobody needs to prove anything.
    let secret: LinkSecret?
    /// nil: plain bytes.
    let tls: ReloadableTLS?

    /// nil for a master that serves alone.
    /// - Parameter address: where it listens, with the real port.
    /// - Throws: `config.missing` where nobody could know this master by that address.
    init?(_ configuration: Configuration, _ token: ClusterToken?, listening address: HostPort, _ tls: ReloadableTLS?) throws(ShuntError) {
        guard !configuration.master.peers.isEmpty else { return nil }
        let advertised = configuration.master.advertise
        guard !advertised.isEmpty || !["0.0.0.0", "::"].contains(address.host) else {
            let error = ShuntError(
                .configMissing, "master.peers needs the host by which the other masters and workers know this one, which listens on \(address)",
                help: "give it as master.advertise")
            throw configuration.placed(error, at: "master.peers")
        }
        let own = HostPort(advertised.isEmpty ? address.host : advertised, address.port).description
        self.own = own
        others = Set(configuration.master.peers.map(\.description)).subtracting([own]).sorted()
        guard !others.isEmpty else {
            let error = ShuntError(
                .configInvalid, "master.peers names this master alone", help: "name another master as well, or leave master.peers away")
            throw configuration.placed(error, at: "master.peers")
        }
        secret = token.map { LinkSecret($0) }
        self.tls = tls
    }
}

extension LinkSecret {
    /// Made of the cluster's token.
    init(_ token: ClusterToken) {
        self.init(count: token.count, code: { token.proof($0, of: $1) }, nonce: { ClusterToken.nonce() })
    }
}
