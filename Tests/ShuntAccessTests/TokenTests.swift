import COpenSSL
import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("JSON Web Tokens")
struct TokenTests {
    private static func verifier(_ keys: String = Tokens.keySet, _ change: (inout TokenVerifier.Settings) -> Void = { _ in }) throws -> TokenVerifier
    {
        var settings = TokenVerifier.Settings()
        settings.issuer = "https://id.example.org"
        settings.audience = "shunt"
        change(&settings)
        return TokenVerifier(keys: try TokenKeys(keys, name: "keys"), settings: settings)
    }

    private func verify(_ token: String, _ verifier: TokenVerifier, now: Double = 1_700_000_100) -> Result<TokenClaims, TokenRefusal> {
        bytes(token) { bytes in Result { () throws(TokenRefusal) in try verifier.verify(bytes, now: now) } }
    }

    /// A token by HS256 with the secret of `Tokens.keySet`.
    private func signed(_ claims: String, header: String = #"{"alg":"HS256"}"#) -> String {
        let text = base64(Array(header.utf8)) + "." + base64(Array(claims.utf8))
        let secret = Array("a secret that has forty bytes, all told!".utf8)
        var (code, count) = ([UInt8](repeating: 0, count: 32), UInt32(0))
        _ = HMAC(EVP_sha256(), secret, Int32(secret.count), Array(text.utf8), text.utf8.count, &code, &count)
        return text + "." + base64(code)
    }

