import Glibc
import ShuntCore
import Testing

@testable import ShuntRules

/// Such as a hypervisor makes: the thread's processor clock runs on, and no signal comes through.
private func pause(milliseconds: Double) {
    var (all, before) = (sigset_t(), sigset_t())
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    let clock = ThreadClock()
    while clock.milliseconds < milliseconds {}
    pthread_sigmask(SIG_SETMASK, &before, nil)
}

/// The thread pauses, once a message, when a rule asks for a client.
private final class PausingClients: PeerDirectory {
    let milliseconds: Double
    var pauses = 0
    var isDue = true

    init(milliseconds: Double) { self.milliseconds = milliseconds }

    func peer(_ id: ConnectionID) -> Peer? {
        if isDue {
            pause(milliseconds: milliseconds)
            pauses += 1
        }
        isDue.toggle()
        return Clients.peer()
    }
    func address(of id: ConnectionID) -> PeerAddress? { nil }
    func close(_ id: ConnectionID, why: String, by rule: String) {}
    func failed(_ rule: String, _ code: ErrorCode, on message: MessageView) {}
}

/// The thread pauses when a rule looks something up, and the look-up waits.
private final class PausingLookups: RuleLookups {
    var asked: [UInt64] = []

    func allows(_ plugin: String) -> Bool { true }
    func patience(of plugin: String) -> Double { 5 }

    func lookUp(_ lookup: RuleLookup, of plugin: String, timeLimit: Double, call: UInt64) -> LookupStep {
        pause(milliseconds: 300)
        asked.append(call)
        return .waits
    }
}

@Suite("A thread that is held up in the middle of a call")
struct PausedThreadTests {
    /// Some tenths of a millisecond.
    private static let work = "for i = 1, 20000 do n = n + i end"

    private func rig(_ files: [String: String], pauses: Double) throws -> (RuleRig, PausingClients) {
        let rig = try RuleRig(files: files, limits: RuleLimits())
        let clients = PausingClients(milliseconds: pauses)
        rig.rules.peers = clients
        return (rig, clients)
    }

    @Test("the call is not ended, be the pause ten times its budget")
    func call() throws {
        let (rig, clients) = try rig(
            ["a/rule.lua": "return { on_message = function(msg) local n = #msg.sender.uid \(Self.work) return route.drop('ran') end }"], pauses: 20)
        for _ in 0..<20 { #expect(rig.send().verdict == .drop(why: "ran"), "\(rig.log.texts)") }
        #expect(clients.pauses == 20)
    }

    @Test("one that goes on for ever is ended")
    func endless() throws {
        let (rig, _) = try rig(["a/rule.lua": "return { on_message = function(msg) local uid = msg.sender.uid while true do end end }"], pauses: 20)
        let clock = ThreadClock()
        rig.send()
        #expect(rig.figures().errors == [.ruleTime: 1])
        #expect(clock.milliseconds < 40)
    }

    @Test("the message's other rules are asked")
    func turn() throws {
        let (rig, clients) = try rig(
            [
                "a/rule.lua": "return { priority = 2, on_message = function(msg) local uid = msg.sender.uid end }",
                "b/rule.lua": "return { on_message = function() return route.drop('ran') end }",
            ], pauses: 25)
        for _ in 0..<20 {
            rig.rules.beginTurn()
            for _ in 0..<3 { #expect(rig.send().verdict == .drop(why: "ran"), "\(rig.log.texts)") }
        }
        #expect(clients.pauses == 60)
    }

    @Test("what it does after a look-up has time left")
    func waiting() throws {
        let rig = try RuleRig(
            """
            R.budget = { time = "100ms" }
            function R.on_connect(conn)
              http.get("http://a/")
              local n = 0
              for _ = 1, 40 do \(Self.work) end
              return conn:with { tags = { "ran" } }
            end
            """, limits: RuleLimits())
        let lookups = PausingLookups()
        rig.rules.lookups = lookups
        #expect(rig.rules.onConnect(Clients.peer(), now: 1) == .waits)
        let outcome = rig.rules.lookedUp(lookups.asked[0], .response(status: 200, headers: [:], body: []), now: 2)?.1
        #expect(outcome == .connect(.acceptAs(uid: nil, tags: ["ran"], alias: nil)), "\(rig.log.texts)")
    }
}
