import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Whether a master serves")
struct StandbyTests {
    private let own = "a:4088"
    private let other = "b:4088"

    private func standby(restored: Int = 0) -> Standby { Standby(own: own, others: [other], restored: restored, liveFor: 20, now: 0) }

    private func state(_ term: Int64 = 0, serving: Bool = false, voters: Int = 0, members: [String]? = nil) -> MasterStateBody {
        var state = MasterStateBody(address: other, term: term, isServing: serving, version: serving ? 1 : 0, members: members)
        state.voters = voters
        return state
    }

    /// A master that three workers let serve in term 1, at the second 2.
    private func serving() -> Standby {
        var standby = standby()
        _ = standby.heard(state(), now: 1.9)
        for name in ["w1", "w2", "w3"] { _ = standby.heard(name, Ballot(), interval: 1, now: 1.9) }
        for name in ["w1", "w2", "w3"] { _ = standby.heard(name, Ballot(promised: 1, candidate: own), interval: 1, now: 2) }
        #expect(standby.isServing && standby.term == 1)
        return standby
    }

    @Test("A worker's promise comes before a master serves, and the first of three is enough where nobody knows of an earlier one")
    func begin() {
        var standby = standby()
        #expect(standby.heard("w1", Ballot(), interval: 1, now: 0.5) == [], "the other may serve, and has not been heard")
        #expect(standby.reply(to: "w1", mustReport: false, now: 0.5) == .standby(.init(term: 0)))
        #expect(standby.heard(state(), now: 0.6) == [])
        #expect(standby.role == .candidate(term: 1, since: 0.6))
        #expect(standby.reply(to: "w1", mustReport: false, now: 0.6) == .standby(.init(term: 0, vote: .init(term: 1, candidate: own))))
        let promised = Ballot(promised: 1, candidate: own)
        #expect(standby.heard("w1", promised, interval: 1, now: 0.7) == [.serve(why: "workers that let it serve: 1")])
        #expect(standby.reply(to: "w1", mustReport: true, now: 0.7) == .serving(mustReport: true, .init(term: 1, version: 1, size: 1)))
        #expect(standby.reply(to: "w2", mustReport: false, now: 0.7) == .serving(mustReport: false, .init(term: 1, version: 0, size: 0)))
    }

    @Test("A promise to another, or of another term, lets it not serve; later it asks for a later term")
    func promises() {
        var standby = standby()
        _ = standby.heard(state(), now: 0.1)
        for ballot in [Ballot(promised: 1, candidate: other), Ballot(promised: 1, candidate: other)] {
            #expect(standby.heard("w1", ballot, interval: 1, now: 0.2) == [])
        }
        #expect(standby.role == .candidate(term: 2, since: 0.2), "term 1 is promised to the other already")
        #expect(standby.heard("w1", Ballot(promised: 2, candidate: other), interval: 1, now: 0.3) == [])
        #expect(standby.heard("w1", Ballot(promised: 2, candidate: other), interval: 1, now: 0.8) == [])
        #expect(standby.role == .candidate(term: 3, since: 0.8))
        #expect(standby.heard("w1", Ballot(promised: 3, candidate: own), interval: 1, now: 0.9).count == 1)
        #expect(standby.term == 3)
    }

