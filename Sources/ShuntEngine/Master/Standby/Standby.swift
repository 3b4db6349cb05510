import ExchangeCodec
import ShuntCore

/// Whether this master serves its cluster, or stands by for another: the workers decide by the master that they are at.
///
/// A value: heartbeats, what other masters say, and time in; actions out. The rules are in ARCHITECTURE.md, "Which master serves".
public struct Standby: Sendable {
    public enum Role: Equatable, Sendable {
        case standby
        /// It asks the workers to let it serve in this term.
        case candidate(term: Int64, since: Double)
        case serving
    }

    public enum Action: Equatable, Sendable {
        case serve(why: String)
        case stepBack(why: String)
    }

    /// A worker whose heartbeats come here.
    struct Voter: Equatable, Sendable {
        var heardAt: Double
        /// Seconds in which it is heard again, if it is there.
        var window: Double
        var ballot: Ballot
        /// It does not drain, and has room.
        var takesClients = true
    }

    /// Another master of the cluster.
    struct Other: Equatable, Sendable {
        var state: MasterStateBody?
        var heardAt = -Double.infinity
        /// When it last said that it serves.
        var servedAt = -Double.infinity
    }

    public internal(set) var role = Role.standby
    /// When the role began, seconds since 1970; for people.
    public internal(set) var since: Double
    /// Its own where it serves, else the last that it has heard of.
    public internal(set) var term: Int64 = 0
    public let own: String
    var voters: [String: Voter] = [:]
    var others: [String: Other]
    /// While it serves.
    var electorate: Electorate?
    /// The newest electorate that it knows of, with names, and workers for clients; of another master, or its own from before.
    var copy: MasterStateBody?
    var copiedAt = -Double.infinity
    /// How many workers the registry held: they count until workers tell more.
    private let restored: Int
    private var startedAt: Double
    private var tickedAt = -Double.infinity
    /// An operator has had it make way for this master.
    var makesWay: (to: String, until: Double)?
    let liveFor: Double
    private var turn = 0

    /// Seconds after which what another master has said does not count.
    static let memory = 1.0
    /// Seconds in which a master that has started waits for another that it has never heard, where no worker knows a term either.
    static let coldPatience = 5.0
    /// Seconds without a serving master after which masters that hear one another need no quorum.
    static let agreement = 2.0
    /// Seconds in which a master that was told to make way does not serve.
    static let makingWay = 10.0
    /// Up to so many workers each heartbeat is looked at by itself; more are with the next tick.
    static let fewVoters = 64
    /// Seconds after which a candidate tries a later term, as some have promised this one to another.
    static let candidacy = 0.5

    /// - Parameters:
    ///   - own: this master's address, as workers have it in their lists.
    ///   - others: the other masters' addresses.
    ///   - restored: how many live workers the registry holds.
    ///   - liveFor: seconds after which a silent worker is none.
    public init(own: String, others: [String], restored: Int, liveFor: Double, now: Double) {
        self.own = own
        self.others = others.reduce(into: [:]) { $0[$1] = Other() }
        self.restored = restored
        self.liveFor = liveFor
        (startedAt, since) = (now, now)
    }

    public var isServing: Bool { role == .serving }

    // MARK: Events

    /// A worker's heartbeat has come.
    /// - Parameter interval: seconds between its heartbeats; 0 where it does not say.
    mutating func heard(_ worker: String, _ ballot: Ballot, interval: Double, takesClients: Bool = true, now: Double) -> [Action] {
        guard let role = note(ballot.term, from: "worker \(worker)", now: now) else {
            return [stepBack("worker \(worker) was at a later master", now: now)]
        }
        guard voters[worker] != nil || voters.count < WorkerDirectory.capacity else { return [] }
        let every = interval > 0 ? interval : WorkerDirectory.usualInterval
        voters[worker] = Voter(heardAt: now, window: max(2 * every, WorkerDirectory.shortestPatience), ballot: ballot, takesClients: takesClients)
        guard role == .serving else { return voters.count <= Self.fewVoters ? consider(now: now) : [] }
        electorate?.heard(worker, version: ballot.term == term ? ballot.version : 0)
        return []
    }

