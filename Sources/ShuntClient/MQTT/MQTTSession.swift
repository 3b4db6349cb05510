import MQTTCodec
import ShuntCore

/// Decides how a client stays with an MQTT broker: connects, presents itself, subscribes, comes back when the connection is lost, and takes
/// up the session where it was. Sends the application's messages within the window (`MQTTSession+Sending.swift`), and answers those that come
/// (`MQTTSession+Receiving.swift`).
///
/// A value: event in, actions out, in the order in which they are to be carried out. At any time at most one connection attempt or pause is
/// under way.
/// - Parameter Ticket: names the call that waits for a message's outcome.
struct MQTTSession<Ticket> {
    enum Phase: Equatable {
        case idle, pausing, connecting, over
        /// CONNECT has gone out.
        case greeting(since: Duration)
        /// SUBSCRIBE has gone out.
        case subscribing(UInt16, since: Duration)
        case attached(since: Duration)
    }

    struct Moment {
        var now: Duration
        var random: Double
    }

    let settings: Settings
    var phase = Phase.idle
    /// The broker, or the one that it has redirected to.
    private(set) var target: HostPort
    private var redirects = 0
    /// Connections in a row that were lost soon after they began.
    private var shortLives = 0
    private var backoff: Backoff
    private var deadline = Duration.zero
    /// Why the last attempt failed, and at the end why the session is over.
    private(set) var failure = ShuntError(.addressUnavailable, "no server was found")
    private(set) var wasAttached = false
    /// The application's, or the one that the broker has assigned.
    private var clientID: String
    /// Whether the broker's session has the subscription already.
    private var isSubscribed = false
    private(set) var limits = BrokerLimits.none
    var keepAlive: MQTTKeepAlive
    var outgoing: MQTTOutbox<Ticket>
    var incoming = MQTTIncoming()
    private var unsubscribing: (identifier: UInt16, ticket: Ticket)?
    private var watch: AnswerWatch
    var actions: [Action] = []

    init(_ settings: Settings) {
        self.settings = settings
        target = settings.broker
        backoff = settings.backoff
        clientID = settings.connect.clientID
        keepAlive = MQTTKeepAlive(seconds: settings.connect.keepAlive, patience: settings.pingTimeout, now: .zero)
        outgoing = MQTTOutbox(window: settings.window, bytes: settings.windowBytes)
        watch = AnswerWatch(timeout: settings.acknowledgementTimeout)
    }

    var place: String { target.description }

    /// - Parameters:
    ///   - now: since an arbitrary start, never backwards.
    ///   - random: 0 up to 1, for the jitter.
    mutating func handle(_ event: Event, now: Duration, random: Double) -> [Action] {
        let moment = Moment(now: now, random: random)
        switch (event, phase) {
        case (_, .over):
            if case .unsubscribe(let ticket) = event { actions.append(.complete(ticket, .failed(.sessionOver))) }
        case (.start, .idle):
            deadline = now + settings.patience
            connect()
        case (.pauseOver, .pausing): connect()
        case (.connected, .connecting): present(moment)
        case (.unreachable(let error), .connecting): failed(error, moment)
        case (.lost(let error), _): lost(error, moment)
        case (.check, _): check(moment)
        case (.taken(let receipts), _): taken(receipts, now)
        case (.written(let count), _):
            written(count)
            sendQueued(now)
        case (.paused(let isPaused), _): keepAlive.paused(isPaused, at: now)
        case (.unsubscribe(let ticket), _): unsubscribe(ticket, now)
        case (.close(let error), _): end(error, now)
        default: break
        }
        return takeActions()
    }

    mutating func takeActions() -> [Action] {
        defer { actions = [] }
        return actions
    }

    mutating func send(_ packet: [UInt8], _ now: Duration) {
        keepAlive.sent(at: now)
        actions.append(.send(packet))
    }

    // MARK: Connecting

    private mutating func connect() {
        phase = .connecting
        actions.append(.connect(target))
    }

    private mutating func pause(_ moment: Moment) {
        let pause = backoff.next(random: moment.random)
        if moment.now + pause >= deadline {
            guard wasAttached, !settings.endsWithPatience else { return end(failure, moment.now) }
            giveUpWaiting(failure)
            deadline = moment.now + settings.returnPatience
        }
        phase = .pausing
        actions.append(.pause(pause))
    }

    private mutating func failed(_ error: ShuntError, _ moment: Moment) {
        failure = error
        target = settings.broker
        redirects = 0
        pause(moment)
    }

    private mutating func present(_ moment: Moment) {
        phase = .greeting(since: moment.now)
        var connect = settings.connect
        connect.clientID = clientID
        // Later the session goes on, if it may outlive a connection at all.
        if wasAttached, connect.version.hasProperties { connect.isClean = false }
        keepAlive = MQTTKeepAlive(seconds: connect.keepAlive, patience: settings.pingTimeout, now: moment.now)
        outgoing.connectionBegins()
        incoming.connectionBegins()
        send(connect.encoded(), moment.now)
    }

