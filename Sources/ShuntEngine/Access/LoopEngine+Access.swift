import ShuntCore

/// Who is let in, and what clients may do.
extension LoopEngine {
    /// Where a client stands that wants to come in.
    enum Entrance {
        case open
        /// It is asked for: its first request is to come again with the answer.
        case waits
        case refused(ShuntError)
    }

    /// A client's first request is there.
    func enter(_ connection: ConnectionID, _ credentials: () -> Credentials) -> Entrance {
        // Before any password is looked at.
        if !bans.isEmpty {
            let credentials = credentials()
            if let error = refusal(of: credentials) {
                noteRefused(connection, "banned", user: credentials.user)
                forgetAdmission(of: connection)
                return .refused(error)
            }
        }
        let listener = Int(clients[connection.slot].listener)
        guard listener < access.count, access[listener].asks else { return .open }
        switch admissions.removeValue(forKey: connection) {
        case nil:
            undecided.insert(connection)
            credentialsOf[connection] = credentials()
            output.actions.append(.authenticate(connection))
            return .waits
        case .admitted(let admitted)?: admit(connection, as: admitted)
        case .unknown(let mayEnter)?:
            admit(connection, as: Admitted())
            clients[connection.slot].needsName = !mayEnter
        case .refused(let error)?: return .refused(error)
        }
        return .open
    }

    /// What a client has shown, for whom `LoopAction.authenticate` was said.
    public func takeCredentials(of connection: ConnectionID) -> Credentials? { credentialsOf.removeValue(forKey: connection) }

    /// It is decided about a client. The driver's edge reads its first request again.
    /// - Returns: whether the client is still there.
    public func decided(_ admission: Admission, about connection: ConnectionID, now: Double) -> Bool {
        undecided.remove(connection)
        guard isCurrent(connection), clients[connection.slot].state == .open else { return false }
        // It was not read from meanwhile.
        clients[connection.slot].heardAt = Self.eighths(now)
        admissions[connection] = admission
        return true
    }

    /// A client that is in shows another token: from now on that one counts, and says how long and what it may do.
    func renew(_ connection: ConnectionID, _ credentials: () -> Credentials) -> Entrance {
        let uid = clients[connection.slot].identity?.access?.admitted.uid
        switch admissions[connection] {
        case .admitted(let admitted)? where uid != nil && admitted.uid != uid:
            forgetAdmission(of: connection)
            return .refused(ShuntError(.accessCredentials, "the token is another user's"))
        case .unknown?:
            forgetAdmission(of: connection)
            return .refused(ShuntError(.accessCredentials, "the token does not count"))
        case .admitted, .refused, nil: break
        }
        let entrance = enter(connection, credentials)
        if case .open = entrance { checkSubscriptions(of: connection) }
        return entrance
    }

    func takesTokens(_ connection: ConnectionID) -> Bool {
        let listener = Int(clients[connection.slot].listener)
        return listener < access.count && access[listener].takesTokens
    }

    /// The client has gone meanwhile.
    func forgetAdmission(of connection: ConnectionID) {
        if !undecided.isEmpty { undecided.remove(connection) }
        if !credentialsOf.isEmpty { credentialsOf[connection] = nil }
        if !admissions.isEmpty { admissions[connection] = nil }
    }

    /// What is known of a client of a listener that asks: also where a rule gives it another uid.
    func admit(_ connection: ConnectionID, as admitted: Admitted) {
        let slot = connection.slot
        let identity = clients[slot].identity ?? Client.Identity()
        clients[slot].identity = identity
        if let uid = admitted.uid { identity.uid = uid }
        if let tags = admitted.tags { identity.tags = tags }
        if let alias = admitted.alias { identity.alias = alias }
        let access = ClientAccess(
            admitted, listener: Int(clients[slot].listener), clientID: clientID(of: connection), address: clients[slot].address)
        access.isRenewable = identity.access?.isRenewable ?? false
        identity.access = access
        renew(access)
        clients[slot].isRestricted = access.permissions != nil
        // What rules make of the bytes that it has come with is held to them, too.
        router.permissions = access.permissions
        if admitted.expiresAt < .infinity { expire(connection, at: admitted.expiresAt) }
        // One that is in may be another now.
        list(connection)
    }

    /// A rule has named a client. That counts for its rights where the listener asks who clients are.
    func name(_ connection: ConnectionID, _ uid: String) {
        clients[connection.slot].needsName = false
        guard var admitted = clients[connection.slot].identity?.access?.admitted else { return }
        admitted.uid = uid
        admit(connection, as: admitted)
    }

    /// Clients whose time is over are closed.
    func closeExpired() {
        while let connection = expiries.popDue(now: now) {
            guard let until = expiry(of: connection), until <= now else { continue }
            close(connection, .accessExpired)
        }
    }

    /// What has let a client in no longer counts.
    /// - Parameter why: for the log.
    /// - Returns: false where the engine does not know the client, or closes it already.
    public func expel(_ connection: ConnectionID, why: String, now: Double) -> Bool {
        router.now = now
        guard isCurrent(connection), clients[connection.slot].state == .open else { return false }
        closeTexts[connection] = why
        close(connection, .accessExpired)
        return true
    }

    // MARK: What a client may do

    /// - Parameter group: of `share`, the consumer group.
    func may(_ action: AccessAction, _ subject: Bytes, group: Bytes? = nil, _ connection: ConnectionID) -> Bool {
        guard clients[connection.slot].isRestricted, let permissions = clients[connection.slot].identity?.access?.permissions else { return true }
        if permissions.may(action, subject, group: group) { return true }
        router.asking = connection
        router.denied(action, subject, group: group, permissions)
        noteDenied(connection)
        return false
    }

