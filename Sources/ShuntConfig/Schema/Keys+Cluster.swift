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
            "cluster.allow_java", \.cluster.allowJava, .bool, .restart,
            "Whether message-channel's masters and workers, which can't prove anything, take part where there is a token, from cluster.java_from."),
        ConfigKey(
            "cluster.java_from", \.cluster.javaFrom, .list(of: .addressRange, maximum: 256), .restart,
            "The addresses of message-channel's masters and workers, as in [10.0.4.0/24]. Whoever connects from there is trusted."),
    ]
}
