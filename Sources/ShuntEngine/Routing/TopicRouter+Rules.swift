import ShuntCore

/// Messages that rules look at, and what they make of them.
extension TopicRouter {
    /// A message that a rule made and that has yet to go out.
    private struct Passage {
        var publication: Publication
        var route: RouteReference
        /// The rules that have already sent it on.
        var excluded: RuleSelection
        /// The rules that do not see it under its topic.
        var seenBy = RuleSelection.none
        /// The rule that sent it to another topic, whose rules have not seen it yet.
        var forwardedBy: UInt8?
    }

    /// Does what a rule has decided for all messages of the topic.
    func apply(
        _ standing: StandingVerdict, _ publication: Publication, _ route: RouteReference, _ hooks: any RuleHooks
    ) -> PublishOutcome {
        hooks.decided(by: standing)
        switch standing.decision {
        case .drop: return .dropped
        case .reject(let why): return .rejected(why: why)
        case .send: break
        }
        let own = RuleSelection(mask: 1 << UInt64(standing.rule))
        var count = 0
        for at in standing.targets.indices {
            guard let topic = standing.targets[at].topic else {
                isSomethingLeft = true
                count += deliver(publication, route)
                continue
            }
            guard topic.count <= limits.topic, mayMakeAnother() else {
                output.figures.undelivered += 1
                continue
            }
            count += topic.withUnsafeBytes { topic in
                guard maySend(to: topic, standing.rule) else { return 0 }
                isSomethingLeft = true
                let target = self.route(of: topic, last: standing.targets[at].route)
                guard !target.isNone else { return 0 }
                standing.targets[at].route = target
                var message = publication.message
                message.topic = topic
                self.count(message, target)
                guard !index.rules(of: target).subtracting(own).isEmpty else { return deliverMade(message, target) }
                return pass(Passage(publication: Publication(message), route: target, excluded: own, forwardedBy: standing.rule), hooks)
            }
        }
        return .delivered(count)
    }

    /// Asks rules about a message, or what they have made of it.
    @inline(__always)
    func ask(_ hooks: any RuleHooks, _ rules: RuleSelection, about message: MessageView) -> MessageOutcome {
        var message = message
        message.room = max(0, limits.fanout - madeOfMessage)
        message.roomBytes = max(0, MessageView.madeBytes - madeBytes)
        return hooks.onMessage(message, selection: rules, now: now)
    }

    /// Delivers what rules have decided about a message.
    ///
    /// A message that a rule sends to another topic meets the rules of that topic too, except those that have already sent it
    /// on, or have seen it under that topic; so a chain ends by itself, and `limits.hops` ends it sooner.
    func carryOut(
        _ outcome: MessageOutcome, _ publication: Publication, _ route: RouteReference, excluded: RuleSelection, _ hooks: any RuleHooks
    ) -> PublishOutcome {
        if outcome.isStanding || !outcome.passing.isEmpty { index.keep(outcome, for: route, rulesChoose: asksGroups) }
        if outcome.verdict == .pass, outcome.messages.isEmpty { return .delivered(deliverOrNote(publication, route)) }
        if outcome.verdict == .send, outcome.messages.count == 1,
            let count = single(outcome.messages[0], publication, route, excluded)
        {
            return .delivered(count)
        }
        // The outcome's messages live in the rules until their next call: they are kept before anything else runs.
        let (verdict, why) = (outcome.verdict, outcome.verdict == .reject || outcome.verdict == .redirect ? outcome.reason : "")
        let made = keep(outcome, publication, route, excluded)
        var count = 0
        if verdict == .pass {
            isSomethingLeft = true
            count += deliver(publication, route)
        }
        for next in made { count += pass(next, hooks) }
        if verdict == .pass || verdict == .send { return .delivered(count) }
        if count > 0 { tracer?.sentBesides(count) }
        return verdict == .drop ? .dropped : .rejected(why: why)
    }

    /// The common case, one message that no other rule wants: delivered without a list of what was made.
    /// - Returns: nil where it is not that case.
    private func single(
        _ routed: RoutedMessage, _ publication: Publication, _ route: RouteReference, _ excluded: RuleSelection
    ) -> Int? {
        guard routed.kind == .topic, !routed.changes.contains(.delayed) else { return nil }
        if routed.changes.isEmpty { return deliver(publication, route) }
        guard routed.topic.count > 0, routed.topic.count <= limits.topic else { return nil }
        var route = route
        if routed.changes.contains(.topic) {
            guard maySend(to: routed.topic, routed.topicRule) else { return 0 }
            route = self.route(of: routed.topic)
            let asked = index.rules(of: route).subtracting(excluded).subtracting(routed.sentOn).subtracting(routed.seenBy)
            guard !route.isNone, asked.isEmpty else { return nil }
        }
        let message = MessageView(routed, of: publication.message)
        if routed.changes.contains(.topic) { count(message, route) }
        let count = deliverMade(message, route)
        if count == 0 { noteLeftover(message) }
        return count
    }

