import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntMaster

/// The secrets of a process, read from files that its configuration names, and from the environment.
struct ProcessSecrets {
    let cluster: ClusterToken?
    let master: MasterSecrets?
    /// What is wrong with the files' modes, and which doors stand open.
    private(set) var warnings: [ShuntError] = []

    /// - Throws: every wrong line, with its place; every door that stands open, where the profile does not allow it.
    init(_ kind: ServerProcess.Kind, _ configuration: Configuration) throws {
        var warnings: [ShuntError] = []
        cluster = try ClusterToken.load(configuration) { warnings.append($0) }
        master = kind.hasMaster ? try MasterSecrets(configuration, cluster: cluster) { warnings.append($0) } : nil
        let role = Configuration.Role(hasMaster: kind.hasMaster, hasWorker: kind.hasWorker, hasClusterToken: cluster != nil)
        let doors = configuration.openDoors(of: role)
        try ConfigurationErrors.throwAny(of: doors.filter(\.isRefused).map(\.error))
        self.warnings = warnings + doors.map(\.error)
    }
}

extension ClusterToken {
    /// The token that the environment holds, else the one of the configuration's file; nil where there is none.
    fileprivate static func load(_ configuration: Configuration, warn: (ShuntError) -> Void) throws(ShuntError) -> ClusterToken? {
        let variable = Configuration.clusterTokenVariable
        if let text = ProcessEnvironment.variables[variable], !text.isEmpty { return try ClusterToken(text, name: variable) }
        guard !configuration.cluster.tokenFile.isEmpty else { return nil }
        do throws(ShuntError) {
            let file = try SecretText(path: configuration.cluster.tokenFile)
            if let warning = file.warning { warn(warning) }
            return try ClusterToken(file.text, name: file.path)
        } catch {
            throw configuration.placed(error, at: "cluster.token_file")
        }
    }
}
