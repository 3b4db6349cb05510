import ShuntCore

/// Routes topic messages of one loop: through the rules that want them, to a member of each group that has subscribed the topic.
///
/// Knows no wire: a front has turned bytes into a `Publication`, and makes an answer of the outcome.
public final class TopicRouter {
    let output: LoopOutput
    let encoder: WireEncoder
    var index: SubscriptionIndex
    /// The index's.
    private let counters: TopicCounters
    var limits: RoutingLimits
    /// nil where no rules run, and nobody follows messages.
    private(set) var hooks: (any RuleHooks)?
    /// Where their `answer` wants its message; nil where it is not to be asked.
    private var asked: UnsafeMutablePointer<MessageView>?
    /// The rules alone.
    var rules: (any RuleHooks)?
    /// Tells of messages that operators follow; nil where nobody does.
    private(set) var tracer: MessageTracer?
    /// The client that was denied something last.
    var asking = ConnectionID.none
    /// Who clients of this loop are, for the tracer.
    var peerOf: (_ id: ConnectionID, _ isWhole: Bool) -> Peer? = { _, _ in nil }
    /// Seconds since 1970, of the event that is being handled.
    var now: Double = 0
    /// Whether any rule has `on_deliver`.
    private(set) var looksAtDeliveries = false
    /// Whether any rule has `on_select`, and `on_acked`.
    private(set) var asksGroups = false
    private(set) var looksAtAcks = false
    /// The rules have taken long for what is being read.
    private(set) var takesLong = false
    /// What rules have made of messages besides topic messages: the engine sends it.
    var others: [OwnedMessage] = []
    /// Messages that went out as broadcasts and into chats alone, until it is known whether anybody has got them.
    var fates = MessageFates()
    /// Messages for `rules.dead_letter`, until the turn ends.
    var deadLetters = DeadLetters()
    /// The client that is being read from, as subscriptions name it: its session's or its connection's.
    var publisher = ConnectionID.none
    /// What the sender of the message that is handled may do, where not everything; and how often rules have wanted more of that message.
    var permissions: (any Permissions)?
    var deniedOfMessage = 0
    /// Something may be sent of the message that is handled: itself, or what rules have made of it. Whether anybody gets that is another question.
    var isSomethingLeft = false
    /// Something delayed was denied: the rules took room for it.
    var deniedDelay = false
    /// What rules made of the message that is being handled has come over too many topics, and was told as that.
    var hasEndedAtHops = false
    /// The kind and the topic that it came with, and all of it where something of it goes out later.
    var came: (kind: MessageKind, topic: Bytes) = (.topic, .none)
    var origin: MessageOrigin?
    /// It is a dead letter. What is delivered without `beginMessage` says so itself.
    var isDead = false
    /// What a client was denied last, and by what.
    private(set) var deniedExample = ""
    private var deniedAt = -Double.infinity
    /// The retained messages that are at home on this loop.
    let retained: RetainedMessages
    /// Retained messages that clients wait for.
    var retainedAnswers: [RetainedAnswer] = []
    /// How many of them in a row wait for clients that do not keep up. Where all do, the next tick looks again.
    var retainedIdle = 0
    /// Looks at retained messages that are left to this turn.
    var retainedLooks = TopicRouter.retainedLooks
    /// The next of them that gets some.
    var retainedAt = 0
    /// Scratch for the chosen members of a message.
    var recipients: ContiguousArray<Recipient> = []
    /// The groups that they were chosen of; nil: all that have subscribed the topic.
    var chosenGroups: Set<String>?
    /// Where the last message went that a rule has sent to another topic.
    var lastMadeRoute = RouteReference.none
    /// What rules have made of the message that is being handled, and other rules are still to see.
    let kept = MadeBytes()
    /// Messages that rules have made of the one that is being handled.
    var madeOfMessage = 0
    /// What rules have made of that message first that nobody has got.
    var leftover: OwnedMessage?
    /// The event's made bytes before that message.
    var madeBefore = 0
    private var lastID: UInt64 = 0

