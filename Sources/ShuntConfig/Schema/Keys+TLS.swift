import ShuntCore

extension Configuration {
    /// `tls:` of a listener. SIGHUP, and a change of a file, reads the files again; other files wait for a restart, as listeners do.
    static let tlsKeys: [ConfigKey<Worker.Listener>] = [
        ConfigKey(
            "tls.certificate", \.tls.certificate, .path(emptyMeans: "no TLS"), .restart,
            "The certificate, in PEM, then those that lead to its root. Files that change are read again at once, and by SIGHUP: new "
                + "connections get the new ones."),
        ConfigKey(
            "tls.key", \.tls.key, .path(emptyMeans: "in the certificate's file, or beside it as its name with .key"), .restart,
            "The certificate's private key, in PEM without a passphrase."),
        ConfigKey(
            "tls.certificates", \.tls.certificates, .list(of: .path, maximum: 64), .restart,
            "More certificates, for clients that ask for their names (SNI), each with its key in the same file or beside it."),
        ConfigKey(
            "tls.client_ca", \.tls.clientCA, .path(emptyMeans: "none"), .restart,
            "The certificates of the authorities that sign clients' certificates, in PEM."),
        ConfigKey(
            "tls.verify", \.tls.verify, .word, .restart,
            "Whether clients show certificates: none are asked for; a client may have none, but not a wrong one; each must have one."),
        ConfigKey(
            "tls.crl", \.tls.revocations, .path(emptyMeans: "nothing is revoked"), .restart,
            "The revocation lists of all authorities in tls.client_ca, in PEM. Clients that a new list revokes are disconnected."),
        ConfigKey("tls.minimum", \.tls.minimum, .word, .restart, "The oldest version of TLS that is spoken."),
        ConfigKey(
            "tls.uid_from", \.tls.uidFrom, .word, .restart,
            "What of a client's certificate is its uid: the subject's common name; or the first e-mail address, DNS name or URI of its subject "
                + "alternative names."),
    ]
}
