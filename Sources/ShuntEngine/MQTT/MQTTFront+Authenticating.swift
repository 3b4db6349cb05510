import MQTTCodec
import ShuntCore

/// AUTH: a client shows another token before the one that it came with is over (5.0 §4.12.1).
extension MQTTFront {
    /// The authentication method of clients that renew their tokens: CONNECT and AUTH bear the token as authentication data.
    static let tokenMethod = "OAUTH2-JWT"

    /// - Returns: false where it is decided about the token, and the packet comes again.
    func renew(_ body: Bytes) throws(MQTTFault) -> Bool {
        let request = try Authenticate(decoding: body)
        guard let identity, identity.access?.isRenewable == true || identity.authMethod != nil else {
            throw MQTTFault(.protocolError, "AUTH without an authentication method in CONNECT", "MQTT-4.12.0-6")
        }
        guard request.properties.authenticationMethod == identity.authMethod ?? Self.tokenMethod else {
            throw MQTTFault(.protocolError, "AUTH with another authentication method than CONNECT", "MQTT-4.12.1-1")
        }
        if identity.access?.isRenewable != true, let method = identity.authMethod {
            try reauthenticate(request, method: method)
            return true
        }
        guard request.reason == .reAuthenticate else { throw MQTTFault(.protocolError, "AUTH that goes on with what nobody has begun") }
        switch engine.renew(client, { credentials(of: request, identity) }) {
        case .waits: return false
        case .refused(let error):
            answer(error.message) { Disconnect(error.code == .accessUnavailable ? .serverBusy : .notAuthorized, properties: $0).encoded(.v5) }
            engine.shut(client, error.code, error.message)
        case .open:
            var properties = Properties.none
            properties.authenticationMethod = Self.tokenMethod
            answer(Authenticate(properties: properties).encoded())
            router.output.figures.succeeded += 1
        }
        return true
    }

    private func credentials(of request: Authenticate, _ identity: Client.Identity) -> Credentials {
        let client = engine.clients[client.slot]
        var credentials = Credentials(
            listener: Int(client.listener), .mqtt, address: client.address, clientID: identity.name, user: identity.uid,
            password: request.properties.authenticationData)
        credentials.isToken = true
        credentials.isRenewal = true
        return credentials
    }
}