    init(_ output: LoopOutput, _ index: SubscriptionIndex, limits: RoutingLimits, encoder: WireEncoder, hooks: (any RuleHooks)?) {
        self.output = output
        self.index = index
        counters = index.counters
        self.limits = limits
        self.encoder = encoder
        retained = RetainedMessages(limits.mqtt)
        setHooks(hooks)
    }

    /// Other rules apply from the next message on.
    func setHooks(_ new: (any RuleHooks)?) {
        rules = new
        hooks = tracer.map { TracingHooks(new, $0) } ?? new
        let wanted = new?.wanted ?? []
        looksAtDeliveries = wanted.contains(.deliver)
        asksGroups = wanted.contains(.select)
        // There is more to do than to ask where rules choose members.
        asked = asksGroups ? nil : hooks?.message
        looksAtAcks = wanted.contains(.acked)
        index.forgetRoutes()
    }

    /// From now on messages are followed, or no longer.
    func setTracer(_ new: MessageTracer?, from peerOf: @escaping (ConnectionID, Bool) -> Peer?) {
        (tracer, self.peerOf) = (new, peerOf)
        setHooks(rules)
    }

    /// Counts what a client may not do. Once a second it is noted what that was, for the log.
    @inline(never)
    func denied(_ action: AccessAction, _ subject: Bytes, group: Bytes?, _ permissions: any Permissions) {
        output.figures.denied += 1
        if let tracer, action == .publish { tellDenied(subject, permissions, tracer) }
        guard abs(now - deniedAt) >= 1 else { return }
        deniedAt = now
        let name = String(decoding: subject.prefix(200), as: UTF8.self)
        let place = permissions.place(of: action, subject, group: group)
        deniedExample = "\(action) \(name.debugDescription) by \(place.isEmpty ? "the rule's grants" : place)"
    }

    // MARK: Publishing

    /// The route of a message's topic; none where that is no topic.
    /// - Parameter last: the route of the client's last message, which is mostly the same.
    @inline(__always)
    func route(of topic: Bytes, last: RouteReference) -> RouteReference {
        index.route(of: topic, last: last) { hooks?.selection(for: .topic, topic: $0) ?? .none }
    }

    /// What `relay` has done for a message.
    enum Relayed {
        /// All recipients have it, at least one.
        case all
        /// Its recipients have been selected, and those before this place have it; the others need more than its bytes.
        case before(Int)
        /// Nothing: rules want to see it first.
        case none
    }

    /// The rules that want the messages of a topic.
    /// - Parameter hooks: the loop's rules, fetched once an event.
    @inline(__always)
    func rules(of route: RouteReference, _ hooks: (any RuleHooks)?) -> RuleSelection { hooks == nil ? .none : index.rules(of: route) }

    /// Relays a message as it came, where that is all that its recipients need: most messages are nothing but their bytes, and need not even be
    /// looked into. No rule wants to see it, or all have let it pass.
    /// - Parameter isPlain: it has QoS 0 and is not retained.
    /// - Returns: never `none`.
    @inline(__always)
    func relay(_ stretch: Stretch, key: Bytes?, isPlain: Bool, _ route: RouteReference) -> Relayed {
        index.select(route, key: key, into: &recipients)
        let count = recipients.count
        counters.count(route, bytes: Int(stretch.count), recipients: count)
        guard count > 0, !looksAtDeliveries, !stretch.isNone else { return .before(0) }
        for place in 0..<count {
            let recipient = recipients[place]
            guard recipient.terms.takes(stretch.form, isPlain: isPlain) else { return .before(place) }
            let connection = recipient.connection
            output.actions.append(connection.loop == output.loop ? .deliver(connection, stretch) : .forward(connection, stretch))
        }
        return .all
    }