    /// Anything else has come from a worker.
    mutating func heardAgain(_ worker: String, now: Double) { voters[worker]?.heardAt = now }

    /// A worker signs off.
    mutating func left(_ worker: String) {
        voters[worker] = nil
        electorate?.left(worker)
    }

    /// Another master has said how it is.
    mutating func heard(_ state: MasterStateBody, now: Double) -> [Action] {
        guard others[state.address] != nil else { return [] }
        others[state.address]?.state = state
        others[state.address]?.heardAt = now
        if state.isServing, state.term >= term { others[state.address]?.servedAt = now }
        keep(state, now: now)
        // What the operator wanted has come.
        if state.isServing { makesWay = nil }
        if role == .serving, state.isServing, state.term == term, state.address < own {
            return [stepBack("\(state.address) serves in the same term", now: now)]
        }
        guard let role = note(state.term, from: state.address, now: now) else {
            return [stepBack("\(state.address) knows of a later term, \(state.term)", now: now)]
        }
        return role == .serving ? [] : consider(now: now)
    }

    /// Time has passed.
    mutating func tick(now: Double) -> [Action] {
        forgetFuture(now: now)
        for (name, voter) in voters where now - voter.heardAt >= liveFor { voters[name] = nil }
        if let until = makesWay?.until, now >= until || until - now > Self.makingWay { makesWay = nil }
        guard role == .serving else { return consider(now: now) }
        let live = live(now: now)
        electorate?.settle(present: Set(voters.keys))
        guard let electorate, !electorate.isHeld(by: live) else { return [] }
        let (heard, size) = electorate.heard(of: live)
        return [stepBack("it hears \(heard) of \(size) workers", now: now)]
    }

    /// Where the clock was set back nobody has been heard later than now.
    private mutating func forgetFuture(now: Double) {
        guard now < tickedAt else { return tickedAt = now }
        tickedAt = now
        startedAt = min(startedAt, now)
        for (name, voter) in voters { voters[name]?.heardAt = min(voter.heardAt, now) }
        for (address, other) in others {
            others[address]?.heardAt = min(other.heardAt, now)
            others[address]?.servedAt = min(other.servedAt, now)
        }
        copiedAt = min(copiedAt, now)
    }

    // MARK: Operators

    /// An operator has this master make way for another.
    /// - Throws: `master.standby` where it does not serve, `master.unavailable` where no other is there.
    mutating func makeWay(now: Double) throws(ShuntError) -> [Action] {
        try checkServing(now: now)
        let heard = others.filter { now - $0.value.heardAt < Self.memory }.keys
        guard let next = heard.min() else {
            throw ShuntError(
                .masterUnavailable, "no other master answers this one, which would leave the cluster without one",
                help: "see whether those of master.peers run; to end this one anyway, stop it")
        }
        makesWay = (next, now + Self.makingWay)
        return [stepBack("an operator had it make way for \(next)", now: now)]
    }

    /// An operator has this master serve, whether or not enough workers let it.
    /// - Throws: `request.invalid` where it serves, or hears another that does.
    mutating func force(now: Double) throws(ShuntError) -> [Action] {
        guard role != .serving else { throw ShuntError(.requestInvalid, "this master serves already") }
        if let other = serving(now: now) {
            throw ShuntError(.requestInvalid, "\(other) serves", help: "have it make way: shunt admin step-down, at that master")
        }
        makesWay = nil
        return [serve(in: nextTerm, over: Electorate.Group([]), why: "an operator had it serve", now: now)]
    }

    /// - Throws: `master.standby` where another master is to be asked.
    func checkServing(now: Double) throws(ShuntError) {
        guard role != .serving else { return }
        let other = serving(now: now)
        throw ShuntError(
            .masterStandby, other.map { "this master is standby; \($0) serves" } ?? "this master is standby, and hears none that serves",
            help: other == nil ? "try again in a moment; `shunt admin status` tells more" : "ask that one")
    }

    // MARK: Answers

    /// What a worker is told.
    func reply(to worker: String, mustReport: Bool, now: Double) -> HeartbeatReply {
        guard role == .serving, let electorate else {
            var notice = HeartbeatReply.StandbyNotice(term: term, serving: serving(now: now) ?? makesWay?.to)
            if case .candidate(let wanted, _) = role { notice.vote = .init(term: wanted, candidate: own) }
            return .standby(notice)
        }
        let newest = electorate.newest
        let isMember = newest.names.contains(worker)
        return .serving(
            mustReport: mustReport,
            .init(term: term, version: isMember ? electorate.version : 0, size: isMember ? newest.size : 0))
    }

