import ShuntCore

extension Configuration {
    /// The variable that may hold the cluster's token.
    public static let clusterTokenVariable = "SHUNT_CLUSTER_TOKEN"

    /// Something that the network reaches and should not, or a setting that protects nothing.
    public struct OpenDoor: Equatable, Sendable {
        /// What it is and what would be right, with the setting's place.
        public var error: ShuntError
        /// Whether the profile does not let the process start with it; else it is a warning.
        public var isRefused: Bool
    }

    /// What a process is, as far as its doors depend on it.
    public struct Role: Equatable, Sendable {
        public var hasMaster: Bool
        public var hasWorker: Bool
        /// Whether there is a token of the cluster, wherever it comes from.
        public var hasClusterToken: Bool

        public init(hasMaster: Bool, hasWorker: Bool, hasClusterToken: Bool) {
            (self.hasMaster, self.hasWorker, self.hasClusterToken) = (hasMaster, hasWorker, hasClusterToken)
        }
    }

    /// The doors of a process that stand open, at most one for a listener: warnings, or in the hardened profile what ends the start.
    ///
    /// An address is private where only this machine reaches it: loopback, a socket in the file system. Private networks are public: a
    /// configuration cannot know who else is there.
    public func openDoors(of role: Role) -> [OpenDoor] {
        let serious = (role.hasMaster ? masterDoors(role) : []) + (role.hasWorker ? workerDoors(role) : [])
        let slight = javaDoors(role) + (role.hasWorker ? slightDoors : [])
        let isHardened = profile == .hardened
        return serious.map { OpenDoor(error: isHardened ? $0.refused : $0, isRefused: isHardened) }
            + slight.map { OpenDoor(error: $0, isRefused: false) }
    }

    private func masterDoors(_ role: Role) -> [ShuntError] {
        var found: [ShuntError] = []
        let (admin, exchange) = (master.admin.listen, master.exchange.listen)
        if !admin.isLoopback, master.adminTokensFile.isEmpty || master.admin.tls.certificate.isEmpty {
            let isOpen = master.adminTokensFile.isEmpty
            found.append(
                door(
                    "master.admin.listen",
                    isOpen
                        ? "the admin API is open to whoever reaches \(admin)"
                        : "tokens of the admin API cross the network in clear: \(admin) has no TLS",
                    help: isOpen
                        ? "name a file of tokens in master.admin.tokens_file, and a certificate in master.admin.tls; or listen on loopback"
                        : "name a certificate in master.admin.tls, or listen on loopback"))
        }
        if !exchange.isLoopback, !isProven(role) {
            found.append(
                door(
                    "master.exchange.listen", "whoever reaches \(exchange) may say that it is a worker",
                    help: "give masters and workers a token by cluster.token_file, or certificates by cluster.tls"))
        }
        return found
    }

    private func workerDoors(_ role: Role) -> [ShuntError] {
        var found: [ShuntError] = []
        for (name, listener) in worker.listeners.sorted(by: { $0.key < $1.key }) {
            guard let address = listener.listen.hostPort, !address.isLoopback else { continue }
            let key = "worker.listeners.\(name)"
            switch (listener.asksNobody, listener.tls.isOn) {
            case (false, true): break
            case (true, _):
                let clear = listener.tls.isOn ? "" : ", and what they say crosses the network in clear"
                found.append(
                    door(
                        "\(key).listen", "\(key) lets in whoever reaches \(address), unasked\(clear)",
                        help: listener.tls.isOn
                            ? "take allow_anonymous away: `access:` says who clients are; or listen on loopback"
                            : "give it `tls:`, and take allow_anonymous away: `access:` says who clients are; or listen on loopback"))
            case (false, false):
                found.append(
                    door(
                        "\(key).listen", "passwords and tokens for \(key) cross the network in clear: \(address) has no TLS",
                        help: "give it `tls:`, or listen on loopback"))
            }
        }
        if !role.hasMaster, !isProven(role), let far = worker.masters.first(where: { !$0.isLoopback }) {
            found.append(
                door(
                    "worker.masters", "whoever answers at \(far) is taken for the master",
                    help: "give masters and workers a token by cluster.token_file, or certificates by cluster.tls"))
        }
        return found
    }

    /// Whether masters and workers prove that they belong to the cluster.
    private func isProven(_ role: Role) -> Bool { role.hasClusterToken || !cluster.tls.certificate.isEmpty }

    private func javaDoors(_ role: Role) -> [ShuntError] {
        guard cluster.allowJava, cluster.javaFrom.isEmpty || !isProven(role) else { return [] }
        let why = isProven(role) ? "cluster.java_from names no address" : "without a token or TLS all may come anyway"
        return [idle("cluster.allow_java", why)]
    }

    /// Warnings in each profile: figures are no secret of clients, and who came in by a listener without lists has shown who it is.
    private var slightDoors: [ShuntError] {
        var found: [ShuntError] = []
        if !worker.http.listen.isLoopback {
            found.append(
                door(
                    "worker.http.listen", "whoever reaches \(worker.http.listen) may read the worker's figures at /metrics",
                    help: "listen on loopback or an address of your own network, or let a firewall choose who comes"))
        }
        for (name, listener) in worker.listeners.sorted(by: { $0.key < $1.key }) {
            let key = "worker.listeners.\(name)"
            if listener.tls.isOn, listener.tls.verify == .none, !listener.tls.clientCA.isEmpty {
                found.append(
                    idle("\(key).tls.client_ca", "nobody is asked for a certificate", help: "set \(key).tls.verify to required, or optional"))
            }
            if listener.proxies.contains(where: { $0.description.hasSuffix("/0") }) {
                found.append(
                    placed(
                        ShuntError(
                            .configInvalid, "\(key).proxy_protocol.from takes everybody for a proxy: any client may say that it has any address",
                            help: "name the proxies' own addresses"), at: "\(key).proxy_protocol.from"))
            }
            if listener.transport != .websocket, !listener.origins.isEmpty {
                found.append(idle("\(key).origins", "the listener serves no WebSocket", help: "set \(key).transport to websocket"))
            }
        }
        guard profile == .hardened else { return found }
        for (name, listener) in worker.listeners.sorted(by: { $0.key < $1.key }) where listener.listen.hostPort?.isLoopback == false {
            let key = listener.access.isEmpty ? "access" : "worker.listeners.\(name).access"
            let access = listener.access.isEmpty ? self.access : listener.access
            guard access.aclFile.isEmpty, access.rules.isEmpty else { continue }
            found.append(
                door(
                    "worker.listeners.\(name).listen", "who comes in by worker.listeners.\(name) may publish and subscribe to everything",
                    help: "name lists of what clients may do, in \(key).acl_file or \(key).rules"))
        }
        return found
    }

    /// A setting that protects nobody as it stands.
    private func idle(_ key: String, _ why: String, help: String? = nil) -> ShuntError {
        placed(ShuntError(.configInvalid, "\(key) changes nothing: \(why)", help: help), at: key)
    }

    private func door(_ key: String, _ message: String, help: String) -> ShuntError {
        placed(ShuntError(.accessCredentials, message, help: help), at: key)
    }
}

extension ShuntError {
    /// As an error of a configuration that says which profile refuses it.
    fileprivate var refused: ShuntError {
        var error = self
        error.code = .configInvalid
        error.help = (help ?? "") + "; profile: standard would only warn"
        return error
    }
}

extension Configuration.Worker.Listener {
    /// Whether a client comes in that shows nothing: neither a name nor a certificate.
    var asksNobody: Bool { allowAnonymous && !(tls.isOn && tls.verify == .required) }
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