    /// Asks the rules that want a message about it. They let most pass, which is then relayed.
    /// - Returns: never `passesLate`.
    @inline(__always)
    func ask(
        _ rules: RuleSelection, about message: @autoclosure () -> MessageView, _ route: RouteReference, _ hooks: (any RuleHooks)?
    ) -> RuleAnswer {
        // There is less to do where they have decided for all messages of the topic.
        guard let asked, !index.hasStanding || index.standing(of: route) == nil else { return .notAsked }
        isDead = false
        asked.show(message(), room: limits.fanout)
        // Bound to no name, which would count them once more for each message.
        let answer = hooks.unsafelyUnwrapped.answer(selection: rules, now: now)
        if case .passes = answer { return answer }
        takesLong = hooks.unsafelyUnwrapped.takesLong
        if case .passesLate = answer { return .passes }
        return answer
    }

    /// Routes a client's message that has not been relayed, or not to all.
    /// - Parameter answer: what the rules have said of it.
    @inline(never)
    func publish(
        _ publication: Publication, _ route: RouteReference, _ hooks: (any RuleHooks)?, after relayed: Relayed, _ answer: RuleAnswer
    ) -> PublishOutcome {
        if case .notAsked = answer { isDead = false }
        return switch relayed {
        case .all: .delivered(recipients.count)
        case .before(let place): conclude(.delivered(deliver(publication, from: place)), publication, isNew: true, isAsked: answer == .passes)
        case .none: publish(publication, route, hooks, answer)
        }
    }

    /// Counts a message at the topic that it is published to, or that a rule sends it to; `deliver` counts its recipients.
    @inline(__always)
    func count(_ message: MessageView, as stretch: Stretch = .none, _ route: RouteReference) {
        let bytes = stretch.isNone ? message.topic.count + (message.key?.count ?? 0) + message.payload.count : Int(stretch.count)
        counters.count(route, bytes: bytes, recipients: 0)
    }

    /// Routes a message, which is counted at its topic.
    /// - Parameter hooks: the loop's rules, fetched once an event.
    @inline(__always)
    func publish(
        _ publication: Publication, _ route: RouteReference, _ hooks: (any RuleHooks)?, _ answer: RuleAnswer = .notAsked
    ) -> PublishOutcome {
        count(publication.message, as: publication.stretch, route)
        let rules = index.rules(of: route)
        guard !rules.isEmpty, hooks != nil else {
            isDead = false
            return conclude(.delivered(deliver(publication, route)), publication, isNew: true)
        }
        // Bound to no name, which would count them once more for each message.
        return publish(publication, route, rules, hooks.unsafelyUnwrapped, answer)
    }

    @inline(never)
    private func publish(
        _ publication: Publication, _ route: RouteReference, _ rules: RuleSelection, _ hooks: any RuleHooks, _ answer: RuleAnswer
    ) -> PublishOutcome {
        if tracer != nil { return publishFollowed(publication, route, rules, hooks) }
        return publishAsked(publication, route, rules, hooks, answer)
    }

    /// Publishes a message while operators follow some. It is a function of its own: without followers a message costs one branch more.
    @inline(never)
    private func publishFollowed(
        _ publication: Publication, _ route: RouteReference, _ rules: RuleSelection, _ hooks: any RuleHooks
    ) -> PublishOutcome {
        tracer?.begin(publication.message, from: peerOf, now: now)
        let outcome = publishAsked(publication, route, rules, hooks, .notAsked)
        tracer?.end(outcome, others)
        return outcome
    }

    @inline(__always)
    private func publishAsked(
        _ publication: Publication, _ route: RouteReference, _ rules: RuleSelection, _ hooks: any RuleHooks, _ answer: RuleAnswer
    ) -> PublishOutcome {
        beginMessage(publication.message, isAsked: answer != .notAsked)
        defer { endMessage() }
        let outcome: PublishOutcome
        if case .decided = answer {
            outcome = carryOut(hooks.decided, publication, route, excluded: .none, hooks)
        } else if let standing = index.standing(of: route) {
            begin(hooks)
            outcome = apply(standing, publication, route, hooks)
        } else {
            begin(hooks)
            let decided = ask(hooks, rules, about: publication.message)
            if decided.isPlainPass { return conclude(.delivered(deliver(publication, route)), publication) }
            outcome = carryOut(decided, publication, route, excluded: .none, hooks)
        }
        return conclude(afterRights(outcome), publication)
    }

