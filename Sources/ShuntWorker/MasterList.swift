import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntEngine

/// The masters that a worker may have, and what they must prove.
struct MasterList: Sendable {
    /// Tried in turn.
    let addresses: [String]
    /// nil where nobody needs to prove anything.
    let secret: LinkSecret?
    /// Where masters are that need not.
    let unproved: [AddressRange]

    init(_ configuration: Configuration, _ token: ClusterToken?) {
        addresses = configuration.worker.masters.map(\.description)
        secret = token.map { token in
            LinkSecret(count: token.count, code: { token.proof($0, of: $1) }, nonce: { ClusterToken.nonce() })
        }
        unproved = configuration.cluster.allowJava ? configuration.cluster.javaFrom : []
    }
}
