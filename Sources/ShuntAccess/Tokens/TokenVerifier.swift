import ShuntCore

/// Why a token is refused. Figures and the log name the reason by its raw value; neither has a part of the token.
public enum TokenRefusal: String, Error, CaseIterable, Sendable {
    /// More than `TokenVerifier.maximumSize`.
    case tooLong = "token_too_long"
    /// No compact JWS with JSON in it.
    case malformed = "token_malformed"
    /// An algorithm that is not known, `none`, or another one than the key's.
    case algorithm = "token_algorithm"
    /// No key has the token's `kid`: the keys may have changed.
    case unknownKey = "token_key"
    case signature = "token_signature"
    case expired = "token_expired"
    /// Before its `nbf` or `iat`.
    case early = "token_early"
    case issuer = "token_issuer"
    /// It is for somebody else, or for somebody, and no audience is set here.
    case audience = "token_audience"
    /// No uid, or a claim of a wrong type or size.
    case claims = "token_claims"
}

/// Checks JSON Web Tokens (RFC 7519) in compact form, signed by HS256, RS256, ES256 or EdDSA.
public struct TokenVerifier: Sendable {
    /// What a token has to say.
    public struct Settings: Equatable, Sendable {
        /// Empty: any.
        public var issuer = ""
        /// Empty: a token for a named audience is refused (RFC 7519 §4.1.3).
        public var audience = ""
        /// The claim that is the uid.
        public var uid = "sub"
        /// Seconds that clocks may differ.
        public var skew = 30.0

        public init() {}
    }

    private let keys: [TokenKey]
    private let settings: Settings

    /// The longest token, in bytes.
    public static let maximumSize = 8 << 10
    /// The longest uid, tag or alias, in bytes.
    public static let maximumName = 255
    /// Tags, aliases, or filters of one kind.
    public static let maximumElements = 100

    public init(keys: TokenKeys, settings: Settings = Settings()) {
        self.keys = keys.keys
        self.settings = settings
    }

    /// Whether a password looks like a token: three parts, and the first begins as JSON does in base64.
    public static func isToken(_ password: Bytes) -> Bool {
        password.starts(with: "eyJ".utf8) && password.count { $0 == UInt8(ascii: ".") } == 2
    }

    /// Takes up to a fraction of a millisecond.
    /// - Parameter now: seconds since 1970.
    public func verify(_ token: Bytes, now: Double) throws(TokenRefusal) -> TokenClaims {
        guard let claims = StrictJSON(try payload(of: token)), claims.isObject else { throw .malformed }
        try checkTime(claims, now)
        if !settings.issuer.isEmpty, claims["iss"] != .string(settings.issuer) { throw .issuer }
        let audience = claims["aud"]
        if audience != nil || !settings.audience.isEmpty {
            guard let names = audience?.string.map({ [$0] }) ?? audience?.strings, names.contains(settings.audience), !settings.audience.isEmpty
            else { throw .audience }
        }
        guard let uid = claims[settings.uid]?.string, TokenClaims.isName(uid) else { throw .claims }
        var found = TokenClaims(uid: uid)
        found.tags = try TokenClaims.names(claims["tags"])
        found.alias = try TokenClaims.names(claims["alias"])
        found.acl = try TokenClaims.lists(claims["acl"])
        found.expires = claims["exp"]?.number.map { $0 + settings.skew }
        return found
    }

    /// The payload of a token whose signature is right.
    func payload(of token: Bytes) throws(TokenRefusal) -> [UInt8] {
        guard token.count <= Self.maximumSize else { throw .tooLong }
        let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64.decodeURL(parts[0]).flatMap({ StrictJSON($0) }), header.isObject,
            let payload = Base64.decodeURL(parts[1]), let signature = Base64.decodeURL(parts[2])
        else { throw .malformed }
        let key = try self.keys(for: header)
        let text = Array(token[..<parts[1].endIndex])
        guard key.contains(where: { $0.verifies(signature, of: text) }) else { throw .signature }
        return payload
    }

    /// The keys that may have signed a token. An extension that must be understood (`crit`) is none that is.
    private func keys(for header: StrictJSON) throws(TokenRefusal) -> [TokenKey] {
        guard case .object(let members) = header, members["crit"] == nil else { throw .malformed }
        guard let algorithm = header["alg"]?.string.flatMap({ TokenAlgorithm(rawValue: $0) }) else { throw .algorithm }
        var candidates = keys
        if let id = members["kid"] {
            guard let id = id.string else { throw .malformed }
            candidates = keys.filter { $0.id == id }
            if candidates.isEmpty { candidates = keys.filter { $0.id == nil } }
            guard !candidates.isEmpty else { throw .unknownKey }
        }
        let fitting = candidates.filter { $0.algorithm == algorithm }
        guard !fitting.isEmpty else { throw .algorithm }
        return fitting
    }

    private func checkTime(_ claims: StrictJSON, _ now: Double) throws(TokenRefusal) {
        func time(_ name: String) throws(TokenRefusal) -> Double? {
            guard let value = claims[name] else { return nil }
            // Up to the year 9999.
            guard let number = value.number, (0...253_402_300_799).contains(number) else { throw .claims }
            return number
        }
        if let end = try time("exp"), now >= end + settings.skew { throw .expired }
        for name in ["nbf", "iat"] {
            if let start = try time(name), now < start - settings.skew { throw .early }
        }
    }
}