    /// A message is refused if rights let nothing of it be sent.
    @inline(__always)
    func afterRights(_ outcome: PublishOutcome) -> PublishOutcome {
        guard deniedOfMessage > 0, !isSomethingLeft, case .delivered(0) = outcome else { return outcome }
        return .rejected(why: Self.nothingLeft)
    }

    /// The reason of a refusal: rules have made others of a message, and rights let none of these be sent.
    static let nothingLeft = "the sender may not send what a rule makes of the message"

    /// Rules are to see something that a client sent. All calls that it causes have a budget together; those of one read have a limit too,
    /// after which the rest of the read waits.
    @inline(__always)
    func begin(_ hooks: any RuleHooks) {
        hooks.beginTurn()
        takesLong = hooks.takesLong
    }

    /// A client's bytes have come.
    @inline(__always)
    func beginRead() {
        takesLong = false
        publisher = .none
        hooks?.beginRead()
    }

    /// Publishes something that is not what is being read from a client, or is not that client's.
    /// - Parameters:
    ///   - sender: who does not get it where it wants none of its own messages, as subscriptions name it.
    ///   - rights: what may be sent; nil: everything.
    func publish(by sender: ConnectionID, _ rights: (any Permissions)?, _ body: () -> Void) {
        let before = (permissions, publisher, index.blocker, isDead)
        (permissions, publisher, isDead) = (rights, sender, false)
        body()
        (permissions, publisher, index.blocker, isDead) = before
    }

    /// - Parameter isNew: no rules have seen the message, or all have let it pass.
    @inline(__always)
    func conclude(_ outcome: PublishOutcome, _ publication: Publication, isNew: Bool = false, isAsked: Bool = false) -> PublishOutcome {
        if case .delivered(let count) = outcome, count > 0 { return outcome }
        if isNew { beginMessage(publication.message, isAsked: isAsked) }
        return note(outcome, publication)
    }

    /// Counts what did not go to anybody, and tells the rules.
    @inline(never)
    private func note(_ outcome: PublishOutcome, _ publication: Publication) -> PublishOutcome {
        switch outcome {
        case .delivered, .nobody, .elsewhere:
            guard others.isEmpty else {
                followOthers(of: publication.message)
                return .elsewhere
            }
            nobody(publication.message)
            return .nobody
        case .dropped: output.figures.dropped += 1
        case .rejected: output.figures.rejected += 1
        }
        return outcome
    }

    /// Ids of messages that no exchange client has sent: seconds, a flag that no client's generator makes (exchange protocol §7), and a
    /// counter.
    func makeID() -> Int64 {
        lastID &+= 1
        return Int64(bitPattern: UInt64(max(0, now)) << 32 | 63 << 16 | lastID & 0xFFFF)
    }

    // MARK: Delivering

    /// Hands a message to one member of each group of a route.
    /// - Returns: how many got it.
    @inline(__always)
    func deliver(_ publication: Publication, _ route: RouteReference) -> Int {
        if asksGroups { choose(publication.message, route) } else { index.select(route, key: publication.message.key, into: &recipients) }
        counters.countRecipients(route, recipients.count)
        return relay(publication)
    }

    /// The same for a message that no client has sent as it is. The caller counts it, if its topic has not counted it yet.
    @inline(never)
    func deliverMade(_ message: MessageView, _ route: RouteReference) -> Int {
        if asksGroups { choose(message, route) } else { index.select(route, key: message.key, into: &recipients) }
        counters.countRecipients(route, recipients.count)
        let publication = Publication(message)
        // In the form of the first recipient, which mostly is the form of all.
        guard let first = recipients.first?.terms, first.takes(first.form, isPlain: publication.isPlain) else { return relay(publication) }
        return relay(Publication(message, as: encoder.encode(message, first.form) ?? .none))
    }

    /// Hands a message to clients that nobody has to choose: devices, members of a chat.
    func deliver(_ message: MessageView, to chosen: [Recipient]) {
        isDead = false
        recipients.removeAll(keepingCapacity: true)
        recipients.append(contentsOf: chosen)
        _ = relay(Publication(message))
    }

