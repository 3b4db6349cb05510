import ShuntCore

extension Configuration {
    /// The keys of an entry of `rules.lookups`.
    static let lookupKeys: [ConfigKey<Configuration.Rules.Lookups>] = [
        .init(
            "hosts", \.hosts, .list(of: .lookupHost, maximum: 64), .live,
            "The hosts that http.get and http.post may ask. Without a port, that of the scheme; with a scheme, only that one."),
        .init(
            "names", \.names, .list(of: .lookupName, maximum: 64), .live,
            "The names that resolve may look up, besides those of hosts: a name, *.example.com for those under it, or * for any."),
        .init("timeout", \.timeout, .duration(.milliseconds(10)...(.seconds(60))), .live, "How long a look-up may take; a rule may say less."),
        .init(
            "wait", \.wait, .duration(.milliseconds(10)...(.seconds(60))), .live, "How long a call may wait, all of its look-ups together."),
        .init(
            "at_once", \.atOnce, .int(1...10_000), .live,
            "The most requests of the rule under way, of each loop; each takes a file descriptor. Up to 10,000 others wait for their turn."),
        .init("answer", \.answer, .size(1024...(512 << 10)), .live, "The largest answer; what is larger is none."),
        .init(
            "ca", \.authorities, .path(emptyMeans: "those of the system"), .live,
            "The authorities that certificates are checked with: a file with PEM."),
    ]
}

extension ConfigType<String> {
    /// An entry of a list of hosts that rules may ask.
    static var lookupHost: ConfigType {
        scalar("host, host:port, http://host:port or https://host:port, without a path", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard LookupHost(text) != nil else { throw .type }
            return text
        }
    }

    /// An entry of a list of names that rules may resolve.
    static var lookupName: ConfigType {
        scalar("name of a host, *.name for those under it, or *", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard LookupName(text) != nil else { throw .type }
            return text
        }
    }
}
