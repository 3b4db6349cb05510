import ShuntCore
import Testing

@testable import ShuntRules

/// Look-ups whose answers a test gives when it likes.
final class HeldLookups: RuleLookups {
    var asked: [(call: UInt64, lookup: RuleLookup, timeLimit: Double)] = []
    var known: [String: LookupAnswer] = [:]
    var refused: Set<String> = []
    var patience = 5.0

    func allows(_ plugin: String) -> Bool { plugin != "denied" }
    func patience(of plugin: String) -> Double { patience }

    func lookUp(_ lookup: RuleLookup, of plugin: String, timeLimit: Double, call: UInt64) -> LookupStep {
        let target =
            switch lookup.what {
            case .get(let target), .post(let target, _), .resolve(let target): target
            }
        if let answer = known[target] { return .known(answer) }
        if refused.contains(target) { return .refused("\(target) is not on the list") }
        asked.append((call, lookup, timeLimit))
        return .waits
    }

    /// Answers the first that waits.
    func answer(_ body: String, _ rig: RuleRig, now: Double = 2) -> WaitedOutcome? {
        answer(.response(status: 200, headers: ["server": "x"], body: Array(body.utf8)), rig, now: now)
    }

    func answer(_ answer: LookupAnswer, _ rig: RuleRig, now: Double = 2) -> WaitedOutcome? {
        rig.rules.lookedUp(asked.removeFirst().call, answer, now: now)?.1
    }
}

@Suite("Look-ups: calls that wait while others go on")
struct LookupTests {
    private func rig(_ text: String) throws -> (RuleRig, HeldLookups) { try with(RuleRig(text)) }

    private func with(_ rig: RuleRig) throws -> (RuleRig, HeldLookups) {
        let lookups = HeldLookups()
        rig.rules.lookups = lookups
        return (rig, lookups)
    }

    private func peer(_ number: Int, uid: String) -> Peer {
        var peer = Clients.peer(uid: uid)
        peer.id = .client(number)
        return peer
    }