    /// CONNACK has come.
    mutating func answered(_ answer: ConnectAcknowledgement, _ moment: Moment) {
        guard !answer.reason.isError else { return refused(answer.reason, answer.properties, "the connection", moment) }
        limits = BrokerLimits(answer.properties)
        if let assigned = answer.properties.assignedClientIdentifier { clientID = assigned }
        if let seconds = answer.properties.serverKeepAlive {
            keepAlive = MQTTKeepAlive(seconds: seconds, patience: settings.pingTimeout, now: moment.now)
        }
        if !answer.hasSession {
            incoming.forget()
            isSubscribed = false
            if wasAttached { forgetPublished() }
        }
        guard var subscription = settings.subscription, !isSubscribed else { return attached(moment) }
        if let fault = fault(of: subscription) { return end(fault, moment.now) }
        subscription.identifier = outgoing.takeIdentifier()
        phase = .subscribing(subscription.identifier, since: moment.now)
        send(subscription.encoded(settings.version), moment.now)
    }

    /// Why the broker would not take the subscription, by what it says of itself; nil if it would.
    private func fault(of subscription: Subscribe) -> ShuntError? {
        func unsupported(_ reason: ReasonCode) -> ShuntError { Refusal(reason).error("the subscription", at: place) }
        for filter in subscription.filters {
            let isShared = filter.filter.hasPrefix("$share/")
            if isShared, !limits.hasSharedSubscriptions { return unsupported(.sharedSubscriptionsNotSupported) }
            if TopicFilter.isPattern(filter.filter), !limits.hasWildcards { return unsupported(.wildcardSubscriptionsNotSupported) }
        }
        guard subscription.properties.subscriptionIdentifiers.isEmpty || limits.hasSubscriptionIdentifiers else {
            return unsupported(.subscriptionIdentifiersNotSupported)
        }
        return nil
    }

    private mutating func attached(_ moment: Moment) {
        phase = .attached(since: moment.now)
        redirects = 0
        actions.append(.report(.attached(target, isBack: wasAttached)))
        wasAttached = true
        publishAgain(moment.now)
        sendQueued(moment.now)
    }

    /// SUBACK has come.
    mutating func answered(_ answer: SubscribeAnswer, _ moment: Moment) throws(MQTTFault) {
        guard case .subscribing(answer.identifier, _) = phase else { return }
        outgoing.release(answer.identifier)
        guard answer.reasons.count == settings.subscription?.filters.count else {
            throw MQTTFault(.protocolError, "a SUBACK for \(answer.reasons.count) topic filters", "MQTT-3.8.4-6")
        }
        if let reason = answer.reasons.first(where: \.isError) {
            return refused(reason, answer.properties, "the subscription", moment)
        }
        isSubscribed = true
        attached(moment)
    }

    /// UNSUBACK has come.
    mutating func unsubscribed(_ answer: SubscribeAnswer) {
        guard let request = unsubscribing, request.identifier == answer.identifier else { return }
        outgoing.release(answer.identifier)
        unsubscribing = nil
        actions.append(.complete(request.ticket, .acknowledged(.success, nil)))
    }

    private mutating func unsubscribe(_ ticket: Ticket, _ now: Duration) {
        guard case .attached = phase, unsubscribing == nil, let filters = settings.subscription?.filters else {
            return actions.append(.complete(ticket, .failed(.sessionOver)))
        }
        let request = Unsubscribe(outgoing.takeIdentifier(), filters.map(\.filter))
        unsubscribing = (request.identifier, ticket)
        send(request.encoded(settings.version), now)
    }

    // MARK: Refusals, redirects

    /// - Parameter what: what was refused.
    private mutating func refused(_ reason: ReasonCode, _ properties: Properties, _ what: String, _ moment: Moment) {
        if let address = redirection(in: properties) { return redirect(to: address, moment) }
        let error = Refusal(reason, properties.reasonString).error(what, at: place)
        if reason.isPermanent { return end(error, moment.now) }
        hangUp()
        failed(error, moment)
    }

    /// Where a broker sends the client: its server reference (5.0 §4.13), or Shunt's user property for a chat that is elsewhere.
    private func redirection(in properties: Properties) -> HostPort? {
        let reference = properties.serverReference ?? properties.userProperties.first { $0.name == "redirect" }?.value
        return reference.flatMap { text in
            text.split(separator: " ").first.flatMap { HostPort(String($0), defaultPort: settings.broker.port) }
        }
    }

    private mutating func redirect(to address: HostPort, _ moment: Moment) {
        if wasAttached, case .attached = phase { deadline = moment.now + settings.returnPatience }
        hangUp()
        detach()
        redirects += 1
        guard redirects <= settings.redirects else {
            return failed(
                ShuntError(.addressUnavailable, "redirected \(redirects) times, the last time to \(address)", at: place), moment)
        }
        actions.append(.report(.redirected(from: target, to: address)))
        target = address
        if redirects == 1 { return connect() }
        phase = .pausing
        actions.append(.pause(backoff.next(random: moment.random)))
    }