    /// Copies all that a rule made, while its bytes are there.
    private func keep(
        _ outcome: MessageOutcome, _ publication: Publication, _ route: RouteReference, _ excluded: RuleSelection
    ) -> [Passage] {
        let takesItsPlace = outcome.verdict == .send && outcome.messages.count == 1
        return outcome.messages.compactMap { routed in
            guard takesItsPlace || mayMakeAnother() else {
                output.figures.dropped += 1
                asItCame(MessageView(routed, of: publication.message)) {
                    die($0, why: ErrorCode.fanoutLimit.rawValue, rule: hooks?.name(of: Int(routed.rule)) ?? "")
                }
                return nil
            }
            guard routed.kind == .topic, !routed.changes.contains(.delayed) else {
                let other = owned(routed, of: publication.message)
                if mayBeSent(other) {
                    isSomethingLeft = true
                    others.append(other)
                }
                return nil
            }
            guard !routed.changes.contains(.topic) || maySend(to: routed.topic, routed.topicRule) else { return nil }
            isSomethingLeft = true
            guard !routed.changes.isEmpty else { return Passage(publication: publication, route: route, excluded: excluded) }
            guard routed.topic.count > 0, routed.topic.count <= limits.topic else {
                output.figures.undelivered += 1
                return nil
            }
            var next = Passage(
                publication: Publication(kept.keep(MessageView(routed, of: publication.message))), route: route, excluded: excluded)
            if routed.changes.contains(.topic) {
                next.route = self.route(of: routed.topic)
                // The rules' host lets no such topic through.
                guard !next.route.isNone else {
                    output.figures.undelivered += 1
                    return nil
                }
                count(next.publication.message, next.route)
                next.excluded.formUnion(routed.sentOn)
                next.seenBy = routed.seenBy
                next.forwardedBy = routed.topicRule
            }
            return next
        }
    }

    /// Whether the sender of the message may publish where a rule sends it: a rule gives nobody rights, unless its table grants them.
    @inline(__always)
    private func maySend(to topic: Bytes, _ rule: UInt8) -> Bool { permissions == nil || isAllowed(.publish, topic, by: rule) }

    /// What rules have made that the engine has to see to.
    @inline(__always)
    var leavesMore: Bool { !others.isEmpty || deniedDelay }

    /// The same of what goes out as no topic message, or later.
    func mayBeSent(_ message: OwnedMessage) -> Bool {
        guard permissions != nil else { return true }
        let action: AccessAction =
            switch message.kind {
            case .topic: .publish
            case .broadcast: .broadcast
            case .chat: .chat
            }
        let maySend = message.topic.withUnsafeBytes { isAllowed(action, action == .broadcast ? .none : $0, by: message.topicRule) }
        if !maySend, message.delay != nil { deniedDelay = true }
        return maySend
    }

    @inline(never)
    func isAllowed(_ action: AccessAction, _ subject: Bytes, by rule: UInt8) -> Bool {
        guard let permissions, !permissions.may(action, subject, group: nil) else { return true }
        if hooks?.grants(of: Int(rule))?.allow(action, subject) == true { return true }
        denied(action, subject, group: nil, permissions)
        hooks?.denied(rule: Int(rule), action, subject, by: permissions.place(of: action, subject, group: nil), now: now)
        deniedOfMessage += 1
        return false
    }

    /// Bytes of what rules have made of the message that is being handled.
    var madeBytes: Int { max(kept.size, output.made.size - madeBefore) }

    /// Rules that send on what others have sent on multiply: all that comes of one message is bounded, in number and bytes. Their host
    /// keeps to what `room` says, except for a message that takes another's place.
    private func mayMakeAnother() -> Bool {
        guard madeOfMessage <= limits.fanout, madeBytes <= MessageView.madeBytes else { return false }
        madeOfMessage += 1
        return true
    }

    /// Delivers what a rule made; a message for another topic meets that topic's rules first.
    private func pass(_ passage: Passage, _ hooks: any RuleHooks) -> Int {
        let met = passage.excluded.union(passage.seenBy)
        let rules = passage.forwardedBy == nil ? .none : index.rules(of: passage.route).subtracting(met)
        var message = passage.publication.message
        guard let sender = passage.forwardedBy, !rules.isEmpty, tracer == nil || !MessageTracer.isMark(rules, message.topic, self.rules) else {
            return deliverOrNote(passage.publication, passage.route)
        }
        guard Int(message.hops) < limits.hops else {
            output.figures.dropped += 1
            hasEndedAtHops = true
            hooks.exceededHops(rule: Int(sender), message: message, now: now)
            noteLeftover(message)
            asItCame(message) { die($0, why: ErrorCode.hopLimit.rawValue, rule: hooks.name(of: Int(sender))) }
            return 0
        }
        message.hops += 1
        return pass(message, passage.route, rules, excluded: passage.excluded, hooks)
    }

