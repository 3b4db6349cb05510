import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Breakers: a rule that fails too often is switched off")
struct BreakerTests {
    @Test("a rule that fails too often is switched off, told once, and tried again later")
    func breaker() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 5, window = "10s", retry = "30s" }
            function R.on_message(msg) if msg.topic == "bad" then error("x") end return route.drop("ran") end
            """#)
        for client in 0..<5 { rig.send("bad", from: .client(client), now: 100) }
        #expect(rig.send("good", now: 101).verdict == .drop(why: "ran"))
        rig.send("bad", from: .client(5), now: 102)
        #expect(rig.rules.figures().map(\.isOff) == [true])
        #expect(rig.send("good", now: 103).verdict == .pass)
        #expect(rig.send("good", now: 131.9).verdict == .pass)
        #expect(rig.send("good", now: 132).verdict == .drop(why: "ran"))
        // Tried: those of two clients are enough now.
        for client in 0..<2 { rig.send("bad", from: .client(client), now: 133) }
        #expect(rig.send("good", now: 134).verdict == .pass)
        #expect(rig.send("good", now: 163).verdict == .drop(why: "ran"))
        for second in [174, 175, 176, 177, 178] { rig.send("bad", from: .client(second), now: Double(second)) }
        #expect(rig.send("good", now: 179).verdict == .drop(why: "ran"))
        #expect(rig.log.texts.count { $0.hasPrefix("switched off") } == 2)
        #expect(rig.log.texts.count { $0.hasPrefix("switched on") } == 2)
    }

    @Test("a rule that is tried again is not switched off by one client, nor by one address, however few errors its breaker bears", arguments: 1...30)
    func breakerTried(errors: Int) throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = \#(errors), window = "10s", retry = "1s" }
            function R.on_message(msg) if msg.topic == "bad" then error("x") end return route.drop("ran") end
            """#)
        for client in 0...errors { rig.send("bad", from: .client(client), now: 100) }
        #expect(rig.send("good", now: 100.5).verdict == .pass)
        for client in [50, 50] + Array(50..<100) {
            rig.clients.addresses[.client(client)] = PeerAddress(ipv4: 0x0A00_0001, port: UInt16(client))
            rig.send("bad", from: .client(client), now: 102)
            #expect(rig.send("good", now: 103).verdict == .drop(why: "ran"))
        }
    }

    @Test("errors that are spread out don't add up")
    func breakerWindow() throws {
        let rig = try RuleRig("R.breaker = { errors = 2, window = \"10s\" } function R.on_message() error(\"x\") end")
        for index in 0..<20 { rig.send(from: .client(index), now: Double(index) * 6) }
        #expect(rig.rules.figures().map(\.isOff) == [false])
        for index in 0..<3 { rig.send(from: .client(index), now: 500) }
        #expect(rig.rules.figures().map(\.isOff) == [true])
    }

    @Test(
        "one client's failures count once a window, whatever they are",
        arguments: [
            "error('x')", "while true do end", "local t = {} while true do t[#t + 1] = ('x'):rep(10000) .. #t end",
            "return route.fanout(table.pack(('x'):rep(2000):byte(1, -1)))", "return route.to(msg.topic .. ('x'):rep(2000))",
        ])
    func breakerOfOneClient(body: String) throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 5 }
            function R.on_message(msg) if msg.topic == "bad" then \#(body) end return route.drop("ran") end
            """#)
        for _ in 0..<20 { rig.send("bad") }
        #expect(rig.figures().errors.values.reduce(0, +) == 20)
        #expect(rig.send("good", from: .client(9)).verdict == .drop(why: "ran"))
        for client in 1...5 { rig.send("bad", from: .client(client)) }
        #expect(rig.send("good", from: .client(9)).verdict == .pass, "six clients are too many")
    }

    @Test("the first connection of a worker is a client as any other")
    func breakerOfTheFirstConnection() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 5 }
            function R.on_message(msg) if msg.topic == "bad" then error("x") end return route.drop("ran") end
            """#)
        for _ in 0..<20 { rig.send("bad", from: ConnectionID(loop: 0, slot: 0, generation: 0)) }
        #expect(rig.send("good", from: .client(9)).verdict == .drop(why: "ran"))
    }

    @Test("the failures of one address, by whatever connections, do not switch a rule off")
    func breakerOfOneAddress() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 20, retry = "30s" }
            function R.on_message(msg) if msg.topic == "bad" then error("x") end return route.drop("ran") end
            """#)
        func send(_ numbers: Range<Int>, from host: UInt32?, now: Double) {
            for number in numbers {
                rig.clients.addresses[.client(number)] = host.map { PeerAddress(ipv4: $0, port: UInt16(number)) }
                rig.send("bad", from: .client(number), now: now)
            }
        }
        send(0..<500, from: 0x0A00_0001, now: 100)
        #expect(rig.send("good", now: 101).verdict == .drop(why: "ran"))
        send(500..<600, from: 0x0A00_0002, now: 102)
        #expect(rig.send("good", now: 103).verdict == .drop(why: "ran"), "ten of each are twenty")
        send(600..<601, from: 0x0A00_0003, now: 104)
        #expect(rig.send("good", now: 105).verdict == .pass)
        // Tried again: a tenth is enough, but not one client's.
        send(0..<500, from: 0x0A00_0001, now: 135)
        #expect(rig.send("good", now: 136).verdict == .drop(why: "ran"))
        send(500..<600, from: 0x0A00_0002, now: 137)
        send(600..<601, from: 0x0A00_0003, now: 138)
        #expect(rig.send("good", now: 139).verdict == .pass)
        // Through a proxy on this machine all have one address: they count one by one.
        send(0..<21, from: 0x7F00_0001, now: 200)
        #expect(rig.send("good", now: 201).verdict == .pass)
    }

    @Test("an address fills the list of clients no further than its share: what nobody is known for goes on to count once")
    func listOfOneAddress() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 100 }
            function R.on_message(msg) if msg.topic == "bad" then error("x") end return route.drop("ran") end
            function R.on_deliver() error("y") end
            """#)
        for number in 0..<1100 {
            rig.clients.addresses[.client(number)] = PeerAddress(ipv4: 0x0A00_0001, port: UInt16(number))
            rig.send("bad", from: .client(number))
        }
        for _ in 0..<120 { _ = rig.deliver("bad") }
        #expect(rig.send("good").verdict == .drop(why: "ran"))
    }

    @Test("the recipients of one client's message are not blamed for it where they acknowledge it")
    func breakerOfAcknowledgements() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 5 }
            function R.on_acked() error("x") end
            function R.on_message() return route.drop("ran") end
            """#)
        for number in 0..<20 {
            var peer = Clients.peer(uid: "u\(number)")
            peer.id = .client(number)
            rig.clients.known[peer.id] = peer
            rig.withMessage(.topic, "t", "x") { rig.rules.onAcked($0, by: peer.id, now: 1000) }
        }
        #expect(rig.figures("on_acked").errors == [.ruleFailed: 20])
        #expect(rig.send().verdict == .drop(why: "ran"))
    }

    @Test("who fills the room for delayed messages switches no rule off for the others")
    func breakerOfDelays() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 5 }
            function R.on_message(msg) if msg.topic == "later" then return route.delay(60) end return route.drop("ran") end
            """#)
        rig.rules.setDelayRoom(messages: 1, bytes: 1 << 20)
        for number in 0..<20 { rig.send("later", from: .client(number)) }
        #expect(rig.figures().errors == [.delayLimit: 19])
        #expect(rig.send("now").verdict == .drop(why: "ran"))
    }

    @Test("clients of another loop are of one network where their addresses are", arguments: [("2001:db8:0:1::", false), ("2001:db8:0:", true)])
    func networkOfText(prefix: String, isOff: Bool) throws {
        let rig = try RuleRig("R.breaker = { errors = 5 } function R.on_message() error('x') end")
        for number in 1...20 {
            let host = prefix + String(number, radix: 16) + (isOff ? "::1" : "")
            rig.clients.known[.client(number)] = Peer(
                id: .client(number), uid: "u", device: "d", tags: [], alias: [], protocolName: "exchange", address: "[\(host)]:5000", connectedAt: 0)
            rig.send(from: .client(number))
        }
        #expect(rig.rules.figures().map(\.isOff) == [isOff])
    }

    @Test("a guard that is switched off lets nobody through")
    func breakerGuard() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 0 }
            R.on_error = "reject"
            function R.on_message() error("x") end
            function R.on_connect() end
            """#)
        rig.send()
        #expect(rig.send().verdict == .reject(why: "rule rule is switched off"))
        #expect(rig.rules.onConnect(Clients.peer(), now: 1000) == .reject(why: "rule rule is switched off"))
        #expect(rig.figures().calls == 1)
    }
}
