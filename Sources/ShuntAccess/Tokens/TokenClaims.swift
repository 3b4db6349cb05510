import ShuntCore

/// What a token says about its client.
public struct TokenClaims: Equatable, Sendable {
    public var uid: String
    public var tags: [String] = []
    public var alias: [String] = []
    /// What it may publish and subscribe to; nil where the token does not say.
    public var acl: TopicLists?
    /// Seconds since 1970 when the connection ends, the skew included; nil: never.
    public var expires: Double?
}

/// What an HTTP service's answer has in common with a token.
extension TokenClaims {
    /// Whether a text can be a uid, a tag or an alias.
    static func isName(_ text: String) -> Bool {
        (1...TokenVerifier.maximumName).contains(text.utf8.count) && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    }

    static func names(_ value: StrictJSON?) throws(TokenRefusal) -> [String] {
        guard let value else { return [] }
        guard let names = value.strings, names.count <= TokenVerifier.maximumElements, names.allSatisfy(isName) else { throw .claims }
        return names
    }

    /// `{"publish": [filter, …], "subscribe": [filter, …]}`; other members are refused, since they may be meant to forbid something.
    static func lists(_ value: StrictJSON?) throws(TokenRefusal) -> TopicLists? {
        guard let value else { return nil }
        guard case .object(let members) = value, members.keys.allSatisfy({ $0 == "publish" || $0 == "subscribe" }) else { throw .claims }
        func filters(_ name: String) throws(TokenRefusal) -> [String] {
            guard let value = value[name] else { return [] }
            guard let filters = value.strings, filters.count <= TokenVerifier.maximumElements else { throw .claims }
            for filter in filters where (try? TopicTemplate.check(filter)) == nil { throw .claims }
            return filters
        }
        return TopicLists(publish: try filters("publish"), subscribe: try filters("subscribe"))
    }
}
