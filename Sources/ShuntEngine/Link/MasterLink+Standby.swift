import ExchangeCodec

/// Which of several masters a worker is at. Masters with peers say which of them serves; where they know nothing of one another, all workers
/// are to be at the first of their list that is there.
extension MasterLink {
    /// Seconds between two heartbeats while the worker waits for a master to serve: its promise should not take long.
    static let waitingInterval = 0.25
    /// Seconds in which a master that could not be reached is not gone to, whatever another says.
    static let avoidance = 3.0

    /// What the worker does about a master's answer, beyond joining it.
    /// - Returns: nil where the master serves, and is to be joined.
    mutating func follow(_ reply: HeartbeatReply?, _ connected: inout Connected, now: Double) -> [Action]? {
        switch reply {
        case .serving(_, let standing?):
            guard standing.term >= ballot.term else {
                return [.close(why: "the master serves in term \(standing.term), and another in \(ballot.term) already")]
            }
            ballot = Ballot(
                term: standing.term, version: standing.version, size: standing.size, promised: ballot.promised, candidate: ballot.candidate)
            connected.hasPeers = true
            connected.standsBySince = nil
            servedAt = now
            state = .connected(connected)
            return nil
        case .standby(let notice): return standBy(notice, &connected, now: now)
        case .serving(_, nil):
            // This master knows of no others, and of no terms.
            ballot = Ballot()
            return nil
        case nil:
            // Once a master is joined, this answers a report.
            if !connected.hasJoined { ballot = Ballot() }
            return nil
        }
    }

    private mutating func standBy(_ notice: HeartbeatReply.StandbyNotice, _ connected: inout Connected, now: Double) -> [Action] {
        connected.hasPeers = true
        let since = connected.standsBySince ?? now
        connected.standsBySince = since
        connected.nextReport = min(connected.nextReport, now + Self.waitingInterval)
        failures = 0
        if let vote = notice.vote, vote.term > ballot.promised, vote.term > ballot.term {
            (ballot.promised, ballot.candidate) = (vote.term, vote.candidate)
            connected.nextReport = now
        }
        state = .connected(connected)
        guard !connected.hasJoined else { return [.close(why: "the master does not serve any longer")] }
        guard let other = notice.serving.flatMap({ masters.firstIndex(of: $0) }), other != place % masters.count, isReachable(other, now: now)
        else { return [] }
        returnsTo = other
        return [.close(why: "the master is standby; \(masters[other]) serves")]
    }

    /// Whether the connected master is one of several that know one another.
    var hasPeers: Bool {
        if case .connected(let connected) = state { return connected.hasPeers }
        return false
    }

    private func isReachable(_ place: Int, now: Double) -> Bool {
        guard let at = unreachedAt[place] else { return true }
        return abs(now - at) >= Self.avoidance
    }

    /// Why a worker goes on that has waited at a master which does not serve; nil while it waits. It waits longest at the first of its list.
    func tiredOfWaiting(_ connected: Connected, now: Double) -> String? {
        guard let since = connected.standsBySince, masters.count > 1 else { return nil }
        let patience = max(2, interval) * (place % masters.count == 0 ? 3 : 1.5)
        return abs(now - since) > patience ? "the master does not serve, and names none that does" : nil
    }

    /// Tells when the worker loses and finds the master that serves, where there are several.
    mutating func cutOffNews(now: Double) -> [Action] {
        servedAt = min(servedAt, now)
        let isCut = ballot.term > 0 && state != .stopped && now - servedAt > max(2 * interval, WorkerDirectory.shortestPatience)
        guard isCut != isCutOff else { return [] }
        isCutOff = isCut
        return [.cutOff(isCut)]
    }

    // MARK: Masters without peers

    /// Seconds between two looks at an earlier master.
    var look: Double { min(interval, 3) }

    /// What came of `look`. All workers are to be at the first master of the list that is there, since masters do not know of one
    /// another; one that has answered twice in a row is there to stay.
    public mutating func looked(isThere: Bool) -> [Action] {
        guard case .connected(var connected) = state, connected.hasJoined, place % masters.count > 0 else { return [] }
        connected.answered = isThere ? connected.answered + 1 : 0
        if !isThere { connected.looked += 1 }
        state = .connected(connected)
        guard connected.answered >= 2 else { return [] }
        returnsTo = connected.looked % (place % masters.count)
        return [.close(why: "an earlier master of the list is back")]
    }

}
