import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("A worker at masters of which one serves")
struct StandbyLinkTests {
    /// A link that has sent its first heartbeat to the first of two masters.
    private func link(_ masters: [String] = ["m:1", "n:1"]) -> MasterLink {
        var link = MasterLink(masters: masters, interval: 3, now: 0)
        #expect(link.tick(now: 0) == [.connect(to: "m:1")])
        #expect(link.connected(now: 0) == [.report])
        return link
    }

    /// Sends a heartbeat and takes its answer.
    private func beat(_ link: inout MasterLink, _ reply: HeartbeatReply, now: Double) -> [MasterLink.Action] {
        let body = HeartbeatBody(serverPort: 1, createdTime: 1, shunt: ShuntExtension(version: "", boot: ""))
        guard case .send(let bytes)? = link.heartbeat(body, now: now).first else { return [] }
        let id = bytes.withUnsafeBytes { bytes -> Int64 in
            guard case .frame(let view) = FrameDecoder.decode(bytes) else { return 0 }
            return view.id
        }
        return link.received(Frame(acknowledging: id, text: reply.text), now: now)
    }

    private func serving(_ term: Int64) -> HeartbeatReply { .serving(mustReport: false, .init(term: term, version: 1, size: 1)) }

    @Test("It goes to the master that a standby names, if that is in its list and was not out of reach just now")
    func goes() {
        var link = link()
        #expect(beat(&link, .standby(.init(term: 3, serving: "n:1")), now: 0) == [.close(why: "the master is standby; n:1 serves")])
        _ = link.closed(why: "", now: 0, random: 1)
        #expect(link.tick(now: 0.3) == [.connect(to: "n:1")])
        // It is not there: the next is the first again, which names it again, in vain.
        _ = link.closed(why: "refused", now: 0.3, random: 1)
        #expect(link.tick(now: 1) == [.connect(to: "m:1")])
        _ = link.connected(now: 1)
        #expect(beat(&link, .standby(.init(term: 3, serving: "n:1")), now: 1) == [])
        #expect(beat(&link, .standby(.init(term: 3, serving: "x:1")), now: 2) == [])
        #expect(beat(&link, .standby(.init(term: 3, serving: "n:1")), now: 3.4) == [.close(why: "the master is standby; n:1 serves")])
    }

    @Test("It promises once a term, at once, and repeats that")
    func promises() {
        var link = link()
        #expect(beat(&link, .standby(.init(term: 3, vote: .init(term: 4, candidate: "m:1"))), now: 0) == [])
        #expect(link.ballot == Ballot(promised: 4, candidate: "m:1"))
        #expect(link.tick(now: 0) == [.report], "the promise is on its way")
        _ = beat(&link, .standby(.init(term: 3, vote: .init(term: 4, candidate: "n:1"))), now: 0.1)
        #expect(link.ballot.candidate == "m:1")
        #expect(beat(&link, serving(4), now: 0.2) == [.joined(master: "m:1", isShunt: true)])
        #expect(link.ballot == Ballot(term: 4, version: 1, size: 1, promised: 4, candidate: "m:1"))
        _ = beat(&link, .standby(.init(term: 4, vote: .init(term: 4, candidate: "n:1"))), now: 0.3)
        #expect(link.ballot.candidate == "m:1", "that term is over")
    }

    @Test("It joins no master of an earlier term, and leaves one that serves no longer")
    func terms() {
        var link = link()
        _ = beat(&link, serving(5), now: 0)
        #expect(beat(&link, .standby(.init(term: 5)), now: 3) == [.close(why: "the master does not serve any longer")])
        _ = link.closed(why: "", now: 3, random: 1)
        _ = link.tick(now: 4)
        _ = link.connected(now: 4)
        #expect(beat(&link, serving(4), now: 4) == [.close(why: "the master serves in term 4, and another in 5 already")])
        _ = link.closed(why: "", now: 4, random: 1)
        _ = link.tick(now: 5)
        _ = link.connected(now: 5)
        #expect(beat(&link, .serving(mustReport: false, nil), now: 5).contains(.joined(master: "m:1", isShunt: true)))
        #expect(link.ballot == Ballot(), "a master without peers knows of no terms")
    }

    @Test("It waits a while at a master that names none, longest at the first of its list, with more heartbeats")
    func waits() {
        var link = link()
        _ = beat(&link, .standby(.init(term: 3)), now: 0)
        #expect(link.tick(now: 0.2) == [])
        #expect(link.tick(now: 0.3) == [.report])
        #expect(link.tick(now: 8.9) == [.report])
        #expect(link.tick(now: 9.1) == [.close(why: "the master does not serve, and names none that does")])
        _ = link.closed(why: "", now: 9.1, random: 1)
        #expect(link.tick(now: 9.5) == [.connect(to: "n:1")])
        _ = link.connected(now: 9.5)
        _ = beat(&link, .standby(.init(term: 3)), now: 9.5)
        #expect(link.tick(now: 14.1) == [.close(why: "the master does not serve, and names none that does")])
    }