    @Test("It takes more than half of the last electorate: of what workers say, and of the names that the last master told")
    func quorum() {
        for (ballots, isEnough) in [
            ([Ballot(term: 4, version: 2, size: 3)], false),
            ([Ballot(term: 4, version: 2, size: 3), Ballot(term: 4, version: 2, size: 3)], true),
            // The newer electorate counts, and members of the older one may not be in it.
            ([Ballot(term: 4, version: 2, size: 3), Ballot(term: 4, version: 1, size: 3), Ballot(term: 4, version: 1, size: 3)], false),
            ([Ballot(term: 4, version: 2, size: 4), Ballot(term: 4, version: 2, size: 4)], false),
            // It was not in an electorate yet.
            ([Ballot(term: 4)], false),
        ] {
            var standby = standby()
            _ = standby.heard(state(), now: 0.1)
            for (place, ballot) in ballots.enumerated() { _ = standby.heard("w\(place)", ballot, interval: 1, now: 0.2) }
            #expect((standby.role != .standby) == isEnough, "\(ballots)")
        }
        var standby = standby()
        _ = standby.heard(state(4, serving: true, members: ["w0", "w1", "w2"]), now: 0.1)
        _ = standby.heard(state(4), now: 0.2)
        _ = standby.heard("w0", Ballot(), interval: 1, now: 0.2)
        _ = standby.heard("stranger", Ballot(), interval: 1, now: 0.2)
        #expect(standby.role == .standby)
        _ = standby.heard("w1", Ballot(term: 4), interval: 1, now: 0.2)
        #expect(standby.role == .candidate(term: 5, since: 0.2))
    }

    @Test("It sends workers to a master that serves, for as long as it hears of that one")
    func sends() {
        var standby = standby()
        #expect(standby.heard(state(3, serving: true, members: ["w1"]), now: 1) == [])
        #expect(standby.heard("w1", Ballot(term: 3, version: 1, size: 1), interval: 1, now: 1.1) == [])
        #expect(standby.reply(to: "w1", mustReport: false, now: 1.5) == .standby(.init(term: 3, serving: other)))
        #expect(standby.tick(now: 1.9) == [] && standby.role == .standby)
        #expect(standby.reply(to: "w1", mustReport: false, now: 2.1) == .standby(.init(term: 3)))
        #expect(standby.tick(now: 2.1) == [])
        #expect(standby.role == .candidate(term: 4, since: 2.1))
    }

    @Test("The registry's workers count until they have had their time")
    func restored() {
        var standby = standby(restored: 3)
        _ = standby.heard(state(voters: 9), now: 1)
        _ = standby.heard("w1", Ballot(), interval: 1, now: 1)
        #expect(standby.role == .standby)
        _ = standby.heard("w2", Ballot(), interval: 1, now: 1.1)
        #expect(standby.role == .candidate(term: 1, since: 1.1))
        var late = self.standby(restored: 3)
        _ = late.heard(state(voters: 9), now: 21)
        _ = late.heard("w1", Ballot(), interval: 1, now: 21)
        #expect(late.role == .candidate(term: 1, since: 21))
    }

    @Test("A master that has never heard another waits five seconds")
    func alone() {
        var standby = standby()
        _ = standby.heard("w1", Ballot(), interval: 3, now: 4.9)
        #expect(standby.role == .standby)
        _ = standby.tick(now: 5)
        #expect(standby.role == .candidate(term: 1, since: 5))
    }

    @Test("Where all masters hear one another, the one with most workers needs no quorum after two seconds; of equals the lower address")
    func agreement() {
        for (voters, isChosen) in [(0, true), (1, true), (2, false)] {
            var standby = standby()
            _ = standby.heard(state(voters: voters), now: 2)
            _ = standby.heard("w1", Ballot(term: 4, version: 1, size: 9), interval: 1, now: 2)
            #expect((standby.role != .standby) == isChosen)
            guard isChosen else { continue }
            let promised = Ballot(term: 4, version: 1, size: 9, promised: 5, candidate: own)
            #expect(standby.heard("w1", promised, interval: 1, now: 2.1).count == 1)
        }
        var early = standby()
        _ = early.heard(state(), now: 1.9)
        _ = early.heard("w1", Ballot(term: 4, version: 1, size: 9), interval: 1, now: 1.9)
        #expect(early.role == .standby)
    }

