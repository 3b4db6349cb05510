import ShuntCore

extension Configuration {
    /// `access:`, of all listeners or of one.
    static let accessKeys: [ConfigKey<Access>] = [
        ConfigKey(
            "password_file", \.passwordFile, .optionalPath, .live,
            "Users and their hashed passwords, in mosquitto's format: `shunt admin passwd` writes it. docs/access.md describes this file and the "
                + "next two."),
        ConfigKey("acl_file", \.aclFile, .optionalPath, .live, "The topics that clients may read and write, in mosquitto's syntax."),
        ConfigKey("rules", \.rules, .optionalPath, .live, "A YAML file of rules about clients, actions and topics; they go before acl_file."),
        ConfigKey(
            "jwt.keys", \.jwt.keys, .path(emptyMeans: "no tokens"), .live,
            "The keys of tokens that clients give as their password: a file with a JWK set, or with public keys as PEM."),
        ConfigKey("jwt.issuer", \.jwt.issuer, .name(maximum: 1024, emptyMeans: "any"), .live, "What a token has to have as iss."),
        ConfigKey(
            "jwt.audience", \.jwt.audience, .name(maximum: 1024, emptyMeans: "only tokens without aud"), .live, "What a token has to have as aud."),
        ConfigKey("jwt.uid", \.jwt.uid, .name(maximum: 255), .live, "The claim that is the client's uid."),
        ConfigKey("jwt.skew", \.jwt.skew, .duration(.zero...(.seconds(600))), .live, "How far the clocks of who signs tokens may be off."),
        ConfigKey(
            "flapping.connects", \.flapping.connects, .int(0...1_000_000), .live,
            "A client of MQTT, by its identifier, that is let in so often within flapping.within is refused for a while; 0: it is not. 15 is a "
                + "good value."),
        ConfigKey(
            "flapping.within", \.flapping.within, .duration(.seconds(1)...(.seconds(86_400))), .live,
            "The time in which its connects are counted, from the first one."),
        ConfigKey(
            "flapping.refused_for", \.flapping.refusedFor, .duration(.seconds(1)...(.seconds(86_400))), .live, "How long it is refused."),
    ]
}

extension ConfigKey {
    /// The key of a part, as a key of the whole.
    func of<Whole: Sendable>(_ section: String, _ field: any WritableKeyPath<Whole, Root> & Sendable, _ takesEffect: ConfigKey<Whole>.TakesEffect)
        -> ConfigKey<Whole>
    {
        ConfigKey<Whole>(
            path: [section] + path, summary: summary, meaning: meaning, takesEffect: takesEffect, isSecret: isSecret, isRequired: isRequired,
            shape: shape,
            read: { [read] node, label, whole, diagnostics in read(node, label, &whole[keyPath: field], &diagnostics) },
            text: { [text] in text($0[keyPath: field]) },
            copy: { [copy] in copy($0[keyPath: field], &$1[keyPath: field]) },
            parts: { [parts] in parts($0[keyPath: field]) })
    }
}
