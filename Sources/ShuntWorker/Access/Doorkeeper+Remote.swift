import ShuntAccess
import ShuntCore
import ShuntEngine

/// Checks whose answer may come later, from elsewhere.
extension Doorkeeper {
    func check(_ credentials: Credentials, token: [UInt8], _ tokens: TokenSource, _ decided: @escaping @Sendable (Admission) -> Void) {
        switch tokens {
        case .file(let verifier):
            do throws(TokenRefusal) {
                decided(.admitted(Admitted(try verifier.verify(token, now: Worker.now))))
            } catch {
                decided(refuse(credentials, .token, error.rawValue))
            }
        case .address(_, let settings):
            guard let keys = remote.keys(of: credentials.listener) else { return decided(unavailable(credentials, .keys, "no keys for tokens")) }
            keys.verify(token, settings) { [self] outcome in
                switch outcome {
                case .claims(let claims): decided(.admitted(Admitted(claims)))
                case .refused(let why): decided(refuse(credentials, .token, why.rawValue))
                case .unavailable: decided(unavailable(credentials, .keys, "no keys for tokens"))
                }
            }
        }
    }

    /// Asks the listener's HTTP service.
    func ask(_ credentials: Credentials, _ certificate: ClientCertificate?, _ door: Door, _ decided: @escaping @Sendable (Admission) -> Void) {
        guard let service = remote.service(of: credentials.listener) else {
            return decided(unavailable(credentials, .unavailable, "no service"))
        }
        var question = ServiceQuestion()
        (question.clientID, question.user, question.password) = (credentials.clientID, credentials.user, credentials.password)
        (question.address, question.listener) = (credentials.address.host, door.name)
        question.protocolName = credentials.protocolName.rawValue
        let commonName = certificate.flatMap { $0.commonName.isEmpty ? nil : $0.commonName }
        question.certificate = commonName
        service.ask(question) { [self] verdict in
            switch verdict {
            case .answer(.allow(var admitted)):
                guard admitted.expiresAt > Worker.now else { return decided(refuse(credentials, .http, "the answer has expired")) }
                admitted.certificate = commonName
                decided(.admitted(admitted))
            case .answer(.deny): decided(refuse(credentials, .http, "the service denies it"))
            case .answer(.ignore): decided(unknown(door))
            case .busy: decided(unavailable(credentials, .busy, "too many clients wait for the service"))
            case .failed where service.settings.http.onError == .ignore: decided(unknown(door))
            case .failed: decided(unavailable(credentials, .unavailable, "the service gives no answer"))
            }
        }
    }

    /// What comes next decides.
    func unknown(_ door: Door) -> Admission {
        if !door.allowsAnonymous { note(.anonymous) }
        return .unknown(mayEnter: door.allowsAnonymous)
    }

    /// It cannot be decided, which is no failure of the client's.
    private func unavailable(_ credentials: Credentials, _ refusal: Refusal, _ why: String) -> Admission {
        note(refusal, credentials)
        log(credentials, why)
        return .refused(ShuntError(.accessUnavailable, "it cannot be decided now who this client is", help: "come again in a moment"))
    }
}

extension Admitted {
    /// A client that has shown a token.
    init(_ claims: TokenClaims) {
        self.init(uid: claims.uid)
        if !claims.tags.isEmpty { tags = claims.tags }
        if !claims.alias.isEmpty { alias = claims.alias }
        acl = claims.acl
        expiresAt = claims.expires ?? .infinity
    }
}

extension TokenVerifier {
    func verify(_ token: [UInt8], now: Double) throws(TokenRefusal) -> TokenClaims {
        let claims: Result<TokenClaims, TokenRefusal> = token.withUnsafeBytes { bytes in
            do throws(TokenRefusal) { return .success(try verify(bytes, now: now)) } catch { return .failure(error) }
        }
        return try claims.get()
    }
}
