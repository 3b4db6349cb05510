import ShuntCore

extension HostPort {
    /// The objects of an array of `{host, port}`; nil where there is none.
    static func list(_ key: String, in object: LenientObject) throws(ShuntError) -> [HostPort]? {
        guard let elements = try object.array(key) else { return nil }
        var list: [HostPort] = []
        for element in elements {
            guard case .object(let member) = element else { throw object.mismatch(key, element, wanted: "{host, port}") }
            list.append(HostPort(try member.string("host") ?? "", try member.port("port") ?? 0))
        }
        return list
    }

    func write(to json: inout JSONWriter) {
        json.member("host", host)
        json.member("port", port)
    }
}
