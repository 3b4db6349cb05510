import MQTTCodec
import ShuntCore

/// An exchange of AUTH packets that rules decide about (5.0 §4.12).
struct Authentication {
    /// nil: the client is in, and shows anew who it is.
    var greeting: Connect?
    var isAssigned = false
    var method: String
    var steps = 0
    var bytes = 0
    var beganAt: Double
    /// What the client sent last: it is asked about anew if the rules change meanwhile.
    var data: [UInt8] = []

    static let mostSteps = 16
    static let mostBytes = 64 << 10
    /// Seconds.
    static let longest = 30.0
}

extension MQTTFront {
    /// Whether rules have to do with authentication methods.
    var rulesAuthenticate: Bool { router.hooks?.wanted.contains(.auth) ?? false }

    /// A client has begun, by CONNECT, with a method that rules may know.
    func authenticate(_ greeting: Connect, isAssigned: Bool, method: String) {
        let who = credentials(of: greeting, isAssigned: isAssigned)
        if let error = engine.bans.isEmpty ? nil : engine.refusal(of: who) {
            engine.noteRefused(client, "banned", user: who.user)
            return turnAway(ReasonCode(refusingEntry: error.code), error.code, error.message)
        }
        engine.authentications[client] = Authentication(greeting: greeting, isAssigned: isAssigned, method: method, beganAt: router.now)
        step(greeting.properties.authenticationData ?? [])
    }

    /// AUTH of a client that is not in yet, or that shows anew who it is.
    func goOnAuthenticating(_ request: Authenticate) throws(MQTTFault) {
        guard let state = engine.authentications[client] else { throw MQTTFault(.protocolError, "AUTH that goes on with what nobody has begun") }
        guard request.properties.authenticationMethod == state.method else {
            throw MQTTFault(.protocolError, "AUTH with another authentication method than before", "MQTT-4.12.0-5")
        }
        guard request.reason == .continueAuthentication else {
            throw MQTTFault(.protocolError, "AUTH that does not go on with what was begun", "MQTT-4.12.0-3")
        }
        step(request.properties.authenticationData ?? [])
    }

    /// A client that is in shows anew who it is.
    func reauthenticate(_ request: Authenticate, method: String) throws(MQTTFault) {
        guard request.reason == .reAuthenticate else { return try goOnAuthenticating(request) }
        guard engine.authentications[client] == nil else { throw MQTTFault(.protocolError, "a re-authentication within another") }
        engine.authentications[client] = Authentication(method: method, beganAt: router.now)
        step(request.properties.authenticationData ?? [])
    }

    private func step(_ data: [UInt8]) {
        guard var state = engine.authentications[client] else { return }
        state.steps += 1
        state.bytes += data.count
        state.data = data
        engine.authentications[client] = state
        guard state.steps <= Authentication.mostSteps, state.bytes <= Authentication.mostBytes, router.now - state.beganAt <= Authentication.longest
        else { return failed(.notAuthorized, .accessCredentials, "the authentication takes too many steps, bytes or seconds") }
        ask(state)
    }

    private func ask(_ state: Authentication) {
        guard let hooks = router.hooks, let peer = engine.peer(client) else { return decided(.unknown) }
        decided(by: hooks, hooks.onAuth(peer, AuthStep(method: state.method, data: state.data, number: state.steps), now: router.now))
    }

    /// What the rules have sent goes out first, whatever becomes of the client.
    private func decided(by hooks: any RuleHooks, _ outcome: AuthOutcome) {
        engine.sendEmitted(hooks)
        if let error = engine.refusalByRule(of: client) { return failed(.notAuthorized, error.code, error.message) }
        decided(outcome)
    }

    private func decided(_ outcome: AuthOutcome) {
        guard let state = engine.authentications[client], engine.clients[client.slot].state == .open else { return }
        switch outcome {
        case .unknown: failed(.badAuthenticationMethod, .requestUnsupported, "no rule knows this authentication method")
        case .reject(let why): failed(.notAuthorized, .ruleRejected, why)
        case .proceed(let data):
            var properties = Properties.none
            (properties.authenticationMethod, properties.authenticationData) = (state.method, data)
            let bytes = Authenticate(.continueAuthentication, properties: properties).encoded()
            guard bytes.count <= identity?.maximumPacket ?? .max else { return failed(.packetTooLarge, .frameTooLarge, "the next step is too large") }
            answer(bytes)
        case .accept(let proved): accept(proved, state)
        case .waits:
            engine.beginWait(client)
            engine.whenDecided(client) { [client] engine, outcome in
                let front = MQTTFront(engine, client)
                guard case .auth(let decision) = outcome, let hooks = engine.hooks else { return front.ask(state) }
                front.decided(by: hooks, decision)
            }
        }
    }

    private func accept(_ proved: AuthOutcome.Identity, _ state: Authentication) {
        engine.authentications[client] = nil
        var admitted = Admitted(uid: proved.uid)
        (admitted.tags, admitted.alias, admitted.expiresAt) = (proved.tags, proved.alias, proved.terms.expiresAt ?? .infinity)
        guard admitted.expiresAt > router.now else { return failed(.notAuthorized, .accessExpired, "what the client has shown is over") }
        // Its time goes with what the client has shown, which the next authentication replaces: what `on_connect` has said stays.
        var terms = proved.terms
        terms.expiresAt = nil
        guard let greeting = state.greeting else { return renewed(admitted, terms, state) }
        engine.admit(client, as: admitted)
        engine.settle(terms, client)
        if proved.uid == nil { engine.clients[client.slot].needsName = engine.asks(client) }
        if let identity { admit(greeting, identity, isAssigned: state.isAssigned) }
    }

    private func renewed(_ admitted: Admitted, _ terms: ClientTerms, _ state: Authentication) {
        let uid = identity?.access?.admitted.uid
        guard admitted.uid == nil || admitted.uid == uid else {
            return failed(.notAuthorized, .accessCredentials, "the client has shown that it is another user")
        }
        var admitted = admitted
        admitted.uid = uid
        engine.admit(client, as: admitted)
        engine.settle(terms, client)
        engine.checkSubscriptions(of: client)
        var properties = Properties.none
        properties.authenticationMethod = state.method
        answer(Authenticate(properties: properties).encoded())
        router.output.figures.succeeded += 1
    }

    /// The client has not shown who it is: it is not let in, or has to go.
    private func failed(_ reason: ReasonCode, _ code: ErrorCode, _ why: String) {
        engine.authentications[client] = nil
        engine.noteRefused(client, ShuntError(code, why))
        guard engine.clients[client.slot].isAdmitted else { return turnAway(reason, code, why) }
        answer(why) { Disconnect(reason == .badAuthenticationMethod ? .notAuthorized : reason, properties: $0).encoded(.v5) }
        engine.shut(client, code, why)
    }
}

extension LoopEngine {
    /// Whether the client's listener asks who clients are.
    func asks(_ connection: ConnectionID) -> Bool {
        let listener = Int(clients[connection.slot].listener)
        return listener < access.count && access[listener].asks
    }
}