    @Test("It steps back for a later term, of a worker or a master, and of the same term for the lower address")
    func laterTerm() {
        var standby = serving()
        #expect(standby.heard("w1", Ballot(term: 1, version: 1, size: 3), interval: 1, now: 2.1) == [])
        #expect(standby.heard(state(0), now: 2.1) == [])
        #expect(standby.heard(state(1, serving: true), now: 2.1) == [], "the other's address is the higher one")
        var one = standby
        #expect(one.heard("w1", Ballot(term: 2), interval: 1, now: 2.2) == [.stepBack(why: "worker w1 was at a later master")])
        #expect(!one.isServing && one.term == 2)
        #expect(standby.heard(state(7, serving: true), now: 2.2) == [.stepBack(why: "b:4088 knows of a later term, 7")])
        #expect(standby.serving(now: 2.3) == other)
        var higher = Standby(own: "z:1", others: [own], restored: 0, liveFor: 20, now: 0)
        _ = higher.heard(MasterStateBody(address: own, term: 0, isServing: false), now: 1)
        _ = higher.heard("w1", Ballot(), interval: 1, now: 1)
        _ = higher.heard("w1", Ballot(promised: 1, candidate: "z:1"), interval: 1, now: 1.1)
        #expect(higher.heard(MasterStateBody(address: own, term: 1, isServing: true), now: 1.2).count == 1)
    }

    @Test("It serves while it hears half of its workers within two of their heartbeats")
    func lease() {
        var standby = serving()
        let aware = Ballot(term: 1, version: 1, size: 3)
        for second in 3...9 {
            for name in ["w1", "w2"] { #expect(standby.heard(name, aware, interval: 1, now: Double(second)) == []) }
            #expect(standby.tick(now: Double(second)) == [])
        }
        #expect(standby.heard("w1", aware, interval: 1, now: 10.5) == [])
        #expect(standby.tick(now: 10.9) == [])
        #expect(standby.tick(now: 11.1) == [.stepBack(why: "it hears 1 of 3 workers")])
        #expect(standby.role == .standby && standby.workersForClients(now: 11.2).sorted() == ["w1"])
    }

    @Test("A standby sends no clients to a worker that drains or is full")
    func draining() {
        var standby = serving()
        _ = standby.heard("w1", Ballot(), interval: 1, takesClients: false, now: 5)
        #expect(!standby.workersForClients(now: 5).contains("w1"))
        _ = standby.heard("w1", Ballot(), interval: 1, now: 5.1)
        #expect(standby.workersForClients(now: 5.1).contains("w1"))
    }

    @Test("It makes way for a master that it hears, for ten seconds")
    func makesWay() throws {
        var standby = serving()
        var deaf = standby
        #expect(throws: ShuntError.self) { try deaf.makeWay(now: 5) }
        #expect(deaf.isServing)
        #expect(try standby.makeWay(now: 2.5).count == 1)
        _ = standby.heard(state(1), now: 2.6)
        _ = standby.heard("w1", Ballot(term: 1, version: 1, size: 1), interval: 1, now: 2.6)
        #expect(standby.role == .standby)
        #expect(standby.reply(to: "w1", mustReport: false, now: 2.6) == .standby(.init(term: 1, serving: other)))
        var late = standby
        _ = late.tick(now: 12.6)
        #expect(late.reply(to: "w1", mustReport: false, now: 12.6) == .standby(.init(term: 1)))
        _ = standby.heard(state(2, serving: true), now: 2.7)
        _ = standby.heard(state(2), now: 2.8)
        #expect(standby.reply(to: "w1", mustReport: false, now: 2.8) == .standby(.init(term: 2)), "the other has served meanwhile")
    }

    @Test("An operator has it serve without a quorum, but not beside another")
    func force() throws {
        var standby = standby()
        _ = standby.heard("w1", Ballot(term: 8, version: 1, size: 9), interval: 1, now: 1)
        var second = standby
        _ = second.heard(state(9, serving: true), now: 1)
        #expect(throws: ShuntError.self) { try second.force(now: 1.1) }
        #expect(try standby.force(now: 1.1) == [.serve(why: "an operator had it serve")])
        #expect(standby.term == 9)
        #expect(throws: ShuntError.self) { try standby.force(now: 1.2) }
        #expect(standby.tick(now: 2) == [], "those that are there are its electorate")
    }

    @Test("A clock that is set back leaves nobody heard in the future")
    func clock() {
        var standby = standby()
        _ = standby.heard(state(3, serving: true, members: ["w1"]), now: 5000)
        _ = standby.tick(now: 5000)
        _ = standby.tick(now: 100)
        _ = standby.heard("w1", Ballot(term: 3, version: 1, size: 1), interval: 1, now: 100.5)
        #expect(standby.role == .standby && standby.serving(now: 100.5) == other)
        _ = standby.tick(now: 101.1)
        #expect(standby.role == .candidate(term: 4, since: 101.1), "the other has not been heard for a second")
    }

    @Test("What it does not know is nobody: a stranger among masters, names beyond the bound")
    func bounds() {
        var standby = standby()
        #expect(standby.heard(MasterStateBody(address: "x:1", term: 99, isServing: true), now: 1) == [])
        #expect(standby.term == 0)
        for number in 0...WorkerDirectory.capacity { _ = standby.heard("w\(number)", Ballot(), interval: 1, now: 0.5) }
        #expect(standby.live(now: 0.5).count == WorkerDirectory.capacity)
    }
}

@Suite("The quorum of a master")
struct ElectorateTests {
    private func settled(_ names: Set<String>) -> Electorate {
        var electorate = Electorate(old: .init([]), first: names)
        for name in names { electorate.heard(name, version: 1) }
        electorate.settle(present: names)
        #expect(electorate.committed == .init(names) && electorate.proposed == nil)
        return electorate
    }