    private func pass(
        _ message: MessageView, _ route: RouteReference, _ rules: RuleSelection, excluded: RuleSelection, _ hooks: any RuleHooks
    ) -> Int {
        switch carryOut(ask(hooks, rules, about: message), Publication(message), route, excluded: excluded, hooks) {
        case .delivered(let count): return count
        case .nobody, .elsewhere: return 0
        case .dropped, .rejected:
            output.figures.dropped += 1
            return 0
        }
    }

    private func deliverOrNote(_ publication: Publication, _ route: RouteReference) -> Int {
        let count = deliver(publication, route)
        if count == 0 { noteLeftover(publication.message) }
        return count
    }

    /// The route of a topic that a rule has sent a message to: mostly the same as last time.
    private func route(of topic: Bytes) -> RouteReference {
        lastMadeRoute = route(of: topic, last: lastMadeRoute)
        return lastMadeRoute
    }

    /// What goes out as no topic message, or later: with what the message that it is made of has, where a rule has not changed that.
    private func owned(_ routed: RoutedMessage, of message: MessageView) -> OwnedMessage {
        var owned = OwnedMessage(routed, of: message.sender)
        owned.hops = message.hops
        if owned.delay != nil { owned.origin = keepOrigin() }
        return owned
    }

    /// What rules have made of the message that is being handled, in a hook for which they are not asked by `ask`.
    func made(_ outcome: MessageOutcome, of sender: ConnectionID = .nobody) -> [OwnedMessage] {
        // A message that takes another's place is not counted.
        if outcome.verdict != .send || outcome.messages.count > 1 { madeOfMessage += outcome.messages.count }
        return outcome.messages.map { routed in
            var owned = OwnedMessage(routed, of: sender)
            if owned.delay != nil { owned.origin = keepOrigin() }
            return owned
        }
    }

    // MARK: What rules send by themselves

    /// Publishes a message of a rule's own, or one that has been delayed: through the rules of its topic, except those that are excluded.
    func publishOwn(_ message: OwnedMessage, excluded: RuleSelection) {
        message.withView(id: makeID()) { view in
            guard let route = countedRoute(of: view) else { return }
            beginMessage(view, of: message.origin)
            var count = 0
            if let hooks {
                hooks.beginTurn()
                count = pass(Passage(publication: Publication(view), route: route, excluded: excluded, forwardedBy: message.rule), hooks)
            } else {
                count = deliverMade(view, route)
            }
            _ = conclude(afterRights(.delivered(count)), Publication(view))
            endMessage()
        }
    }

    /// Publishes what a rule has made besides. No rule sees it again.
    /// - Returns: how many got it.
    func publish(_ message: OwnedMessage) -> Int {
        message.withView(id: makeID()) { view in
            let count = countedRoute(of: view).map { deliverMade(view, $0) } ?? 0
            if message.fate != nil {
                settle(message.fate, count > 0 ? .reached : .missed, .nobodySubscribed)
            } else if count == 0 {
                output.figures.undelivered += 1
            }
            return count
        }
    }

    /// Publishes a will as `on_will` has decided: it, and what the rules have made of it, goes through the rules of its topic, as any client's
    /// message does. The message was begun before they were asked.
    /// - Parameter isFinal: no rule sees the will again, or what it has become: the last of what was made.
    func publish(will: MessageView, _ verdict: MessageOutcome.Verdict, isFinal: Bool, _ made: [OwnedMessage]) {
        isSomethingLeft = verdict == .pass
        var count = verdict == .pass ? publishPart(will, isFinal: isFinal) : 0
        for (place, message) in made.enumerated() where mayBeSent(message) {
            isSomethingLeft = true
            guard message.kind == .topic, message.delay == nil else {
                others.append(message)
                continue
            }
            let isWill = verdict == .send && place == made.count - 1
            count += message.withView(id: makeID()) { publishPart($0, isFinal: isFinal && isWill) }
        }
        let outcome: PublishOutcome =
            switch verdict {
            case .pass, .send: .delivered(count)
            case .drop: .dropped
            case .reject, .redirect: .rejected(why: "")
            }
        let concluded = conclude(afterRights(outcome), Publication(will))
        tracer?.end(concluded, others)
        endMessage()
    }

    /// - Parameter isFinal: no rule sees it again.
    private func publishPart(_ message: MessageView, isFinal: Bool = false) -> Int {
        guard let route = countedRoute(of: message) else { return 0 }
        let rules = isFinal ? .none : index.rules(of: route)
        guard let hooks, !rules.isEmpty else {
            let count = deliverMade(message, route)
            if count == 0 { noteLeftover(message) }
            return count
        }
        return pass(message, route, rules, excluded: .none, hooks)
    }

    /// The route of a message that rules have made, which is counted there; nil where it has no topic that a message may have.
    private func countedRoute(of message: MessageView) -> RouteReference? {
        let route = message.topic.isEmpty || message.topic.count > limits.topic ? .none : route(of: message.topic, last: .none)
        guard !route.isNone else {
            output.figures.undelivered += 1
            return nil
        }
        count(message, route)
        return route
    }
}