    @Test("It tells when no serving master has answered for two heartbeats; a worker of a master without peers never does")
    func cutOff() {
        var link = link()
        _ = beat(&link, serving(5), now: 0)
        #expect(!link.tick(now: 6).contains(.cutOff(true)))
        #expect(link.tick(now: 6.1).contains(.cutOff(true)))
        _ = beat(&link, serving(5), now: 6.2)
        #expect(link.tick(now: 6.3).contains(.cutOff(false)))
        var single = self.link()
        _ = beat(&single, .serving(mustReport: false, nil), now: 0)
        #expect(!single.tick(now: 60).contains(.cutOff(true)))
    }

    @Test("Answers to reports change nothing of it")
    func reports() {
        var link = link()
        _ = beat(&link, serving(5), now: 0)
        _ = link.received(Frame(acknowledging: 77), now: 1)
        #expect(link.ballot.term == 5)
    }

    @Test("It looks for no earlier master where masters say which serves")
    func looks() {
        var link = MasterLink(masters: ["m:1", "n:1"], interval: 3, now: 0)
        _ = link.tick(now: 0)
        _ = link.closed(why: "refused", now: 0, random: 0)
        _ = link.tick(now: 1)
        _ = link.connected(now: 1)
        _ = beat(&link, serving(5), now: 1)
        for second in 2...30 {
            #expect(!link.tick(now: Double(second)).contains(.look(at: "m:1")))
            _ = beat(&link, serving(5), now: Double(second))
        }
    }
}

@Suite("A master's link to another")
struct PeerLinkTests {
    private func id(_ action: PeerLink.Action?) -> Int64? {
        guard case .send(let bytes)? = action else { return nil }
        return bytes.withUnsafeBytes { bytes in
            guard case .frame(let view) = FrameDecoder.decode(bytes) else { return nil }
            return view.id
        }
    }

    @Test("It asks four times a second, and begins again where no answer comes")
    func asks() throws {
        let (own, theirs) = (MasterStateBody(address: "a:1", term: 1, isServing: false), MasterStateBody(address: "b:1", term: 1, isServing: true))
        var link = PeerLink(to: "b:1", secret: nil, now: 0)
        #expect(link.tick(now: 0) == [.connect(to: "b:1")])
        #expect(link.tick(now: 1) == [])
        #expect(link.connected(now: 1) == [.state])
        let first = try #require(id(link.ask(own, now: 1).first))
        #expect(link.received(theirs.answer(to: first + 1), now: 1) == [])
        #expect(link.received(theirs.answer(to: first), now: 1) == [.heard(theirs)])
        #expect(link.tick(now: 1.2) == [])
        #expect(link.tick(now: 1.26) == [.state])
        _ = link.ask(own, now: 1.3)
        #expect(link.tick(now: 3.2) == [])
        #expect(link.tick(now: 3.4) == [.close(why: "it does not answer")])
        link.closed(now: 3.4)
        #expect(link.tick(now: 3.8) == [])
        #expect(link.tick(now: 3.9) == [.connect(to: "b:1")])
    }

    @Test("What is no answer of a master of this cluster ends the link, with why")
    func refused() throws {
        var link = PeerLink(to: "b:1", secret: nil, now: 0)
        _ = link.tick(now: 0)
        _ = link.connected(now: 0)
        let first = try #require(id(link.ask(MasterStateBody(address: "a:1", term: 1, isServing: false), now: 1).first))
        let answer = link.received(Frame(acknowledging: first, ShuntError(.requestUnsupported, "who?")), now: 1)
        #expect(answer == [.refused(why: "it says: who?"), .close(why: "it says: who?")])
    }

    @Test("It proves the cluster's token before it says anything, and has the other prove it")
    func proof() throws {
        let secret = LinkSecret.simulated(["token"])
        var link = PeerLink(to: "b:1", secret: secret, now: 0)
        _ = link.tick(now: 0)
        let hello = try #require(id(link.connected(now: 0).first))
        #expect(link.ask(MasterStateBody(address: "a:1", term: 1, isServing: false), now: 0) == [])
        let nonce = [UInt8](repeating: 7, count: 32)
        let prove = try #require(id(link.received(Frame(acknowledging: hello, text: LinkProof.text(of: nonce)), now: 0).first))
        let wrong = link.received(Frame(acknowledging: prove, text: LinkProof.text(of: nonce)), now: 0)
        #expect(wrong.count == 2 && wrong.last == .close(why: "it does not prove the cluster's token, or is no master of this cluster"))
    }
}