    /// What another master is told.
    /// - Parameter workers: those for clients, of a master that serves.
    func state(workers: [String], known: MasterStateBody.Known?, now: Double) -> MasterStateBody {
        var state = MasterStateBody(address: own, term: term, isServing: role == .serving)
        state.voters = live(now: now).count
        state.known = copy.map { .init(term: $0.term, version: $0.version) }
        guard role == .serving, let electorate else { return state }
        state.version = electorate.version
        state.workers = workers
        if known != .init(term: term, version: electorate.version) { state.members = electorate.newest.names.sorted() }
        return state
    }

    /// Workers for a client of a master that does not serve: those that come here, then those that the last one told; each time another one
    /// first, since it does not know what they have to do.
    mutating func workersForClients(now: Double) -> [String] {
        var names = forClients(now: now)
        if now - copiedAt < liveFor { names += (copy?.workers ?? []).filter { voters[$0] == nil } }
        guard !names.isEmpty else { return [] }
        turn = (turn + 1) % names.count
        return Array(names[turn...] + names[..<turn])
    }

    /// Workers that are heard and take clients.
    private func forClients(now: Double) -> [String] { live(now: now).filter { voters[$0]?.takesClients == true }.sorted() }

    /// The other master that serves, as far as this one hears.
    public func serving(now: Double) -> String? {
        others.filter { now - $0.value.servedAt < Self.memory && now - $0.value.heardAt < Self.memory && $0.value.state?.isServing == true }
            .max { ($0.value.state?.term ?? 0, $1.key) < ($1.value.state?.term ?? 0, $0.key) }?.key
    }

    /// How it is, for operators.
    func record(now: Double) -> MasterRoleRecord {
        let known = others.map { address, other in
            let isHeard = now - other.heardAt < Self.memory
            let role = !isHeard ? "silent" : other.state?.isServing == true ? "serving" : "standby"
            return MasterRoleRecord.Other(address: address, role: role, term: other.state?.term ?? 0)
        }
        return MasterRoleRecord(
            role: isServing ? "serving" : "standby", address: own, term: term, since: since, serving: isServing ? own : serving(now: now),
            heard: live(now: now).count, electorate: electorate?.committed.size, masters: known.sorted { $0.address < $1.address })
    }

    /// Workers that it hears.
    func live(now: Double) -> Set<String> { Set(voters.filter { now - $0.value.heardAt < $0.value.window }.keys) }

    /// Seconds in which each worker that it hears has sent two heartbeats.
    var patience: Double { voters.values.map(\.window).max() ?? WorkerDirectory.shortestPatience }

    // MARK: Terms

    /// Somebody knows of a term.
    /// - Returns: the role; nil where this master serves in an earlier one.
    private mutating func note(_ heard: Int64, from: String, now: Double) -> Role? {
        guard heard > term else { return role }
        guard role != .serving else {
            // The next term that it serves in comes after that one.
            lastHeard = max(lastHeard, heard)
            return nil
        }
        term = heard
        if case .candidate(let wanted, _) = role, wanted <= heard { role = .standby }
        return role
    }

    private var lastHeard: Int64 = 0

    private var nextTerm: Int64 { max(term, lastHeard, voters.values.map(\.ballot.promised).max() ?? 0) + 1 }

    /// Keeps the newest electorate, and who is for clients.
    private mutating func keep(_ state: MasterStateBody, now: Double) {
        guard state.isServing, role != .serving, state.term >= term else { return }
        let (new, old) = (
            MasterStateBody.Known(term: state.term, version: state.version), copy.map { MasterStateBody.Known(term: $0.term, version: $0.version) }
        )
        if state.members != nil, old.map({ $0 <= new }) ?? true {
            copy = state
        } else if old == new {
            copy?.workers = state.workers
        } else {
            return
        }
        copiedAt = now
    }

