import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("Guesses, flapping clients, rates and bans")
struct AbuseTests {
    private func address(_ text: String) -> PeerAddress { PeerAddress(host: text) ?? PeerAddress() }

    @Test("an address waits twice as long after each failure beyond the third, up to the longest, and is forgotten")
    func addresses() {
        var delays = FailureDelays()
        var now = 0.0
        let address = address("10.0.0.1")
        var waits: [Double] = []
        for _ in 0..<12 {
            #expect(delays.attempt(from: address, user: "", now: now) == .check)
            delays.failed(from: address, user: "", now: now)
            guard case .refuse(let wait) = delays.attempt(from: address, user: "", now: now) else {
                waits.append(0)
                continue
            }
            waits.append(wait)
            #expect(delays.attempt(from: address, user: "", now: now + wait * 0.99) != .check)
            now += wait
        }
        #expect(waits.prefix(3) == [0, 0, 0] && waits[3] == 0.5 && waits.last == 60)
        #expect(zip(waits, waits.dropFirst()).allSatisfy { $0 <= $1 && $1 <= max(0.5, $0 * 2) })
        #expect(delays.attempt(from: self.address("10.0.0.2"), user: "", now: now - 1) == .check)
        #expect(delays.count == 1)
        delays.forget(now: now + 3600)
        #expect(delays.count == 0)
    }

    @Test("10,000 guesses from one address take days")
    func guesses() {
        var delays = FailureDelays()
        var now = 0.0
        for _ in 0..<10_000 {
            if case .refuse(let wait) = delays.attempt(from: address("2001:db8::1"), user: "ann", now: now) { now += wait }
            delays.failed(from: address("2001:db8::1"), user: "ann", now: now)
        }
        #expect(now > 2 * 86_400)
    }

    @Test("a user that strangers guess at is held, for seconds at most, and never refused")
    func users() {
        var delays = FailureDelays()
        for number in 1...100 {
            let stranger = address("10.0.1.\(number)")
            if case .refuse = delays.attempt(from: stranger, user: "ann", now: 0) { Issue.record("refused") }
            delays.failed(from: stranger, user: "ann", now: 0)
        }
        #expect(delays.attempt(from: address("10.9.9.9"), user: "ann", now: 0) == .hold(5))
        #expect(delays.attempt(from: address("10.9.9.9"), user: "bob", now: 0) == .check)
        #expect(delays.attempt(from: address("127.0.0.1"), user: "ann", now: 0) == .hold(5))
    }

    @Test("a user who was right before from an address does not wait there for what others guess elsewhere; who guesses there does")
    func known() {
        var delays = FailureDelays()
        let home = address("10.0.0.1")
        delays.succeeded(from: home, user: "ann")
        delays.succeeded(from: address("127.0.0.1"), user: "ann")
        for number in 1...100 { delays.failed(from: address("10.0.1.\(number)"), user: "ann", now: 0) }
        #expect(delays.attempt(from: home, user: "ann", now: 0) == .check && delays.knows("ann", from: home))
        #expect(delays.attempt(from: address("10.0.0.2"), user: "ann", now: 0) == .hold(5))
        #expect(delays.attempt(from: address("127.0.0.1"), user: "ann", now: 0) == .hold(5), "anybody may come by a proxy of this machine")
        for _ in 1...4 { delays.failed(from: home, user: "bob", now: 0) }
        #expect(delays.attempt(from: home, user: "ann", now: 0) == .refuse(0.5))
        #expect(delays.refusal(of: home, now: 0.6) == nil)
    }

    @Test("addresses take turns; users who were right before go first; what waits and what is held is bounded")
    func turns() {
        var settings = LoginQueue<Int>.Settings()
        (settings.capacity, settings.perAddress, settings.heldPerUser) = (5, 3, 2)
        var queue = LoginQueue<Int>(settings)
        let flood = address("10.0.0.1"), other = address("10.0.0.2")
        let flooded = (1...5).map { queue.add($0, from: flood, isKnown: false) }
        #expect(flooded == [true, true, true, false, false])
        let others = [(10, other, false), (11, other, true), (12, address("10.0.0.3"), false), (13, address("10.0.0.4"), false)].map {
            queue.add($0.0, from: $0.1, isKnown: $0.2)
        }
        #expect(others == [true, true, true, false] && queue.count == 6)
        var order: [Int] = []
        while let next = queue.next() { order.append(next) }
        #expect(order == [11, 1, 10, 12, 2, 3] && queue.count == 0)
        let known = (1...4).map { queue.add($0, from: flood, isKnown: true) }
        #expect(known == [true, true, true, false])
        let held = ["ann", "ann", "ann", "bob"].map { queue.hold($0) }
        #expect(held == [true, true, false, true])
        queue.release("ann")
        let again = ["ann", "ann"].map { queue.hold($0) }
        #expect(again == [true, false])
    }

