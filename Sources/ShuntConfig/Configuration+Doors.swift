import ShuntCore

extension Configuration {
    /// The variable that may hold the cluster's token.
    public static let clusterTokenVariable = "SHUNT_CLUSTER_TOKEN"

    /// Warnings about doors that stand open.
    /// - Parameters:
    ///   - hasMaster: whether the process is a master.
    ///   - hasClusterToken: whether there is a token of the cluster, wherever it comes from.
    public func openDoors(hasMaster: Bool, hasClusterToken: Bool) -> [ShuntError] {
        let asksWorkers = hasClusterToken || !cluster.tls.certificate.isEmpty
        var found: [ShuntError] = []
        if hasMaster, master.adminTokensFile.isEmpty, !master.admin.listen.isLoopback {
            found.append(
                placed(
                    ShuntError(
                        .accessCredentials, "the admin API is open to whoever reaches \(master.admin.listen)",
                        help: "name a file of tokens in master.admin.tokens_file, or listen on loopback"),
                    at: "master.admin.listen"))
        }
        if hasMaster, !asksWorkers, !master.exchange.listen.isLoopback {
            found.append(
                placed(
                    ShuntError(
                        .accessCredentials, "whoever reaches \(master.exchange.listen) may say that it is a worker",
                        help: "give masters and workers a token by cluster.token_file, or certificates by cluster.tls"),
                    at: "master.exchange.listen"))
        }
        if cluster.allowJava, cluster.javaFrom.isEmpty || !asksWorkers {
            let why = asksWorkers ? "cluster.java_from names no address" : "without a token or TLS all may come anyway"
            found.append(placed(ShuntError(.configInvalid, "cluster.allow_java changes nothing: \(why)"), at: "cluster.allow_java"))
        }
        return found
    }
}

extension HostPort {
    /// Whether only this machine reaches the address.
    var isLoopback: Bool {
        if host == "localhost" { return true }
        guard let address = PeerAddress(host: host) else { return false }
        return Self.loopback.contains { $0.contains(address) }
    }

    private static let loopback = ["127.0.0.0/8", "::1"].compactMap { AddressRange($0) }
}
