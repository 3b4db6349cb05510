import ShuntCore

extension Configuration {
    /// `cluster:`
    static let clusterKeys: [ConfigKey<Configuration>] = [
        ConfigKey(
            "cluster.token_file", \.cluster.tokenFile, .path(emptyMeans: "no token"), .restart,
            "The file of the cluster's token, 16 bytes or more, as `openssl rand -base64 32` makes one; SHUNT_CLUSTER_TOKEN may hold the token "
                + "itself instead. Masters and workers that have it talk with such alone as prove that they have it, too; clients need none. "
                + "Of several lines the first is the token that a worker proves, and a master takes any: so a new one can be brought in."),
        ConfigKey(
            "cluster.tls.certificate", \.cluster.tls.certificate, .path(emptyMeans: "no TLS"), .restart,
            "The certificate of this master or worker, in PEM, then those that lead to its root. With it a worker speaks TLS to its masters, and "
                + "each end takes the other alone that shows a certificate of cluster.tls.ca; with a token, both are needed. SIGHUP reads the "
                + "files again, for new connections."),
        ConfigKey(
            "cluster.tls.key", \.cluster.tls.key, .path(emptyMeans: "in the certificate's file, or beside it as its name with .key"),
            .restart, "The certificate's private key, in PEM without a passphrase."),
        ConfigKey(
            "cluster.tls.ca", \.cluster.tls.authority, .path(emptyMeans: "none"), .restart,
            "The certificate of the cluster's own authority, in PEM: who has a certificate of it belongs to the cluster."),
        ConfigKey(
            "cluster.allow_java", \.cluster.allowJava, .bool, .restart,
            "Whether message-channel's masters and workers, which can't prove anything, take part where there is a token, from cluster.java_from."),
        ConfigKey(
            "cluster.java_from", \.cluster.javaFrom, .list(of: .addressRange, maximum: 256), .restart,
            "The addresses of message-channel's masters and workers, as in [10.0.4.0/24]. Whoever connects from there is trusted."),
    ]
}