    @Test("this machine, where all may come through a proxy, is held for a second at most, and never refused", arguments: ["127.0.0.1", "::1"])
    func thisMachine(host: String) {
        var delays = FailureDelays()
        for number in 1...3 {
            #expect(delays.attempt(from: address(host), user: "user\(number)", now: 0) == .check)
            delays.failed(from: address(host), user: "user\(number)", now: 0)
        }
        for number in 4...100 { delays.failed(from: address(host), user: "user\(number)", now: 0) }
        #expect(delays.attempt(from: address(host), user: "ann", now: 0) == .hold(1))
        #expect(delays.attempt(from: address(host), user: "", now: 0) == .hold(1))
        #expect(delays.attempt(from: address("127.0.0.2"), user: "ann", now: 0) == .check)
        #expect(delays.attempt(from: PeerAddress(), user: "ann", now: 0) == .check)
    }

    @Test("what is remembered is bounded: the first make way")
    func bounds() {
        var settings = FailureDelays.Settings()
        settings.capacity = 100
        var delays = FailureDelays(settings)
        for number in 0..<1000 { delays.failed(from: address("10.0.\(number / 250).\(number % 250)"), user: "user\(number)", now: 0) }
        #expect(delays.count == 100)
        var table = BoundedTable<Int, Int>(capacity: 3)
        for key in 1...5 { table.set(key, to: key) }
        #expect((1...5).map { table[$0] } == [nil, nil, 3, 4, 5])
        table.remove { $0 == 4 }
        for key in 6...7 { table.set(key, to: key) }
        #expect((3...7).map { table[$0] } == [nil, nil, 5, 6, 7] && table.count == 3)
    }