    /// What a client may do that is connected to whatever loop; nil: everything.
    func permissions(of peer: Peer) -> (any Permissions)? {
        if peer.id.loop == loop { return clients[peer.id.slot].identity?.access?.permissions }
        guard let known = peer.access, known.listener < access.count else { return nil }
        return access[known.listener].permissions?(known.admitted, peer.mqtt?.clientID ?? "", known.address)
    }

    /// - Throws: `access.denied`.
    func demand(_ action: AccessAction, _ subject: String, group: String? = nil, _ connection: ConnectionID) throws(ShuntError) {
        guard clients[connection.slot].isRestricted else { return }
        let isAllowed = Self.withBytes(subject) { subject in
            guard let group else { return may(action, subject, connection) }
            return Self.withBytes(group) { may(action, subject, group: $0, connection) }
        }
        guard !isAllowed else { return }
        throw ShuntError(.accessDenied, Self.denial(of: action, subject))
    }

    /// A client that was let in under a uid is a device of no other.
    /// - Throws: `access.denied`, `access.banned`.
    func demand(uid: String, _ connection: ConnectionID) throws(ShuntError) {
        if let error = refusal(ofUID: uid) {
            noteRefused(connection, "banned", user: uid)
            throw error
        }
        guard let own = clients[connection.slot].identity?.access?.admitted.uid, !own.utf8.elementsEqual(uid.utf8) else { return }
        output.figures.denied += 1
        noteDenied(connection)
        throw ShuntError(.accessDenied, AccessRefusal.isOther(than: own))
    }

    /// What the worker answers to a client that lacks a right.
    static func denial(of action: AccessAction, _ subject: String) -> String {
        switch action {
        case .publish: AccessRefusal.lacking("publish to '\(subject)'")
        case .subscribe: AccessRefusal.lacking("subscribe to '\(subject)'")
        case .share: AccessRefusal.lacking("share '\(subject)'")
        case .broadcast: AccessRefusal.lacking("send broadcasts")
        case .chat: AccessRefusal.lacking("use the chat '\(subject)'")
        }
    }

    /// Whether a subscription's messages have to be looked at one by one, as some are not for the client.
    /// - Throws: `access.denied` where that cannot be: another member of the group would not get them.
    func withholds(_ request: SubscriptionRequest, _ connection: ConnectionID, isGroup: Bool) throws(ShuntError) -> Bool {
        guard clients[connection.slot].isRestricted, let permissions = clients[connection.slot].identity?.access?.permissions else { return false }
        let withholds = Self.withBytes(request.topic) { topic in
            isGroup ? Self.withBytes(request.group) { permissions.withholds(topic, group: $0) } : permissions.withholds(topic, group: nil)
        }
        guard withholds, isGroup else { return withholds }
        output.figures.denied += 1
        noteDenied(connection)
        throw ShuntError(
            .accessDenied, AccessRefusal.lacking("read some topics of '\(request.topic)'"),
            help: "members of a group must be allowed to read all that the group gets")
    }

    /// Whether a message may be delivered to a client.
    func mayReceive(_ packet: Bytes, _ form: WireForm, _ identity: Client.Identity?) -> Bool {
        guard let permissions = identity?.access?.permissions, let message = WireEncoder.read(packet, form) else { return true }
        // Who is in a chat, or gets broadcasts, was asked when it joined.
        if message.kind != .topic || permissions.mayReceive(message.topic) { return true }
        output.figures.withheld += 1
        return false
    }

    // MARK: Settings

    /// From now on listeners let clients in so, and those that are in may do this: what one may no longer do ends at once. A client that came
    /// in before its listener asked counts as one that nothing names.
    public func setAccess(_ new: [ListenerAccess], now: Double) {
        router.now = now
        access = new
        sessions.forEach { if let access = $0.identity.access { renew(access) } }
        for slot in clients.indices where clients[slot].state == .open && clients[slot].isAdmitted {
            let connection = ConnectionID(loop: loop, slot: UInt32(slot), generation: clients[slot].generation)
            if let known = clients[slot].identity?.access {
                if known.listener < access.count, access[known.listener].counts?(known.admitted) == false {
                    close(connection, .accessExpired)
                    continue
                }
                renew(known)
                clients[slot].isRestricted = known.permissions != nil
            } else if Int(clients[slot].listener) < access.count, access[Int(clients[slot].listener)].asks {
                admit(connection, as: Admitted())
            }
            checkSubscriptions(of: connection)
        }
    }

    private func renew(_ client: ClientAccess) {
        client.permissions =
            client.listener < access.count ? access[client.listener].permissions?(client.admitted, client.clientID, client.address) : nil
    }

    /// A client's rights are others than when it subscribed: what it may not subscribe ends.
    func checkSubscriptions(of connection: ConnectionID) {
        guard clients[connection.slot].isRestricted else { return }
        let subscriber = subscriber(of: connection)
        for subscription in router.index.subscriptions(of: subscriber) {
            let isGroup = subscription.group != Self.ownGroup(of: subscriber)
            let request = SubscriptionRequest(topic: subscription.filter, group: isGroup ? subscription.group : "", key: subscription.key)
            do throws(ShuntError) {
                try demand(request, connection)
                guard try withholds(request, connection, isGroup: isGroup), !subscription.terms.asksSession else { continue }
                changeTerms(of: subscriber) { $0.askingSession }
            } catch {
                _ = unsubscribe(request, connection)
            }
        }
    }
}
