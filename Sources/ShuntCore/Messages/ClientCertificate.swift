/// What a client's certificate says, after it was verified: by whom it was signed, that it is valid now, and that no list revokes it.
public struct ClientCertificate: Equatable, Sendable {
    /// The first common name of the subject; empty where there is none, or it has control characters.
    public var commonName: String
    /// The subject alternative names, in the certificate's order; those with control characters are left out.
    public var dnsNames: [String]
    public var emails: [String]
    public var uris: [String]
    /// In hexadecimal digits, upper case, as OpenSSL writes it.
    public var serial: String
    /// The issuer's name by RFC 2253: `CN=Our CA,O=Example`.
    public var issuer: String
    /// SHA-256 of the certificate, in hexadecimal digits, lower case.
    public var fingerprint: String

    public init(
        commonName: String = "", dnsNames: [String] = [], emails: [String] = [], uris: [String] = [], serial: String = "", issuer: String = "",
        fingerprint: String = ""
    ) {
        self.commonName = commonName
        self.dnsNames = dnsNames
        self.emails = emails
        self.uris = uris
        self.serial = serial
        self.issuer = issuer
        self.fingerprint = fingerprint
    }

    /// Where a client's uid is in its certificate.
    public enum UIDSource: String, CaseIterable, Sendable {
        case commonName = "cn"
        /// The first e-mail address, else the first DNS name, else the first URI.
        case alternativeName = "san"
    }

    /// The longest name that counts, in bytes.
    public static let longestUID = 255

    /// The client's uid; nil where the certificate has no such name, or one that is too long. Of several the first counts.
    public func uid(from source: UIDSource) -> String? {
        let name: String? =
            switch source {
            case .commonName: commonName.isEmpty ? nil : commonName
            case .alternativeName: emails.first ?? dnsNames.first ?? uris.first
            }
        return name.flatMap { $0.utf8.count <= Self.longestUID ? $0 : nil }
    }
}
