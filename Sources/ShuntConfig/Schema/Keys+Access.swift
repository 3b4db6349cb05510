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
            "jwt.keys", \.jwt.keys, .pathOrHTTPAddress(emptyMeans: "no tokens"), .live,
            "The keys of tokens that clients give as their password: a file with a JWK set, or with public keys as PEM; or the address of a JWK "
                + "set."),
        ConfigKey("jwt.issuer", \.jwt.issuer, .name(maximum: 1024, emptyMeans: "any"), .live, "What a token has to have as iss."),
        ConfigKey(
            "jwt.audience", \.jwt.audience, .name(maximum: 1024, emptyMeans: "only tokens without aud"), .live, "What a token has to have as aud."),
        ConfigKey("jwt.uid", \.jwt.uid, .name(maximum: 255), .live, "The claim that is the client's uid."),
        ConfigKey("jwt.skew", \.jwt.skew, .duration(.zero...(.seconds(600))), .live, "How far the clocks of who signs tokens may be off."),
        ConfigKey(
            "jwt.refresh", \.jwt.refresh, .duration(.seconds(1)...(.seconds(86_400))), .live,
            "How often keys are fetched from an address. A token with an unknown kid has them fetched at once, at most every 10 seconds."),
        ConfigKey(
            "jwt.keep", \.jwt.keep, .duration(.seconds(1)...(.seconds(2_592_000))), .live,
            "How long fetched keys count after the last fetch that worked, longer than jwt.refresh. After that tokens are refused."),
        ConfigKey(
            "jwt.ca", \.jwt.authorities, .path(emptyMeans: "those of the system"), .live,
            "The authorities that the certificate at the address of jwt.keys is checked with: a file with PEM."),
        ConfigKey(
            "http.url", \.http.url, .httpAddress, .live,
            "A service that is asked about each client that neither a certificate, nor a token, nor the password file names. docs/access.md has "
                + "the question and the answers."),
        ConfigKey("http.timeout", \.http.timeout, .duration(.milliseconds(100)...(.seconds(60))), .live, "How long the service may take."),
        ConfigKey(
            "http.retries", \.http.retries, .int(0...5), .live, "How often it is asked again where it cannot be reached or answers 5xx."),
        ConfigKey(
            "http.concurrency", \.http.concurrency, .int(1...256), .live,
            "The most questions under way, each of which takes a file descriptor; up to 1,000 others wait, for http.timeout at most."),
        ConfigKey(
            "http.cache", \.http.cache, .duration(.zero...(.seconds(86_400))), .live,
            "How long an answer counts for clients that show the same; 0s: each client is asked about."),
        ConfigKey(
            "http.on_error", \.http.onError, .word, .live,
            "What becomes of a client where the service gives no answer that can be read: refuse, or ignore: rules and allow_anonymous decide."),
        ConfigKey(
            "http.ca", \.http.authorities, .path(emptyMeans: "those of the system"), .live,
            "The authorities that the service's certificate is checked with: a file with PEM."),
        ConfigKey(
            "flapping.connects", \.flapping.connects, .int(0...1_000_000), .live,
            "A client that is let in so often within flapping.within is refused for a while; 0: it is not. 15 is a good value."),
        ConfigKey(
            "flapping.within", \.flapping.within, .duration(.seconds(1)...(.seconds(86_400))), .live,
            "The time in which its connects are counted, from the first one."),
        ConfigKey(
            "flapping.refused_for", \.flapping.refusedFor, .duration(.seconds(1)...(.seconds(86_400))), .live, "How long it is refused."),
        ConfigKey(
            "flapping.by", \.flapping.by, .list(of: .word, maximum: 3), .live,
            "What tells clients apart: client_id (of MQTT), uid (the user name that is given), address (an IPv4 address or a /64 of IPv6: "
                + "all behind it count together). Where there are several, each is counted."),
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
