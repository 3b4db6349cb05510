import ShuntCore

/// How a listener, or a link of the cluster, speaks TLS.
public struct TLSSettings: Equatable, Sendable {
    /// A certificate and its key.
    public struct Identity: Equatable, Sendable {
        /// A file in PEM: the certificate, then those that lead to its root.
        public var certificate: String
        /// The key's file in PEM; empty: the certificate's file, or one of the same name that ends with `.key`.
        public var key: String
        /// The setting that names it, for errors: `worker.listeners.mqtts.tls.certificate`.
        public var setting: String
        /// The setting that names the key.
        public var keySetting: String

        public init(certificate: String, key: String = "", setting: String, keySetting: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.setting = setting
            self.keySetting = keySetting ?? setting
        }
    }

    /// Whether clients show certificates.
    public enum Verification: String, CaseIterable, Sendable {
        case none
        /// A client may have none; one that it shows must be right.
        case optional
        case required
    }

    public enum Version: String, CaseIterable, Sendable {
        case tls12 = "1.2"
        case tls13 = "1.3"
    }

    /// The key of the whole in the configuration, for errors: `worker.listeners.mqtts.tls`.
    public var name: String
    /// The first is for clients that ask for no name, or one that no other has.
    public var identities: [Identity]
    /// A file with the certificates of the authorities whose clients are taken, or servers; empty: none.
    public var clientAuthorities: String
    /// The setting that names it.
    public var authoritiesSetting: String
    public var verify: Verification
    /// A file with the revocation lists of these authorities; empty: none.
    public var revocations: String
    public var minimum: Version
    /// The protocols that a client may name by ALPN; empty: any.
    public var applicationProtocols: [String]

    public init(
        name: String, identities: [Identity], clientAuthorities: String = "", verify: Verification = .none, revocations: String = "",
        minimum: Version = .tls12, applicationProtocols: [String] = [],
        authoritiesSetting: String? = nil
    ) {
        self.name = name
        self.identities = identities
        self.clientAuthorities = clientAuthorities
        self.authoritiesSetting = authoritiesSetting ?? "\(name).client_ca"
        self.verify = verify
        self.revocations = revocations
        self.minimum = minimum
        self.applicationProtocols = applicationProtocols
    }

    /// All files that they name, or may.
    public var files: [String] {
        identities.flatMap { [$0.certificate] + ($0.key.isEmpty ? [PEMFile.keyBeside($0.certificate)] : [$0.key]) }
            + [clientAuthorities, revocations].filter { !$0.isEmpty }
    }
}