    @Test("What a call has read of a will stays out of the log when the call goes on, others meanwhile or not; so does a large one")
    func keepsWills() throws {
        let (rig, lookups) = try rig(
            #"""
            function R.on_connect(conn)
              local farewell = conn.will.payload
              http.get("https://auth/" .. conn.uid)
              log.warn("of " .. conn.uid .. ": " .. farewell:sub(1, 40))
            end
            """#)
        let wills = ["ada": "my last words are these", "bob": String(repeating: "all of these many words ", count: 4_000)]
        for (number, uid) in ["ada", "bob"].enumerated() {
            var peer = peer(number, uid: uid)
            peer.mqtt = Peer.MQTT(
                clientID: uid, version: "5.0", keepAlive: 0,
                will: Peer.Will(topic: Array("t".utf8), payload: Array((wills[uid] ?? "").utf8), qos: .atMostOnce, isRetained: false))
            rig.clients.known[peer.id] = peer
            #expect(rig.rules.onConnect(peer, now: 1) == .waits)
        }
        _ = lookups.answer("", rig)
        _ = lookups.answer("", rig)
        #expect(rig.log.texts == [hiddenNotice, hiddenNotice])
    }

    @Test("on_connect waits, others are decided meanwhile, and each gets its own answer")
    func connects() throws {
        let (rig, lookups) = try rig(
            #"""
            function R.on_connect(conn)
              if conn.uid == "plain" then return conn:with { tags = { "now" } } end
              local answer = http.get("https://auth/" .. conn.uid, { headers = { Authorization = "x" }, timeout = "1s", cache = "60s" })
              return conn:with { uid = conn.uid .. ":" .. answer.body .. answer.status .. answer.headers.server }
            end
            """#)
        for (number, uid) in ["ada", "bob"].enumerated() { #expect(rig.rules.onConnect(peer(number, uid: uid), now: 1) == .waits) }
        #expect(rig.rules.onConnect(peer(7, uid: "plain"), now: 1) == .acceptAs(uid: nil, tags: ["now"], alias: nil))
        let first = lookups.asked[0]
        #expect(first.lookup.what == .get("https://auth/ada") && first.lookup.headers == ["Authorization: x"])
        #expect(first.timeLimit == 1 && first.lookup.cache == 60)
        #expect(
            rig.rules.lookedUp(lookups.asked[1].call, .response(status: 201, headers: ["server": "s"], body: [0x42]), now: 2)?.1
                == .connect(.acceptAs(uid: "bob:B201s", tags: nil, alias: nil)))
        #expect(lookups.answer("A", rig) == .connect(.acceptAs(uid: "ada:A200x", tags: nil, alias: nil)))
        #expect(rig.figures("on_connect").calls == 3)
        // Answered once.
        #expect(rig.rules.lookedUp(first.call, .failed("again"), now: 3) == nil)
    }

    @Test("a call may emit as much with look-ups as without")
    func emits() throws {
        let (rig, lookups) = try rig(
            #"""
            function R.on_connect(conn, ctx)
              local emitted, why = 0, nil
              for part = 1, 3 do
                for i = 1, 60 do
                  local ok, text = pcall(ctx.emit, ctx, route.message { topic = "t", payload = "x" })
                  if ok then emitted = emitted + 1 else why = text end
                end
                http.get("http://a/")
              end
              log.info(emitted .. " " .. why)
            end
            """#)
        #expect(rig.rules.onConnect(peer(0, uid: "u"), now: 1) == .waits)
        for _ in 0..<3 { _ = lookups.answer("", rig) }
        #expect(rig.log.texts.contains { $0.hasPrefix("100 ") && $0.contains("ctx:emit of more than 100 messages in a call") }, "\(rig.log.texts)")
    }

    @Test("the rules behind one that waits run after its answer, in order, and see what those before have changed")
    func chain() throws {
        let (rig, lookups) = try with(
            RuleRig(files: [
                "a/rule.lua": #"return { priority = 3, on_connect = function(c) return c:with { tags = { "t" } } end }"#,
                "b/rule.lua":
                    #"return { priority = 2, on_connect = function(c) return c:with { uid = c.uid .. http.get("http://b/").body } end }"#,
                "c/rule.lua": #"""
                return { priority = 1, on_connect = function(c)
                  return c:with { alias = { c.uid .. c.tags[1] .. http.get("http://c/").body } }
                end }
                """#,
                "d/rule.lua": #"return { on_connect = function(c) if c.alias[1] ~= "u1Bt!" then return route.reject(c.alias[1]) end end }"#,
            ]))
        #expect(rig.rules.onConnect(peer(1, uid: "u1"), now: 1) == .waits)
        // Other calls of the same states come between.
        for number in 2...20 { #expect(rig.rules.onConnect(peer(number, uid: "other"), now: 1) == .waits) }
        #expect(lookups.answer("B", rig) == nil)
        let last = lookups.asked.removeLast()
        #expect(last.lookup.what == .get("http://c/"))
        #expect(
            rig.rules.lookedUp(last.call, .response(status: 200, headers: [:], body: Array("!".utf8)), now: 2)?.1
                == .connect(.acceptAs(uid: "u1B", tags: ["t"], alias: ["u1Bt!"])))
    }

    @Test("pcall holds over a look-up; failures are nil and why; what the list refuses is raised")
    func failures() throws {
        let (rig, lookups) = try rig(
            #"""
            function R.on_connect(conn)
              local ok, answer, why = pcall(function() return http.get("http://slow/") end)
              local raised, text = pcall(http.get, "http://forbidden/")
              local found = resolve("name")
              local fine, broken = pcall(function() local x <close> = nil http.get("http://last/") error("after") end)
              return route.reject(tostring(ok) .. tostring(answer) .. why .. "|" .. tostring(raised) .. text .. "|" .. found[2] .. "|" .. broken)
            end
            """#)
        lookups.refused = ["http://forbidden/"]
        #expect(rig.rules.onConnect(peer(1, uid: "u"), now: 1) == .waits)
        #expect(lookups.answer(.failed("timed out"), rig) == nil)
        #expect(lookups.answer(.addresses(["192.0.2.1", "::1"]), rig) == nil)
        let end = lookups.answer("", rig)
        guard case .connect(.reject(let why))? = end else { return #expect(Bool(false), "\(String(describing: end))") }
        #expect(why.hasPrefix("trueniltimed out|falsehttp.get: http://forbidden/ is not on the list") || why.contains("is not on the list|::1|"))
        #expect(why.hasSuffix(": after"))
    }

    @Test("a version behind a rule that waits is called for those whose answers are there")
    func watched() throws {
        let (rig, lookups) = try with(
            RuleRig(files: [
                "asks/rule.lua": #"return { priority = 1, on_connect = function() http.get("http://a/") end }"#,
                "last/rule.lua": "return { on_connect = function() end }",
            ]))
        #expect(rig.rules.replace(with: rig.rules.set, watching: ["last"], now: 1) == nil)
        for number in 1...3 { #expect(rig.rules.onConnect(peer(number, uid: "u"), now: 1) == .waits) }
        func callers() -> Set<UInt64>? { rig.rules.figures().last?.current["on_connect"]?.callers }
        #expect(callers() == [])
        for number in 1...2 {
            #expect(lookups.answer("", rig) == .connect(.accept))
            #expect(callers() == Set((1...number).map { ConnectionID.client($0).raw }))
        }
    }

    @Test("each rule of a client waits as long as it may, however long the one before has waited", arguments: [false, true])
    func ownPatience(isSubscribing: Bool) throws {
        func asks(_ name: String, _ priority: Int) -> String {
            """
            local function ask()
              local answer, why = http.get("http://\(name)/") log.info("\(name) " .. (why or answer.body))
              answer, why = http.get("http://\(name)/") log.info("\(name) " .. (why or answer.body))
            end
            return { priority = \(priority), on_connect = ask, on_subscribe = ask }
            """
        }
        let (rig, lookups) = try with(RuleRig(files: ["a/rule.lua": asks("a", 1), "b/rule.lua": asks("b", 0)]))
        if isSubscribing {
            #expect(rig.rules.onSubscribe(SubscriptionRequest(topic: "t", group: "g"), from: .client(1), now: 1) == .waits)
        } else {
            #expect(rig.rules.onConnect(peer(1, uid: "u"), now: 1) == .waits)
        }
        #expect(lookups.asked[0].timeLimit == 5)
        // The first has used up its time with one look-up; the time of the second begins.
        #expect(lookups.answer(.failed("timed out"), rig, now: 6) == nil)
        #expect(lookups.asked.map(\.timeLimit) == [5])
        #expect(lookups.answer("x", rig, now: 8) == nil)
        #expect(lookups.asked.map(\.timeLimit) == [3])
        _ = lookups.answer("y", rig, now: 9)
        #expect(rig.log.texts == ["a timed out", "a timed out: the call has waited as long as it may", "b x", "b y"])
    }

    @Test("a metamethod that the rule's own code leads to waits", arguments: ["t.x", "t + 1", "#t", "t == u", "t()", "t < u"])
    func metamethods(code: String) throws {
        let (rig, lookups) = try rig(
            #"""
            local function ask() return http.get("http://a/").body end
            local type = { __index = ask, __add = ask, __len = ask, __eq = ask, __call = ask, __lt = ask }
            local t, u = setmetatable({}, type), setmetatable({}, type)
            function R.on_connect(conn) return route.reject(tostring(\#(code))) end
            """#)
        #expect(rig.rules.onConnect(peer(1, uid: "u"), now: 1) == .waits)
        let end = lookups.answer("found", rig)
        #expect(end == .connect(.reject(why: "found")) || end == .connect(.reject(why: "true")))
    }

    @Test(
        "where nobody waits a look-up is an error that says so",
        arguments: [
            (#"http.get("http://a/")"#, "on_message", "on_connect, on_auth, on_register and on_subscribe"),
            (#"coroutine.wrap(function() http.get("http://a/") end)()"#, "on_connect", "coroutine of the rule's own"),
            (#"table.sort({ 2, 1 }, function(a, b) http.get("http://a/") end)"#, "on_connect", "a function that a library calls"),
            (
                #"tostring(setmetatable({}, { __tostring = function() return http.get("http://a/").body end }))"#, "on_connect",
                "a function that a library calls"
            ),
            (#"http.get("http://a/", { headers = { X = "\xff" } })"#, "on_connect", "not UTF-8"),
            (#"coroutine.yield(1)"#, "on_connect", "attempt to yield from outside a coroutine"),
            (#"http.get("http://a/", { headers = { ["X\r\nEvil"] = "1" } })"#, "on_connect", "a header's name"),
            (#"http.get("http://a/", { headers = { X = "1\r\nEvil: 1" } })"#, "on_connect", "control character"),
            (#"http.get("http://a/", { headers = { Host = "b" } })"#, "on_connect", "not a rule's to set"),
            (#"http.get("http://a/", { cache = "1 day" })"#, "on_connect", "cache is a duration"),
            (#"http.get("http://a/", { timeut = "1s" })"#, "on_connect", "headers, timeout and cache, not timeut"),
            (#"http.get(nil)"#, "on_connect", "takes a text"),
            (#"for i = 1, 17 do http.get("http://known/") end"#, "on_connect", "at most 16 look-ups"),
        ])
    func places(code: String, hook: String, expected: String) throws {
        let (rig, lookups) = try rig(
            "function R.on_connect() \(hook == "on_connect" ? code : "") end function R.on_message() \(hook == "on_message" ? code : "") end")
        lookups.known = ["http://known/": .response(status: 200, headers: [:], body: [])]
        if hook == "on_connect" {
            #expect(rig.rules.onConnect(peer(1, uid: "u"), now: 1) == .reject(why: "rule rule failed"))
        } else {
            _ = rig.send("a/b", "x")
        }
        #expect(rig.rules.failure?.contains(expected) == true, "\(rig.rules.failure ?? "no failure")")
        #expect(lookups.asked.isEmpty)
    }

    @Test("a rule that the configuration allows nothing has its hooks called as ever, and may ask nothing")
    func denied() throws {
        let (rig, _) = try with(RuleRig(files: ["denied/rule.lua": #"return { on_connect = function(c) http.get("http://a/") end }"#]))
        #expect(rig.rules.onConnect(peer(1, uid: "u"), now: 1) == .reject(why: "rule denied failed"))
        #expect(rig.rules.failure?.contains("see rules.lookups in the configuration") == true)
        #expect(!rig.rules.wanted.contains(.lookups))
    }

    @Test("a client that goes, a reload and an end give the calls up; 10,000 that wait are freed with what they held")
    func abandons() throws {
        let (rig, lookups) = try rig(
            #"""
            function R.on_connect(c)
              local kept = ("x"):rep(100) .. c.uid
              http.get("http://a/" .. c.uid)
              return route.reject(kept)
            end
            """#)
        func wait(_ count: Int) -> Int {
            (0..<count).count { rig.rules.onConnect(peer($0, uid: "u\($0)"), now: 1) == .waits }
        }
        #expect(wait(10_000) == 10_000)
        let full = rig.rules.memory
        for number in 0..<9_999 { rig.rules.abandon(.client(number)) }
        #expect(lookups.asked.dropLast().allSatisfy { rig.rules.lookedUp($0.call, .failed("late"), now: 2) == nil })
        #expect(wait(9_999) == 9_999)
        #expect(rig.rules.memory < full * 2)
        let call = lookups.asked.last
        #expect(rig.rules.replace(with: rig.rules.set, now: 2) == nil)
        rig.rules.settle()
        #expect(call.map { rig.rules.lookedUp($0.call, .failed("late"), now: 2) == nil } == true)
        #expect(wait(3) == 3)
        rig.rules.stop(now: 3)
    }

    @Test("the budget counts running alone, over all parts of a call; waiting has a limit of its own")
    func budgets() throws {
        let (rig, lookups) = try rig(
            #"""
            function R.on_connect(c)
              for i = 1, 10 do
                local answer, why = http.get("http://a/")
                if not answer then return route.reject(why) end
                if c.uid == "busy" then for j = 1, 1e9 do end end
              end
            end
            """#)
        lookups.patience = 3
        #expect(rig.rules.onConnect(peer(1, uid: "idle"), now: 1) == .waits)
        #expect(lookups.answer("", rig, now: 3) == nil)
        #expect(lookups.asked[0].timeLimit == 1)
        #expect(rig.rules.overdueLookups(now: 3.5).isEmpty)
        #expect(rig.rules.overdueLookups(now: 4.5) == [lookups.asked[0].call])
        #expect(lookups.answer("", rig, now: 5) == .connect(.reject(why: "timed out: the call has waited as long as it may")))
        #expect(rig.rules.onConnect(peer(2, uid: "busy"), now: 1) == .waits)
        #expect(lookups.answer("", rig) == .connect(.reject(why: "rule rule failed")))
        #expect(rig.figures("on_connect").errors == [.ruleTime: 1])
        // The state is as good as before.
        #expect(rig.rules.onConnect(peer(3, uid: "idle"), now: 1) == .waits)
    }

    @Test("on_subscribe waits, and what it returns then counts")
    func subscribes() throws {
        let (rig, lookups) = try rig(
            #"""
            function R.on_subscribe(sub)
              local answer = http.post("http://acl/", { topic = sub.topic }):json()
              return sub:with { topic = answer.topic, qos = 0 }
            end
            """#
        )
        rig.clients.known[.client(1)] = peer(1, uid: "u")
        let request = SubscriptionRequest(topic: "a/+", group: "g", key: "k", qos: .exactlyOnce)
        #expect(rig.rules.onSubscribe(request, from: .client(1), now: 1) == .waits)
        #expect(lookups.asked[0].lookup.what == .post("http://acl/", body: Array(#"{"topic":"a/+"}"#.utf8)))
        #expect(
            lookups.answer(#"{"topic":"b"}"#, rig)
                == .subscribe(.acceptAs(SubscriptionRequest(topic: "b", group: "g", key: "k", qos: .atMostOnce))))
    }

    @Test("a rule that is switched off while another waits lets nobody through")
    func offMeanwhile() throws {
        let (rig, lookups) = try with(
            RuleRig(files: [
                "a/rule.lua": #"return { priority = 2, on_connect = function(c) if c.uid ~= "x" then http.get("http://a/") end end }"#,
                "b/rule.lua": #"return { on_connect = function(c) error("broken") end, breaker = { errors = 0, window = "10s", retry = "30s" } }"#,
            ]))
        #expect(rig.rules.onConnect(peer(1, uid: "u"), now: 1) == .waits)
        for number in 2...4 { _ = rig.rules.onConnect(peer(number, uid: "x"), now: 1) }
        #expect(lookups.answer("", rig) == .connect(.reject(why: "rule b is switched off")))
    }

    @Test("on_auth: steps go on with what the rule remembers")
    func authenticates() throws {
        let (rig, lookups) = try rig(
            #"""
            function R.on_auth(conn, data)
              if conn.auth_method ~= "HMAC" then return end
              local nonce = kv.get(conn.client_id)
              if not nonce then kv.set(conn.client_id, "n1", 60) return route.continue("n1") end
              local secret = http.get("http://keys/" .. conn.client_id)
              if data ~= hash.hmac(secret.body, nonce) then return route.reject("wrong answer") end
              return conn:with { uid = "proved", tags = { "t" } }
            end
            """#)
        var client = peer(1, uid: "")
        client.mqtt = Peer.MQTT(clientID: "c1", version: "5.0", keepAlive: 0)
        client.mqtt?.authMethod = "HMAC"
        rig.clients.known[client.id] = client
        func step(_ data: String) -> AuthOutcome { rig.rules.onAuth(client, AuthStep(method: "HMAC", data: Array(data.utf8), number: 1), now: 1) }
        #expect(step("") == .proceed(data: Array("n1".utf8)))
        #expect(step("guess") == .waits)
        #expect(lookups.answer("key", rig) == .auth(.reject(why: "wrong answer")))
        #expect(step("80ea7b4d8b4dff2f9c2a1d2b6a4ab15f") == .waits)
        rig.rules.abandon(client.id)
        client.mqtt?.authMethod = "OTHER"
        rig.clients.known[client.id] = client
        #expect(step("") == .unknown)
    }
}

@Suite("What rules may ask")
struct LookupTargetTests {
    @Test("a URL is read strictly, and written in one way")
    func reads() throws {
        #expect(try LookupTarget("HTTPS://Auth.Internal.:8443/a?b=%20c").url == "https://auth.internal:8443/a?b=%20c")
        #expect(try LookupTarget("http://auth").url == "http://auth:80/")
        #expect(try LookupTarget("http://auth?x=1").url == "http://auth:80/?x=1")
        #expect(try LookupTarget("http://[::1]:8080/").authority == "[0:0:0:0:0:0:0:1]:8080")
    }

    @Test(
        "what is no plain URL is none",
        arguments: [
            "file:///etc/passwd", "gopher://a/", "//a/", "a", "http:/a", "http://", "http:///x", "http://user@a/", "http://a:b@c/",
            "http://allowed@evil/", "http://allowed#@evil/", "http://allowed\\@evil/", "http://a b/", "http://a/\r\nHost: b", "http://a/\u{0}",
            "http://a\u{0}.evil/", "http://a:0/", "http://a:65536/", "http://a:80:80/", "http://a:/", "http://[::1", "http://[::1]x/",
            "http://[::ffff:127.0.0.1]/",
            "http://::1/", "http://%61/", "http://a/#f", "http://ä/", "http://a..b/", "http://.a/", "http://a,b/", "http://[fe80::1%25eth0]/",
        ])
    func refuses(url: String) { #expect(throws: ShuntError.self) { try LookupTarget(url) } }

    @Test("a list allows just what it names")
    func allows() throws {
        func allows(_ entry: String, _ url: String) -> Bool {
            guard let host = LookupHost(entry), let target = try? LookupTarget(url) else { return false }
            return host.allows(target)
        }
        #expect(allows("auth.internal:8080", "http://AUTH.internal.:8080/x") && allows("auth.internal:8080", "https://auth.internal:8080/x"))
        #expect(!allows("auth.internal:8080", "http://auth.internal/x") && !allows("auth.internal:8080", "http://xauth.internal:8080/"))
        #expect(allows("auth.internal", "http://auth.internal/") && allows("auth.internal", "https://auth.internal:443/"))
        #expect(!allows("auth.internal", "http://auth.internal:443/") && !allows("https://auth.internal", "http://auth.internal/"))
        #expect(allows("[::1]:80", "http://[0:0::0:1]/") && !allows("127.0.0.1", "http://2130706433/") && !allows("127.0.0.1", "http://0x7f.1/"))
        #expect(LookupHost("auth.internal/path") == nil && LookupHost("*") == nil && LookupHost("a@b") == nil && LookupHost("") == nil)
        #expect(LookupName("*.example.com")?.allows("a.b.example.com") == true && LookupName("*.example.com")?.allows("example.com") == false)
        #expect(LookupName("*.example.com")?.allows("badexample.com") == false && LookupName("*")?.allows("a") == true)
        #expect(LookupName("a.*") == nil && LookupName("A.b.")?.allows("a.b") == true)
    }
}