    func deliver(_ message: MessageView, to recipient: Recipient) { deliver(message, to: [recipient]) }

    /// A message that a member of these groups had, who has left, goes to another member.
    func deliver(_ message: MessageView, _ route: RouteReference, toGroups names: Set<String>, isDead: Bool) {
        self.isDead = isDead
        chosenGroups = names
        defer { chosenGroups = nil }
        if asksGroups { choose(message, route, groups: names) } else { index.select(route, key: message.key, groups: names, into: &recipients) }
        counters.countRecipients(route, recipients.count)
        _ = conclude(.delivered(relay(Publication(message))), Publication(message), isNew: true, isAsked: true)
    }

    /// Hands the bytes that there are to those who have been selected.
    @inline(__always)
    private func relay(_ publication: Publication) -> Int {
        let (stretch, isPlain) = (publication.stretch, publication.isPlain)
        if looksAtDeliveries || stretch.isNone || publication.message.isRetained { return deliver(publication, from: 0) }
        let count = recipients.count
        for place in 0..<count {
            let recipient = recipients[place]
            guard recipient.terms.takes(stretch.form, isPlain: isPlain) else { return deliver(publication, from: place) }
            let connection = recipient.connection
            output.actions.append(connection.loop == output.loop ? .deliver(connection, stretch) : .forward(connection, stretch))
        }
        return count
    }

    /// The recipients from a place on, where some get another form than others, their sessions are asked, or rules look at each delivery: those
    /// to other loops' clients are offered there.
    /// - Returns: how many of all got it.
    @inline(never)
    private func deliver(_ publication: Publication, from first: Int) -> Int {
        if publication.message.isRetained { retain(publication.message) }
        var forms = EncodedForms(publication)
        let chosen = recipients.count
        var (count, place) = (first, first)
        while place < recipients.count {
            defer { place += 1 }
            let connection = recipients[place].connection
            var terms = recipients[place].terms
            if terms.isNoLocal, connection == publisher {
                // Another of the client's filters may take the message all the same.
                guard let other = index.localTerms(of: connection, for: publication.message.topic) else { continue }
                terms = other
            }
            let (form, handOver) =
                terms.form == .exchange ? (.exchange, .none) : handOver(publication.message, terms, isLasting: connection.isSession)
            let stretch = forms.stretch(form, encoder)
            guard !stretch.isNone else {
                if place < chosen, let other = standIn(at: place, for: publication.message) {
                    recipients.append(other)
                } else {
                    output.figures.inexpressible += 1
                }
                continue
            }
            count += 1
            if connection.loop != output.loop {
                output.actions.append(handOver.isNone ? .forward(connection, stretch) : .forwardHandOver(connection, stretch, handOver))
            } else if !handOver.isNone {
                output.actions.append(.hand(connection, stretch, handOver))
            } else {
                output.actions.append(looksAtDeliveries ? .offer(connection, stretch) : .deliver(connection, stretch))
            }
        }
        return count
    }

    /// How a client of MQTT gets a message.
    /// - Parameter isLasting: its session outlives its connection.
    private func handOver(_ message: MessageView, _ terms: DeliveryTerms, isLasting: Bool) -> (WireForm, HandOver) {
        let qos = min(message.qos, terms.qos)
        let isRetained = message.isRetained && terms.isRetainAsPublished
        guard qos > .atMostOnce || isRetained || terms.asksSession else { return (terms.form, .none) }
        let form = qos > .atMostOnce ? terms.form.numbered : terms.form
        // 3.1.1 has no place for the expiry, which the session has to know, and for properties, which a client may want that comes back with 5.0.
        let handOver = HandOver(qos: qos, isRetained: isRetained, isShared: terms.isShared, isDead: isDead)
        guard qos > .atMostOnce, message.expiry != MessageView.noExpiry || isLasting && !message.properties.isEmpty else { return (form, handOver) }
        return (.mqtt5Numbered, handOver)
    }
}
