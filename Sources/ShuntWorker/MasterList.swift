import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntEngine
import ShuntTLS

/// The masters that a worker may have, and what they must prove.
struct MasterList: Sendable {
    /// Tried in turn.
    let addresses: [String]
    /// nil where nobody needs to prove anything.
    let secret: LinkSecret?
    /// Where masters are that need not, and speak plain bytes.
    let unproved: [AddressRange]

    /// How they are spoken to, and what they must show; nil: plain bytes.
    let tls: ReloadableTLS?

    init(_ configuration: Configuration, _ token: ClusterToken?, _ tls: ReloadableTLS?) {
        self.tls = tls
        addresses = configuration.worker.masters.map(\.description)
        secret = token.map { token in
            LinkSecret(count: token.count, code: { token.proof($0, of: $1) }, nonce: { ClusterToken.nonce() })
        }
        unproved = configuration.cluster.allowJava ? configuration.cluster.javaFrom : []
    }
}