    @Test("Half of the old one and half of the new one must know the new one before it counts alone")
    func steps() {
        var electorate = settled(["a", "b", "c"])
        electorate.settle(present: ["c", "d", "e"])
        #expect(electorate.version == 2 && electorate.newest == .init(["c", "d", "e"]))
        #expect(!electorate.isHeld(by: ["c", "d", "e"]), "one of three of the old one")
        #expect(!electorate.isHeld(by: ["a", "b", "c"]))
        #expect(electorate.isHeld(by: ["a", "c", "d"]))
        for name in ["c", "d", "e"] { electorate.heard(name, version: 2) }
        electorate.settle(present: ["c", "d", "e"])
        #expect(electorate.proposed != nil)
        electorate.heard("a", version: 1)
        electorate.settle(present: ["c", "d", "e"])
        #expect(electorate.proposed != nil, "a knows the old one")
        electorate.heard("a", version: 2)
        electorate.settle(present: ["c", "d", "e"])
        #expect(electorate.committed == .init(["c", "d", "e"]) && electorate.isHeld(by: ["d", "e"]))
    }

    @Test("What changes meanwhile waits for its turn")
    func oneAtATime() {
        var electorate = settled(["a", "b"])
        electorate.settle(present: ["a", "b", "c"])
        electorate.settle(present: ["a", "b", "c", "d"])
        #expect(electorate.version == 2 && electorate.newest.names == ["a", "b", "c"])
        for name in ["a", "b", "c"] { electorate.heard(name, version: 2) }
        electorate.settle(present: ["a", "b", "c", "d"])
        #expect(electorate.version == 3 && electorate.newest.names == ["a", "b", "c", "d"])
    }

    @Test("Workers that sign off agree to all that follows, until they are back")
    func signingOff() {
        var electorate = settled(["a", "b", "c"])
        electorate.left("a")
        electorate.left("b")
        #expect(electorate.isHeld(by: ["c"]))
        electorate.settle(present: ["c"])
        electorate.heard("c", version: 2)
        electorate.settle(present: ["c"])
        #expect(electorate.committed == .init(["c"]))
        var back = settled(["a", "b", "c"])
        back.left("a")
        back.left("b")
        back.heard("a", version: 0)
        back.heard("b", version: 0)
        #expect(!back.isHeld(by: ["c"]))
    }

    @Test("Of an electorate before it knows as many names as have promised, and the whole size")
    func old() {
        let electorate = Electorate(old: .init(["a", "b", "c"], size: 5), first: ["a", "b", "c"])
        #expect(electorate.isHeld(by: ["a", "b", "c"]))
        #expect(!electorate.isHeld(by: ["a", "b"]), "two of five")
    }
}
