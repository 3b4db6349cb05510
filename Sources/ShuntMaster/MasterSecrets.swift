public import ShuntAccess
public import ShuntConfig
public import ShuntCore

/// What a master reads from files that its configuration names.
public struct MasterSecrets: Sendable {
    /// The tokens of the admin API; nil: it asks for none.
    let tokens: AdminTokens?
    /// What workers must prove; nil: nothing.
    let cluster: ClusterToken?

    /// - Parameters:
    ///   - cluster: the cluster's token; nil where there is none.
    ///   - warn: gets what is wrong with the files' modes.
    /// - Throws: every wrong line of the files, with its place; no error has a part of a secret.
    public init(_ configuration: Configuration, cluster: ClusterToken?, warn: (ShuntError) -> Void) throws(ConfigurationErrors) {
        self.cluster = cluster
        tokens = try AdminTokens.load(configuration.master.adminTokensFile, warn: warn)
    }
}