    /// Whether this master may try to serve, and whether it has what that takes.
    private mutating func consider(now: Double) -> [Action] {
        let live = live(now: now)
        let isFree = makesWay == nil && isNobodyServing(now: now)
        let isChosen = isFree && isChosenByMasters(with: live, now: now)
        guard isFree, isChosen || quorum(of: live, now: now) != nil else {
            if role != .standby { role = .standby }
            return []
        }
        guard case .candidate(let wanted, let began) = role else {
            role = .candidate(term: nextTerm, since: now)
            return []
        }
        let promised = live.filter { voters[$0]?.ballot.promised == wanted && voters[$0]?.ballot.candidate == own }
        let agreed = isChosen && 2 * promised.count > live.count ? Electorate.Group([]) : nil
        if let old = quorum(of: promised, now: now) ?? agreed {
            return [serve(in: wanted, over: old, why: "workers that let it serve: \(promised.count)", now: now)]
        }
        let isLate = abs(now - began) >= Self.candidacy
        let isTaken = live.contains { name in
            guard let ballot = voters[name]?.ballot else { return false }
            return ballot.promised > wanted || (ballot.promised == wanted && ballot.candidate != own)
        }
        if isLate, isTaken { role = .candidate(term: nextTerm, since: now) }
        return []
    }

    /// Whether each other master has said that it does not serve, or was silent for long enough.
    private func isNobodyServing(now: Double) -> Bool {
        others.values.allSatisfy { other in
            if now - other.heardAt < Self.memory { return other.state?.isServing != true || (other.state?.term ?? 0) < term }
            return now - max(startedAt, other.servedAt) >= Self.memory
        }
    }

    /// Where all masters hear one another and none serves, none can serve unheard: the one that has most workers needs no quorum. So a cluster
    /// goes on after most of its workers were replaced.
    private func isChosenByMasters(with live: Set<String>, now: Double) -> Bool {
        !live.isEmpty && now - since >= Self.agreement
            && others.allSatisfy { address, other in
                guard now - other.heardAt < Self.memory, now - other.servedAt >= Self.agreement, let state = other.state, !state.isServing
                else { return false }
                return live.count > state.voters || (live.count == state.voters && own < address)
            }
    }

    /// The electorate of the last master, if these are more than half of it.
    private func quorum(of workers: Set<String>, now: Double) -> Electorate.Group? {
        let ballots = workers.compactMap { voters[$0]?.ballot }
        let told = ballots.map { MasterStateBody.Known(term: $0.term, version: $0.version) }.max() ?? .init(term: 0, version: 0)
        let group: Electorate.Group
        if let copy, let members = copy.members, .init(term: copy.term, version: copy.version) >= told {
            group = Electorate.Group(workers.intersection(members), size: members.count)
        } else if told.version > 0 {
            let those = workers.filter { voters[$0]?.ballot.term == told.term && voters[$0]?.ballot.version == told.version }
            group = Electorate.Group(those, size: those.compactMap { voters[$0]?.ballot.size }.max() ?? 0)
        } else if told.term > 0 {
            return nil
        } else {
            // Nobody knows of a master before this one. If another has begun too, it should be heard first.
            let isAlone = others.values.allSatisfy { $0.heardAt == -.infinity }
            guard !isAlone || abs(now - startedAt) >= Self.coldPatience else { return nil }
            group = Electorate.Group(workers, size: abs(now - startedAt) < liveFor ? restored : 0)
        }
        return !workers.isEmpty && 2 * group.names.count > group.size ? group : nil
    }

    // MARK: Roles

    private mutating func serve(in new: Int64, over old: Electorate.Group, why: String, now: Double) -> Action {
        (role, since, term) = (.serving, now, new)
        electorate = Electorate(old: old, first: live(now: now))
        return .serve(why: why)
    }

    private mutating func stepBack(_ why: String, now: Double) -> Action {
        if let electorate {
            // What it was sure of is the newest that it knows.
            copy = MasterStateBody(
                address: own, term: term, isServing: true, version: electorate.version, members: electorate.newest.names.sorted(),
                workers: forClients(now: now))
            copiedAt = now
        }
        (role, since, electorate) = (.standby, now, nil)
        term = max(term, lastHeard)
        voters = [:]
        return .stepBack(why: why)
    }
}