    @Test("the fifteenth connect within a minute is refused, and all for five minutes")
    func flapping() {
        var flapping = Flapping()
        func connects(_ now: Double, _ id: String = "c1") -> Double? {
            flapping.connects(clientID: id, uid: "ann", address: address("10.0.0.1"), now: now)
        }
        for number in 0..<14 { #expect(connects(Double(number) * 4) == nil) }
        #expect(connects(59, "c2") == nil)
        #expect(connects(59) == 300)
        #expect(connects(60) == 299)
        #expect(connects(358.5) == 0.5)
        // It begins anew, and the time before does not count.
        for number in 0..<14 { #expect(connects(359 + Double(number)) == nil) }
        #expect(connects(380) == 300)
        // Slow clients may come as often as they like.
        for number in 0..<100 { #expect(connects(1000 + Double(number) * 5, "c3") == nil) }
        #expect(flapping.count == 3)
        flapping.forget(now: 10_000)
        #expect(flapping.count == 0)
    }

    @Test("clients are told apart by what is set, and nameless ones are not", arguments: Flapping.Key.allCases)
    func flappingKeys(key: Flapping.Key) {
        var settings = Flapping.Settings()
        settings.keys = [key]
        settings.connects = 3
        for varied in Flapping.Key.allCases {
            var flapping = Flapping(settings)
            let refusals = (0..<5).map { number in
                flapping.connects(
                    clientID: varied == .clientID ? "c\(number)" : "c", uid: varied == .uid ? "u\(number)" : "u",
                    address: address(varied == .address ? "10.0.0.\(number)" : "10.0.0.1"), now: 0)
            }
            let isAnother = varied == key || key == .clientID && varied == .uid
            #expect((refusals.last != .some(nil)) == !isAnother)
        }
        var flapping = Flapping(settings)
        let nameless = (0..<5).map { _ in flapping.connects(clientID: "", uid: "", address: address("127.0.0.1"), now: 0) }
        #expect(nameless.allSatisfy { $0 == nil } == (key != .address))
    }

    @Test("a bucket lets a burst through, then the rate, and more than the burst is paid off")
    func buckets() {
        var bucket = TokenBucket(rate: 10, burst: 5, now: 0)
        #expect((0..<5).map { _ in bucket.take(1, now: 0) } == [0, 0, 0, 0, 0])
        #expect(bucket.take(1, now: 0) == 0.1)
        #expect(bucket.take(1, now: 0) == 0.2)
        #expect(bucket.take(1, now: 10) == 0)
        #expect(bucket.take(104, now: 10) == 10)
        // A clock that goes back gives nothing.
        #expect(bucket.take(0, now: 5) == 10)
        #expect(bucket.take(0, now: 20) == 0)
    }

    @Test("a limit holds or disconnects by whichever is scarcer")
    func limits() {
        let messages = TokenBucket(rate: 1, burst: 2, now: 0)
        let bytes = TokenBucket(rate: 1000, burst: 1000, now: 0)
        var limit = RateLimit(messages: messages, bytes: bytes, policy: .hold)
        #expect(limit.take(bytes: 500, now: 0) == .pass)
        #expect(limit.take(bytes: 1500, now: 0) == .hold(1))
        #expect(limit.take(bytes: 0, now: 0) == .hold(1))
        var strict = RateLimit(messages: messages, policy: .disconnect)
        #expect([1, 2, 3].map { strict.take(bytes: $0, now: 0) } == [.pass, .pass, .disconnect])
        var open = RateLimit(policy: .disconnect)
        #expect(open.take(bytes: 1 << 30, now: 0) == .pass)
    }

    @Test("bans by name and address, until they are over")
    func bans() throws {
        var bans = Bans()
        for (text, until) in [
            ("client:c1", nil), ("uid:ann", 100), ("10.0.0.0/8", nil), ("10.1.0.0/16", 50), ("192.0.2.1", nil), ("2001:db8::/32", nil),
            ("::/64", nil),
        ] as [(String, Double?)] {
            try bans.add(Ban(try #require(BanSubject(text)), until: until, why: text))
        }
        func why(_ clientID: String, _ uid: String, _ host: String, _ now: Double = 0) -> String? {
            bans.ban(clientID: clientID, uid: uid, address: address(host), now: now)?.why
        }
        #expect(why("c1", "ann", "10.1.2.3") == "client:c1")
        #expect(why("", "ann", "10.1.2.3") == "uid:ann")
        #expect(why("", "ann", "9.1.2.3", 100) == nil)
        #expect(why("", "", "10.1.2.3") == "10.1.0.0/16")
        #expect(why("", "", "10.1.2.3", 50) == "10.0.0.0/8")
        #expect(why("", "", "192.0.2.1") == "192.0.2.1")
        #expect(why("", "", "192.0.2.2") == nil)
        #expect(why("", "", "2001:db8::5") == "2001:db8::/32")
        #expect(why("", "", "::7") == "::/64")
        #expect(bans.expire(now: 60).map(\.why) == ["10.1.0.0/16"])
        #expect(bans.remove(try #require(BanSubject("10.0.0.0/8"))))
        #expect(!bans.remove(try #require(BanSubject("10.0.0.0/8"))))
        #expect(why("", "", "10.1.2.3") == nil)
        #expect(bans.all.map(\.subject.description).sorted() == ["192.0.2.1/32", "2001:db8::/32", "::/64", "client:c1", "uid:ann"])
    }

    @Test("a client that flaps is refused without a look at its connects; others that were refused make nobody flap")
    func refusedWithoutCounting() {
        var settings = Flapping.Settings()
        settings.connects = 2
        var flapping = Flapping(settings)
        let refusal = { (flapping: Flapping, now: Double) in
            flapping.refusal(clientID: "c", uid: "", address: self.address("10.0.0.1"), now: now)
        }
        for _ in 0..<10 { #expect(refusal(flapping, 0) == nil) }
        let connects = [0.0, 1].map { flapping.connects(clientID: "c", uid: "", address: address("10.0.0.1"), now: $0) }
        #expect(connects == [nil, 300])
        #expect(refusal(flapping, 2) == 299 && refusal(flapping, 301) == nil)
        #expect(flapping.refusal(clientID: "", uid: "", address: address("10.0.0.1"), now: 2) == nil)
    }

    @Test("what cannot be banned", arguments: ["", "client:", "uid:a\u{0}b", "uid:", "10.0.0.1/8", "ann", "10.0.0.0/33"])
    func wrongSubjects(text: String) { #expect(BanSubject(text) == nil) }

    @Test("bans are bounded, and so are their reasons")
    func bannedTooMany() throws {
        var bans = Bans()
        for number in 0..<Bans.maximum { try bans.add(Ban(.client(ExactText("c\(number)")))) }
        #expect(throws: ShuntError.self) { try bans.add(Ban(.uid("ann"))) }
        try bans.add(Ban(.client("c1"), why: "again"))
        #expect(throws: ShuntError.self) { try bans.add(Ban(.client("c1"), why: String(repeating: "x", count: 1025))) }
        #expect(bans.count == Bans.maximum)
    }
}
