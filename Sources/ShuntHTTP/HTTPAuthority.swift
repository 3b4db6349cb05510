public import ShuntCore

/// Decides who may ask an endpoint.
public protocol HTTPAuthority: Sendable {
    /// Called for each request of a route that is not for everybody, before its body is read.
    /// - Parameters:
    ///   - authorization: the request's `Authorization` field; nil where there is none, or more than one.
    ///   - source: the client's IP address, without a port.
    /// - Returns: the name of the one who asks; nil where nobody has one.
    /// - Throws: `access.credentials` where it is unknown who asks, `access.denied` where that one may not, `access.rate` where too many
    ///   wrong guesses have come from there.
    func admit(authorization: String?, from source: String, to need: HTTPRoute.Need) async throws(ShuntError) -> String?

    /// Whether a request that was admitted would be admitted now. Not counted as a guess; answers at once.
    func stillAdmits(authorization: String?, to need: HTTPRoute.Need) -> Bool
}

extension HTTPResponse {
    /// What HTTP wants beside an error of this kind (RFC 9110 §11.6.1, RFC 6585 §4).
    mutating func addChallenge(for error: ShuntError) {
        switch error.code.status {
        case 401: headers["WWW-Authenticate"] = #"Bearer realm="shunt""#
        case 429: headers["Retry-After"] = "5"
        default: break
        }
    }
}