    private func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let bits = bytes.flatMap { byte in (0..<8).map { byte >> (7 - UInt8($0)) & 1 } }
        return String(
            stride(from: 0, to: bits.count, by: 6).map { start in
                alphabet[(0..<6).reduce(0) { $0 << 1 | (start + $1 < bits.count ? Int(bits[start + $1]) : 0) }]
            })
    }

    @Test(
        "the vectors of RFC 7515 and RFC 8037", arguments: zip([Tokens.rfcHS256, Tokens.rfcRS256, Tokens.rfcES256, Tokens.rfcEdDSA], Tokens.rfcKeys))
    func vectors(token: String, key: String) throws {
        let verifier = TokenVerifier(keys: try TokenKeys(key, name: "k"))
        let payload = try bytes(token) { bytes in Result { () throws(TokenRefusal) in try verifier.payload(of: bytes) } }.get()
        let expected =
            token == Tokens.rfcEdDSA
            ? "Example of Ed25519 signing" : #"{"iss":"joe",\#r\#n "exp":1300819380,\#r\#n "http://example.com/is_root":true}"#
        #expect(String(decoding: payload, as: UTF8.self) == expected)
        for other in Tokens.rfcKeys where other != key {
            #expect(verify(token, TokenVerifier(keys: try TokenKeys(other, name: "k"))) == .failure(.algorithm))
        }
    }

    @Test("tokens that another library has signed, with all their claims", arguments: [Tokens.hs256, Tokens.rs256, Tokens.es256, Tokens.edDSA])
    func claims(token: String) throws {
        let expected = TokenClaims(
            uid: "ann", tags: ["vip"], alias: ["a1", "a2"], acl: TopicLists(publish: ["up/%u/#"], subscribe: ["down/%u/+"]), expires: 1_700_003_630)
        let verifier = try Self.verifier()
        #expect(verify(token, verifier) == .success(expected))
        // Each bit of the signature counts.
        let end = token.utf8.lastIndex(of: UInt8(ascii: ".")).map { token.utf8.distance(from: token.startIndex, to: $0) } ?? 0
        for place in [end + 1, end + 20, end + 40, 30, end - 3] {
            var wrong = Array(token.utf8)
            wrong[place] = wrong[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            let result = verify(String(decoding: wrong, as: UTF8.self), verifier)
            #expect([.failure(.signature), .failure(.malformed), .failure(.unknownKey), .failure(.algorithm)].contains(result), "\(place) \(result)")
        }
        for cut in [token.dropLast(1), token.dropLast(4), token.prefix(end + 1)] {
            #expect(throws: TokenRefusal.self) { try verify(String(cut), verifier).get() }
        }
    }

    @Test("keys as PEM and in certificates")
    func pem() throws {
        #expect(throws: Never.self) { try verify(Tokens.rs256, Self.verifier(Tokens.pem)).get() }
        #expect(throws: Never.self) { try verify(Tokens.es256, Self.verifier(Tokens.pem)).get() }
        #expect(throws: Never.self) { try verify(Tokens.edDSA, Self.verifier(Tokens.certificate)).get() }
        #expect(verify(Tokens.edDSA, try Self.verifier(Tokens.pem)) == .failure(.algorithm))
    }

    @Test("a public key is never a secret, and no signature is none")
    func confusion() throws {
        for keys in [Tokens.pem, Tokens.keySet] { #expect(throws: TokenRefusal.self) { try verify(Tokens.confused, Self.verifier(keys)).get() } }
        #expect(verify(Tokens.confused, try Self.verifier(Tokens.pem)) == .failure(.algorithm))
        let verifier = try Self.verifier()
        for algorithm in ["none", "None", "NONE", "", "HS384", "hs256", "RS256", "PS256"] {
            let token = signed(#"{"sub":"ann","iss":"https://id.example.org","aud":"shunt"}"#, header: #"{"alg":"\#(algorithm)"}"#)
            #expect(throws: TokenRefusal.self) { try verify(token, verifier).get() }
            let unsigned = token.split(separator: ".").prefix(2).joined(separator: ".") + "."
            #expect(throws: TokenRefusal.self) { try verify(unsigned, verifier).get() }
        }
    }

    @Test("a key that is named and not there is told apart, since the keys may have changed")
    func keyNames() throws {
        let verifier = try Self.verifier()
        #expect(verify(signed("{}", header: #"{"alg":"HS256","kid":"new"}"#), verifier) == .failure(.unknownKey))
        #expect(verify(signed("{}", header: #"{"alg":"HS256","kid":"r1"}"#), verifier) == .failure(.algorithm))
        #expect(verify(signed("{}", header: #"{"alg":"HS256","kid":5}"#), verifier) == .failure(.malformed))
        #expect(verify(signed("{}", header: #"{"alg":"HS256","crit":["b64"],"b64":false}"#), verifier) == .failure(.malformed))
        #expect(verify(signed("{}", header: #"{"alg":"HS256","alg":"HS256"}"#), verifier) == .failure(.malformed))
    }

    static let times: [(String, TokenRefusal?)] = [
        (#""exp":1700000071"#, nil), (#""exp":1700000070"#, .expired), (#""exp":1700000070.5"#, nil), (#""exp":0"#, .expired),
        (#""exp":"x""#, .claims),
        (#""exp":-1"#, .claims), (#""exp":1e300"#, .claims), (#""exp":null"#, .claims), (#""nbf":1700000130"#, nil), (#""nbf":1700000131"#, .early),
        (#""iat":1700000131"#, .early), (#""iat":[]"#, .claims), (#""x":0"#, nil),
    ]

    @Test("times, with half a minute for clocks", arguments: times)
    func time(claim: String, refusal: TokenRefusal?) throws {
        let result = verify(signed(#"{"sub":"ann","iss":"https://id.example.org","aud":"shunt",\#(claim)}"#), try Self.verifier())
        if let refusal { #expect(result == .failure(refusal)) } else { #expect(throws: Never.self) { try result.get() } }
    }

    static let wrongClaims: [(String, TokenRefusal?)] = [
        (#"{"sub":"ann"}"#, nil), (#"{}"#, .claims), (#"{"sub":""}"#, .claims), (#"{"sub":5}"#, .claims), (#"{"sub":"a\n"}"#, .claims),
        (#"{"sub":"ann","tags":"x"}"#, .claims), (#"{"sub":"ann","tags":[1]}"#, .claims), (#"{"sub":"ann","tags":[],"alias":null}"#, .claims),
        (#"{"sub":"ann","acl":null}"#, .claims),
        (#"{"sub":"ann","acl":[]}"#, .claims), (#"{"sub":"ann","acl":{"publish":["a/#/b"]}}"#, .claims),
        (#"{"sub":"ann","acl":{"deny":["a"]}}"#, .claims),
        (#"{"sub":"ann","acl":{"publish":"a"}}"#, .claims), (#"{"sub":"ann","acl":{}}"#, nil), (#"{"sub":"ann","aud":"shunt"}"#, .audience),
        (#"{"sub":"ann","aud":[]}"#, .audience), (#"{"sub":"ann","sub":"bob"}"#, .malformed), (#"{"sub":"ann",}"#, .malformed), ("[]", .malformed),
        (#"{"sub":"ann"} x"#, .malformed), (#"{"sub":"\ud800"}"#, .malformed), (#"{"sub":"\ud83d\ude00"}"#, nil), (#"{'sub':'ann'}"#, .malformed),
    ]

    @Test("claims of wrong types, and texts that are not JSON", arguments: wrongClaims)
    func refusedClaims(claims: String, refusal: TokenRefusal?) throws {
        let verifier = try Self.verifier { ($0.issuer, $0.audience) = ("", "") }
        let result = verify(signed(claims), verifier)
        if let refusal { #expect(result == .failure(refusal)) } else { #expect(throws: Never.self) { try result.get() } }
    }

    @Test("issuer, audience and the claim of the uid")
    func settings() throws {
        #expect(verify(Tokens.hs256, try Self.verifier { $0.issuer = "https://id.example.com" }) == .failure(.issuer))
        #expect(verify(Tokens.hs256, try Self.verifier { $0.audience = "third" }) == .failure(.audience))
        #expect(verify(Tokens.hs256, try Self.verifier { $0.audience = "" }) == .failure(.audience))
        #expect(try verify(Tokens.hs256, Self.verifier { $0.uid = "iss" }).get().uid == "https://id.example.org")
        #expect(verify(Tokens.hs256, try Self.verifier(), now: 1_800_000_000) == .failure(.expired))
    }

    @Test("what is no token", arguments: ["", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30.e30", "secret", "!!.!!.!!", "e31.e30.AA"])
    func malformed(text: String) throws {
        #expect([.failure(.malformed), .failure(.algorithm)].contains(verify(text, try Self.verifier())))
        #expect(bytes(text) { !TokenVerifier.isToken($0) })
    }

    @Test("sizes and depths are bounded")
    func bounds() throws {
        let verifier = try Self.verifier { ($0.issuer, $0.audience) = ("", "") }
        #expect(bytes(Tokens.hs256) { TokenVerifier.isToken($0) })
        #expect(verify(signed(#"{"sub":"ann","x":""# + String(repeating: "x", count: 7000) + #""}"#), verifier) == .failure(.tooLong))
        func nested(_ depth: Int) -> String {
            #"{"sub":"ann","x":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}"
        }
        #expect(throws: Never.self) { try verify(signed(nested(15)), verifier).get() }
        #expect(verify(signed(nested(16)), verifier) == .failure(.malformed))
        #expect(verify(signed(nested(2000)), verifier) == .failure(.malformed))
        let tags = (0..<101).map { "\"t\($0)\"" }.joined(separator: ",")
        #expect(verify(signed(#"{"sub":"ann","tags":[\#(tags)]}"#), verifier) == .failure(.claims))
    }

    static let wrongKeys: [(String, String)] = [
        ("", "there is no key for tokens"), ("{}", "a JWK set without 'keys'"), (#"{"keys":[]}"#, "there is no key for tokens"), ("{", "not JSON"),
        (#"{"keys":[{"kty":"EC","crv":"P-384"}]}"#, "there is no key for tokens"),
        (#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "key 1: a secret of 3 bytes"),
        (#"{"keys":[{"kty":"oct"}]}"#, "key 1: 'k' is missing, or no base64url"), (#"{"keys":[5]}"#, "key 1: no object"),
        (#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#, "key 1: 'x' and 'y' are not 32 bytes each"),
        (#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}"#, "key 1: a key that cannot be read"),
        (#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, "key 1: a key that no token of the kinds that are read is signed with"),
        (Tokens.small, "a key that no token of the kinds that are read is signed with"), (Tokens.privateKey, "PEM with PRIVATE KEY"),
        (Tokens.pem.replacing("MFkw", with: "MFkx"), "a key that cannot be read"),
    ]

    @Test("keys that cannot be read, or that are too weak", arguments: wrongKeys)
    func refusedKeys(text: String, message: String) {
        #expect(throws: ShuntError.self) { try TokenKeys(text, name: "keys") }
        do throws(ShuntError) {
            _ = try TokenKeys(text, name: "keys")
        } catch {
            #expect(error.message == message && error.location == "keys")
        }
    }

    @Test("a point that is not on the curve is no key")
    func wrongPoint() {
        let key = Tokens.rfcKeys[2].replacing(#""y":"x_F"#, with: #""y":"x_G"#)
        #expect(throws: ShuntError.self) { try TokenKeys(key, name: "keys") }
    }
}