    /// The broker has said DISCONNECT.
    mutating func dismissed(_ packet: Disconnect, _ moment: Moment) {
        if let address = redirection(in: packet.properties) { return redirect(to: address, moment) }
        let error = Refusal(packet.reason, packet.properties.reasonString).error("the connection", at: place)
        switch packet.reason {
        // Who comes back now ends the other one, which comes back too.
        case .sessionTakenOver: end(ShuntError(.sessionReplaced, packet.reason.text, at: place, help: packet.reason.help), moment.now)
        case .notAuthorized, .banned: end(error, moment.now)
        default:
            hangUp()
            lost(error, moment)
        }
    }

    // MARK: Losing the connection

    /// The broker breaks the protocol.
    mutating func broken(_ fault: MQTTFault, _ moment: Moment) {
        if case .greeting = phase {
            hangUp()
            return failed(.noMQTT(target), moment)
        }
        let code = fault.code
        actions.append(.hangUp(saying: settings.version.hasProperties ? Disconnect(code).encoded(.v5) : nil))
        lost(ShuntError(.connectionLost, "the broker breaks the protocol: \(fault.message)", at: place), moment)
    }

    private mutating func lost(_ error: ShuntError, _ moment: Moment) {
        switch phase {
        case .greeting:
            let help = "is that an MQTT listener, does it want TLS (--tls), and does it speak this version of MQTT?"
            let hint = error.code == .connectionLost && error.help == nil
            failed(ShuntError(error.code, error.message, at: error.location, help: hint ? help : error.help), moment)
        case .subscribing:
            detach()
            failed(error, moment)
        case .attached(let since):
            detach()
            let error = lost(error, after: moment.now - since)
            failure = error
            deadline = moment.now + settings.returnPatience
            actions.append(.report(.lost(target, error)))
            // A pause first: all the broker's clients have lost it at the same moment.
            pause(moment)
        case .idle, .pausing, .connecting, .over: break
        }
    }

    /// Connections that end again and again soon after they began, without a word, are as a rule those of two clients with one id.
    private mutating func lost(_ error: ShuntError, after lifetime: Duration) -> ShuntError {
        guard lifetime < .seconds(1) else {
            backoff.reset()
            shortLives = 0
            return error
        }
        shortLives += 1
        guard shortLives > 1, error.code == .connectionLost else { return error }
        return ShuntError(error.code, error.message + ". Does another client use the id '\(clientID)'?", at: error.location, help: error.help)
    }

    private mutating func hangUp() { actions.append(.hangUp(saying: nil)) }

    private mutating func detach() {
        if let request = unsubscribing {
            outgoing.release(request.identifier)
            actions.append(.complete(request.ticket, .failed(.sessionOver)))
        }
        if case .subscribing(let identifier, _) = phase { outgoing.release(identifier) }
        unsubscribing = nil
        forgetUnwritten()
    }

    private mutating func check(_ moment: Moment) {
        switch phase {
        case .greeting(let since) where moment.now - since >= settings.replyTimeout,
            .subscribing(_, let since) where moment.now - since >= settings.replyTimeout:
            hangUp()
            lost(ShuntError(.connectionLost, "no answer in time", at: place), moment)
        case .attached, .subscribing:
            guard !watch.isSilent(oldest: outgoing.oldest, at: moment.now) else {
                hangUp()
                return lost(ShuntError(.connectionLost, "the broker answers nothing", at: place), moment)
            }
            switch keepAlive.check(at: moment.now) {
            case .wait: break
            case .ping: send(Ping.request, moment.now)
            case .close:
                hangUp()
                lost(ShuntError(.connectionLost, "the broker did not answer a PINGREQ", at: place), moment)
            }
        case .greeting, .idle, .pausing, .connecting, .over: break
        }
    }

    private mutating func end(_ error: ShuntError?, _ now: Duration) {
        var farewell: [UInt8]?
        switch phase {
        case .subscribing, .attached:
            var packet = Disconnect()
            if settings.forgetsSession, settings.connect.properties.sessionExpiry ?? 0 > 0 { packet.properties.sessionExpiry = 0 }
            farewell = packet.encoded(settings.version)
        case .idle, .pausing, .connecting, .greeting, .over: break
        }
        detach()
        phase = .over
        failure = error ?? SendFailure.sessionOver.error
        giveUpWaiting(error ?? ShuntError(.connectionLost, "the session was closed"))
        actions += [.hangUp(saying: farewell), .end(error)]
    }
}

extension ShuntError {
    static func noMQTT(_ address: HostPort) -> ShuntError {
        ShuntError(
            .addressUnavailable, "what answers there does not speak MQTT", at: address.description,
            help: "give an MQTT listener: its usual port is 1883")
    }
}

extension MQTTSession: Sendable where Ticket: Sendable {}
