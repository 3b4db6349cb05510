import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("The other hooks, and what rules see")
struct HookTests {
    @Test("what a rule has made of another client, or in another call, is no answer for this one")
    func otherClients() throws {
        let rig = try RuleRig(
            files: [
                "a/rule.lua": #"""
                local R, kept = { priority = 2, on_error = "pass" }, {}
                function R.on_connect(conn)
                  kept.change = kept.change or conn:with { tags = { "first" } }
                  kept.conn = kept.conn or conn
                  if conn.uid == "second" then return kept.change end
                  if conn.uid == "third" then return kept.conn:with { tags = { "first" } } end
                  if conn.uid == "fourth" then return sessions.find { uid = "u1" }[1]:with { tags = { "first" } } end
                  return kept.change
                end
                function R.on_subscribe(sub)
                  kept.sub = kept.sub or sub:with { qos = 0 }
                  return kept.sub
                end
                return R
                """#,
                "b/rule.lua": #"return { priority = 1, on_connect = function(conn) return route.reject(conn.uid .. #conn.tags) end }"#,
            ])
        func asked(_ uid: String) -> ConnectOutcome { rig.rules.onConnect(Clients.peer(uid: uid), now: 1) }
        #expect(asked("first") == .reject(why: "first1"))
        for uid in ["second", "third", "fourth"] { #expect(asked(uid) == .reject(why: uid + "0"), "\(rig.log.texts)") }
        #expect(rig.log.texts.filter { $0.contains("on_connect returned a conn:with{} of another client") }.count >= 1, "\(rig.log.texts)")
        let request = SubscriptionRequest(topic: "t", group: "g", key: nil, qos: .exactlyOnce)
        #expect(rig.rules.onSubscribe(request, from: Clients.peer().id, now: 1) != .accept)
        #expect(rig.rules.onSubscribe(request, from: Clients.peer().id, now: 1) == .accept)
        #expect(rig.figures("on_subscribe").errors == [.ruleFailed: 1])
    }

    @Test("on_connect lets in, changes, rejects or redirects; a failing rule rejects")
    func connect() throws {
        let rig = try RuleRig(
            #"""
            function R.on_connect(conn, ctx)
              if conn.uid == "plain" then return end
              if conn.uid == "change" then return conn:with { uid = "new", tags = { "a", "b" } } end
              if conn.uid == "no" then return route.reject("not you") end
              if conn.uid == "go" then return route.redirect("10.0.0.2:4091") end
              error("broken")
            end
            """#)
        func connect(_ uid: String) -> ConnectOutcome { rig.rules.onConnect(Clients.peer(uid: uid, alias: ["x"]), now: 1) }
        #expect(connect("plain") == .accept)
        #expect(connect("change") == .acceptAs(uid: "new", tags: ["a", "b"], alias: nil))
        #expect(connect("no") == .reject(why: "not you"))
        #expect(connect("go") == .redirect(to: "10.0.0.2:4091"))
        #expect(connect("other") == .reject(why: "rule rule failed"))
        #expect(rig.figures("on_connect").verdicts == ["pass": 1, "replace": 1, "reject": 1, "redirect": 1])
    }

    @Test("what one rule changes of a client, the next one sees")
    func connectChain() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": #"return { priority = 2, on_connect = function(c) return c:with { tags = { "t1" }, alias = {} } end }"#,
            "b/rule.lua":
                #"return { priority = 1, on_connect = function(c) return c:with { uid = c.uid .. "-" .. c.tags[1] .. #c.alias .. c.groups[1] .. c.device } end }"#,
        ])
        #expect(rig.rules.onConnect(Clients.peer(uid: "u", alias: ["x"]), now: 1) == .acceptAs(uid: "u-t10gd1", tags: ["t1"], alias: []))
    }

    @Test("on_subscribe accepts, changes or rejects; the subscriber is sub.sender")
    func subscribe() throws {
        let rig = try RuleRig(
            #"""
            function R.on_subscribe(sub, ctx)
              if sub.topic == "plain" then return end
              if sub.topic == "change" then return sub:with { topic = sub.sender.uid .. "/" .. sub.key, group = "g2" } end
              if sub.topic == "bad" then return sub:with { topic = "a/#/b" } end
              return route.reject("not " .. sub.group)
            end
            """#)
        func subscribe(_ topic: String) -> SubscribeOutcome {
            rig.rules.onSubscribe(SubscriptionRequest(topic: topic, group: "g1", key: "k"), from: Clients.peer().id, now: 1)
        }
        #expect(subscribe("plain") == .accept)
        #expect(subscribe("change") == .acceptAs(SubscriptionRequest(topic: "u1/k", group: "g2", key: "k")))
        #expect(subscribe("bad") == .reject(why: "rule rule failed"))
        #expect(subscribe("x") == .reject(why: "not g1"))
    }

    @Test("on_unsubscribe gets what was given up; what it returns means nothing, and an error holds nobody up")
    func unsubscribe() throws {
        let rig = try RuleRig(
            #"""
            function R.on_unsubscribe(sub, ctx)
              if sub.topic == "bad" then error("no") end
              log.info(sub.sender.uid .. " " .. sub.topic .. " " .. sub.group .. " " .. tostring(sub.key) .. " " .. tostring(ctx.now))
              return route.reject("stay")
            end
            """#)
        #expect(rig.rules.wanted == .unsubscribe)
        for topic in ["a/+", "bad"] {
            rig.rules.onUnsubscribe(SubscriptionRequest(topic: topic, group: "g", key: topic == "bad" ? "k" : nil), from: Clients.peer().id, now: 7)
        }
        #expect(rig.log.texts.first == "u1 a/+ g nil 7.0")
        #expect(rig.figures("on_unsubscribe").errors == [.ruleFailed: 1])
    }

    @Test("on_tick comes as often as the rule says, and not for others; a clock that was set back holds it up no longer than that")
    func tick() throws {
        let rig = try RuleRig("R.tick = 2.5 function R.on_tick(ctx) log.info(ctx.now) end")
        #expect(rig.rules.wanted == .tick)
        let start = rig.rules.nextTick - 2.5
        for step in 0...10 { rig.rules.onTick(now: start + Double(step)) }
        #expect(rig.log.texts.count == 3, "\(rig.log.texts)")
        // Far behind, it comes at once, and then at its pace.
        for second in [-100_000.0, -99_999, -99_997] { rig.rules.onTick(now: start + second) }
        #expect(rig.log.texts.count == 5, "\(rig.log.texts)")
        let without = try RuleRig("function R.on_message() end")
        #expect(!without.rules.wanted.contains(.tick) && without.rules.nextTick == .infinity)
        for wrong in ["0", "86401", "'5s'"] { #expect(throws: ShuntError.self) { try RuleRig("R.tick = \(wrong) function R.on_tick() end") } }
    }

    @Test("rules tick each at their own pace; one that fails is switched off alone")
    func ticks() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": "return { tick = 1, on_tick = function() log.info('a') end }",
            "b/rule.lua": "return { tick = 3, breaker = { errors = 1, window = '100s', retry = '1000s' }, on_tick = function() error('b') end }",
        ])
        let start = rig.rules.nextTick - 1
        for step in 1...12 { rig.rules.onTick(now: start + Double(step)) }
        #expect(rig.log.texts.count { $0 == "a" } == 12, "\(rig.log.texts)")
        #expect(rig.log.texts.count { $0.contains("b/rule.lua") } == 2, "\(rig.log.texts)")
    }

    @Test("on_disconnect gets the client and the reason")
    func disconnect() throws {
        let rig = try RuleRig("function R.on_disconnect(conn, why) log.info(conn.uid .. ' ' .. why) end")
        rig.rules.onDisconnect(Clients.peer(), why: "timeout", now: 1)
        #expect(rig.log.texts == ["u1 timeout"])
    }

    @Test("msg has its fields, its sender and its JSON, decoded once a call")
    func fields() throws {
        let rig = try RuleRig(
            #"""
            function R.on_message(msg, ctx)
              local o = msg:json()
              o.seen = true
              log.info(json.encode { msg.kind, msg.topic, msg.key, msg.payload, msg.format, msg.qos, msg.retain, msg.hops, msg.id, msg:json().seen })
              local s = msg.sender
              log.info(json.encode { s.uid, s.device, s.protocol, s.address, s.groups, s.connected_at, s == msg.sender })
              log.info(json.encode { ctx.rule, ctx.worker, ctx.loop, ctx.now, ctx.settings.x })
              local nothing, why = msg:with { payload = "{" }:json()
              log.info(tostring(nothing) .. " " .. why)
              s:close("enough")
            end
            """#, settings: ["x": 5])
        rig.send("a/b", "{}", key: "k", now: 1234.5)
        #expect(
            rig.log.texts == [
                #"["topic","a/b","k","{}","json",1,false,1,7,true]"#,
                #"["u1","d1","exchange","127.0.0.1:5000",["g"],1000.0,true]"#,
                #"["rule","w1",2,1234.5,5]"#,
                "nil expected a key in quotes at byte 2",
            ])
        #expect(rig.clients.closed == [Clients.peer().id: "enough"])
        rig.clients.known = [:]
        #expect(try RuleRig("function R.on_message(m) if m.sender == nil then return route.drop('gone') end end").send().verdict == .pass)
    }

    @Test("a compressed payload is inflated when it is read, and relayed packed when it is not replaced")
    func inflate() throws {
        let rig = try RuleRig(
            files: [
                "rule/rule.lua": #"""
                return { on_message = function(msg)
                  if msg.topic == "relay" then return msg:with { topic = "x" } end
                  if msg.topic == "read" then return route.drop(msg.payload .. msg:json().a .. msg:with { topic = "y" }.payload) end
                  return msg:with { payload = msg.payload .. " " }
                end }
                """#
            ],
            inflate: { (packed, compression, _, _) throws(ShuntError) in
                guard compression == .gzip, packed.first == UInt8(ascii: "Z") else { throw ShuntError(.frameMalformed, "broken") }
                return Array(#"{"a":"b"}"#.utf8)
            })
        let relayed = rig.send("relay", "Z", compression: .gzip).messages
        #expect(relayed.map(\.payload) == ["Z"])
        #expect(relayed.map(\.compression) == [.gzip])
        #expect(rig.send("read", "Z", compression: .gzip).verdict == .drop(why: #"{"a":"b"}b{"a":"b"}"#))
        let changed = rig.send("change", "Z", compression: .gzip).messages
        #expect(changed.map(\.payload) == [#"{"a":"b"} "#])
        #expect(changed.map(\.compression) == [.none])
        #expect(rig.send("read", "broken", compression: .lz4).verdict == .pass)
        #expect(rig.log.texts.contains { $0.contains("the lz4 payload can't be inflated") })
    }

    @Test("an inflated payload over its limit is an error that says so")
    func inflateLimit() throws {
        var limits = RuleLimits()
        limits.inflatedBytes = 1000
        let rig = try RuleRig(
            files: ["r/rule.lua": "return { on_message = function(m) return route.drop(#m.payload) end }"], limits: limits,
            inflate: { (_, _, limit, _) throws(ShuntError) in
                guard limit > 1000 else { throw ShuntError(.memoryLimit, "too large") }
                return [UInt8](repeating: 65, count: 1001)
            })
        #expect(rig.send("t", "Z", compression: .snappy).verdict == .pass)
        #expect(rig.log.texts.contains { $0.contains("more than 1000 bytes inflated") })
    }

    @Test("rules can't see or change one another's globals, libraries, or decoded JSON")
    func isolation() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": #"""
            return { priority = 2, on_message = function(msg)
              leaked, _G.other = 1, 2
              string.upper = function() return "hacked" end
              rawset(string, "lower", nil); rawset(table, "concat", nil); json.encode = nil; _G.route = nil; math.floor = nil
              msg:json().id = "hacked"
              kv.set("k", "a's")
              shared.set("s", "all's")
            end }
            """#,
            "b/rule.lua": #"""
            return { priority = 1, on_message = function(msg)
              return route.drop(json.encode { leaked == nil, _G.other == nil, ("x"):upper(), string.upper("x"), ("X"):lower(),
                table.concat { "a", "b" }, math.floor(1.5), msg:json().id, kv.get("k") == nil, shared.get("s") })
            end }
            """#,
        ])
        #expect(rig.send("t", #"{"id":1}"#).verdict == .drop(why: #"[true,true,"X","X","x","ab",1,1,true,"all's"]"#))
    }

    @Test("match is tested natively, by kind and filters")
    func matching() throws {
        let rig = try RuleRig(
            files: [
                "a/rule.lua": #"return { match = { topic = { "orders/+", "eu/#" } }, on_message = function() end }"#,
                "b/rule.lua": #"return { match = { kind = { "chat", "topic" }, topic = "$sys/+" }, on_message = function() end }"#,
                "c/rule.lua": #"return { match = function(settings) return { topic = settings.topic } end, on_message = function() end }"#,
                "d/rule.lua":
                    #"return { on_connect = function() end, on_chat = function() end, on_broadcast = function() end, match = { topic = "c/+" } }"#,
                "e/rule.lua": #"return { match = { kind = "chat", topic = "c/1" }, on_chat = function() end, on_message = function() end }"#,
            ], settings: ["c": ["topic": "from/settings"]])
        func selected(_ topic: String, _ kind: MessageKind = .topic) -> UInt64 {
            withBytes(topic) { rig.rules.selection(for: kind, topic: $0).mask }
        }
        #expect(selected("orders/1") == 0b001)
        #expect(selected("orders/1", .chat) == 0)
        #expect(selected("$sys/x") == 0b010)
        #expect(selected("$sys/x", .chat) == 0, "on_message is for topics")
        #expect(selected("c/1", .chat) == 0b11000)
        #expect(selected("c/2", .chat) == 0b01000)
        #expect(selected("c/1") == 0)
        #expect(selected("", .broadcast) == 0b01000, "a broadcast has no topic")
        #expect(selected("from/settings") == 0b100)
        #expect(selected("eu") == 0b001)
        #expect(selected("orders/1/2") == 0)
    }

    @Test(
        "topic filters follow MQTT 5 §4.7",
        arguments: [
            ("a/b", "a/b", true), ("a/b", "a/+", true), ("a/b", "+/b", true), ("a/b", "#", true), ("a/b", "a/#", true), ("a", "a/#", true),
            ("a/b/c", "a/+", false), ("a", "a/+", false), ("a/", "a/+", true), ("/a", "+/+", true), ("/a", "/+", true), ("/a", "+", false),
            ("$s/a", "#", false), ("$s/a", "+/a", false), ("$s/a", "$s/+", true), ("ab", "a", false), ("a", "ab", false), ("a/b", "a/b/#", true),
            ("a/bc", "a/b/#", false), ("a/b", "a/b/+", false), ("é/ü", "+/ü", true), ("a//b", "a/+/b", true),
        ] as [(String, String, Bool)])
    func filters(topic: String, filter: String, takes: Bool) throws {
        #expect(withBytes(topic) { NativeMatch(rule: 0, RuleDefinition.Match(filters: [filter])).takes(.topic, $0) } == takes)
        #expect(try RuleRig.ask("log.info(tostring(match('\(topic)', '\(filter)')))") == ["\(takes)"])
    }

    @Test("calls, verdicts, errors and counters are counted by rule and hook")
    func figures() throws {
        let rig = try RuleRig(
            #"""
            R.name = "other-name"
            local seen = counter("seen_total", { kind = "x" })
            function R.on_message(msg)
              seen:inc(); counter("seen_total", { kind = "x" }):inc(2)
              if msg.topic == "e" then error("x") end
              if msg.topic == "d" then return route.drop() end
            end
            """#)
        for topic in ["a", "a", "e", "d", "d", "d"] { rig.send(topic) }
        let figures = try #require(rig.rules.figures().first)
        let hook = try #require(figures.hooks["on_message"])
        #expect(hook.calls == 6)
        #expect(hook.verdicts == ["pass": 2, "drop": 3])
        #expect(hook.errors == [.ruleFailed: 1])
        #expect(hook.times.count == 6)
        #expect(figures.counters == [RuleFigures.Counter(name: "seen_total", labels: #"{"kind":"x"}"#, value: 18)])
        #expect(figures.hooks.keys.sorted() == ["on_message"])
    }

    @Test("a rule that makes too many counters is told so once, and takes nothing from others")
    func manyCounters() throws {
        let rig = try RuleRig(
            files: [
                "a/rule.lua": "return { priority = 2, on_message = function(m) for i = 1, 20 do counter('seen', { id = i }):inc() end return end }",
                "b/rule.lua": "return { priority = 1, on_message = function(m) counter('passed'):inc() return route.drop('counted') end }",
            ],
            limits: {
                var l = RuleLimits(); l.counters = 10; return l
            }())
        for _ in 0..<2 { #expect(rig.send().verdict == .drop(why: "counted")) }
        #expect(rig.log.texts == ["rule a: counter seen and others count nothing: it has more than 10; do labels hold ids of clients?"])
        #expect(rig.rules.figures().map(\.counters.count) == [10, 1])
        #expect(rig.rules.figures()[1].counters.map(\.value) == [2])
        #expect(rig.figures().errors == [:])
    }

    @Test("counters go with the version of the rule that made them")
    func countersOfVersions() throws {
        let rule = """
            local kept
            return {
              on_load = function(_, saved) kept = saved end,
              on_unload = function() return { kept = counter("made") } end,
              on_message = function(m) if kept then kept.kept:inc(100) end counter(m.topic):inc() end,
            }
            """
        let rig = try RuleRig(files: ["r/rule.lua": rule])
        rig.send("first")
        #expect(rig.rules.replace(with: try RuleSet.load(directory: rig.folder.path), now: 1) == nil)
        let before = [RuleFigures.Counter(name: "first", labels: "{}", value: 1), RuleFigures.Counter(name: "made", labels: "{}", value: 0)]
        #expect(rig.rules.figures()[0].counters == before)
        for _ in 0..<2 { rig.send("second") }
        #expect(rig.rules.figures()[0].counters == [RuleFigures.Counter(name: "second", labels: "{}", value: 2)] + before)
    }

    @Test(
        "what would make the metrics unreadable is an error at counter()",
        arguments: [
            (#"counter("off")"#, "shunt_rule_off is one of Shunt's own"), (#"counter("calls_total")"#, "one of Shunt's own"),
            (#"counter("trial")"#, "one of Shunt's own"), (#"counter("calls")"#, "one of Shunt's own"),
            (#"counter("verdicts")"#, "one of Shunt's own"), (#"counter("errors")"#, "one of Shunt's own"),
            (#"counter("verdicts_total")"#, "one of Shunt's own"), (#"counter("errors_total")"#, "one of Shunt's own"),
            (#"counter("a b")"#, "letters, digits and _"), (#"counter("a\0b")"#, "letters, digits and _"),
            (#"counter("1a")"#, "letters, digits and _"),
            (#"counter("c", { ["1a"] = 1 })"#, "a label's name has letters"), (#"counter("c", { ["é"] = 1 })"#, "a label's name has letters"),
            (#"counter("c", { __name__ = 1 })"#, "a label can't be named __name__"), (#"counter("c", { rule = 1 })"#, "a label can't be named rule"),
            (#"counter("c", { a = {} })"#, "label a is a table"), (#"counter("c", { 1 })"#, "a label's name has letters"),
        ])
    func counterNames(body: String, expected: String) throws {
        let error = #expect(throws: ShuntError.self) { try RuleRig("\(body):inc()") }
        #expect(error?.message.contains(expected) == true, "\(String(describing: error))")
    }

    @Test(
        "in a call a counter does not fail: what is wrong with it may be a client's",
        arguments: [
            (#"counter("off"):inc()"#, "xoff", "{}", 1), (#"counter("a/b\xff"):inc()"#, "a_b_", "{}", 1), (#"counter("1a"):inc()"#, "_1a", "{}", 1),
            (#"counter(nil):inc()"#, "_", "{}", 1), (#"counter("c", "text"):inc()"#, "c", "{}", 1),
            (#"counter(("n"):rep(100)):inc()"#, String(repeating: "n", count: 64), "{}", 1),
            (#"counter("c", { rule = 1 }):inc()"#, "c", #"{"xrule":"1"}"#, 1),
            (#"counter("c", { a = {}, b = print }):inc()"#, "c", #"{"a":"table","b":"function"}"#, 1),
            (#"counter("c", { a = "x\xffy" }):inc()"#, "c", #"{"a":"x\#u{FFFD}y"}"#, 1),
            (#"counter("c", { a = ("é"):rep(1000) }):inc()"#, "c", #"{"a":"\#(String(repeating: "é", count: 64))"}"#, 1),
            (#"counter("c", { a = json.decode("123456789012345678901") }):inc()"#, "c", #"{"a":"123456789012345678901"}"#, 1),
            (#"counter("c"):inc(-1)"#, "c", "{}", 0), (#"counter("c"):inc(0 / 0)"#, "c", "{}", 0), (#"counter("c"):inc("x")"#, "c", "{}", 0),
            (#"counter("c"):inc({})"#, "c", "{}", 0), (#"counter("c"):inc(2.5)"#, "c", "{}", 2.5),
        ] as [(String, String, String, Double)])
    func counterRepairs(body: String, name: String, labels: String, value: Double) throws {
        let rig = try RuleRig("function R.on_message() \(body) return route.drop() end")
        #expect(rig.send().verdict == .drop(why: ""))
        #expect(rig.log.texts == [])
        #expect(rig.rules.figures()[0].counters == [RuleFigures.Counter(name: name, labels: labels, value: value)])
    }

    @Test("many labels are fewer")
    func manyLabels() throws {
        let rig = try RuleRig("local t = {} for i = 1, 10000 do t['l' .. i] = i end function R.on_message() counter('c', t):inc() end")
        rig.send()
        #expect(rig.figures().errors == [:])
        #expect(rig.rules.figures()[0].counters.map { $0.labels.split(separator: ",").count } == [16])
    }

    @Test(
        "a log line does not fail a call: fields are cut and replaced",
        arguments: [
            (#"{ topic = "in/\xff" }"#, #"{"topic":"in/\#u{FFFD}"}"#),
            ("{ n = 0 / 0, m = math.huge, o = -math.huge }", #"{"m":"Infinity","n":"NaN","o":"-Infinity"}"#),
            ("5", #"{"value":5}"#), (#""text""#, #"{"value":"text"}"#), ("{ 1, 2 }", #"{"value":[1,2]}"#),
            ("{ f = print, t = { [1] = 1, x = 2 } }", #"{"f":"function","t":{"1":1,"x":2}}"#),
            ("json.decode('[1,{\"a\":null}]')", #"{"value":[1,{"a":null}]}"#),
            ("{ n = json.decode('123456789012345678901') }", #"{"n":123456789012345678901}"#),
            (#"{ [true] = 1, b = { c = "q\"\\\n" } }"#, #"{"b":{"c":"q\"\\\n"},"boolean":1}"#), ("{}", "{}"), ("json.null", #"{"value":null}"#),
        ] as [(String, String)])
    func logRepairs(fields: String, expected: String) throws {
        let rig = try RuleRig("function R.on_message() log.warn('refused', \(fields)) return route.reject('no') end")
        #expect(rig.send("t", "payload").verdict == .reject(why: "no"))
        #expect(rig.log.all == [RuleLogEntry(level: .warn, rule: "rule", text: "refused", fields: expected)])
    }

    @Test(
        "large fields are cut, and are JSON still",
        arguments: [
            "{ a = ('é\"'):rep(100000), b = 1 }", "(function() local t = {} for i = 1, 1000 do t['key' .. i] = ('v'):rep(i) end return t end)()",
            "(function() local t = {} for i = 1, 1000 do t[i] = { i } end return t end)()", "(function() local t = {} t.t = t return t end)()",
            "(function() local t = {} for i = 1, 100 do t = { x = { t } } end return { deep = t } end)()", "{ [('k'):rep(100000)] = 1 }",
            "('text'):rep(5000)",
        ])
    func logCuts(fields: String) throws {
        let rig = try RuleRig(
            "R.budget = { time = '20ms', memory = '20MiB' } function R.on_message() log.warn('refused', \(fields)) return route.reject('no') end",
            limits: {
                var l = RuleLimits(); l.callNanosecondsCap = 100_000_000; return l
            }())
        #expect(rig.send("t", "payload").verdict == .reject(why: "no"))
        let entry = try #require(rig.log.all.first)
        #expect(entry.fields.utf8.count <= 4096)
        let object = try JSONSerialization.jsonObject(with: Data(entry.fields.utf8)) as? [String: Any]
        #expect(object?["_cut"] as? Bool == true, "\(entry)")
    }

    @Test("a label's value is a text")
    func labels() throws {
        let rig = try RuleRig(#"function R.on_message() counter("c", { a = 1, b = true, c = "x" }):inc() end"#)
        rig.send()
        #expect(rig.rules.figures()[0].counters.map(\.labels) == [#"{"a":"1","b":"true","c":"x"}"#])
    }

    @Test("log lines are bounded in length and number")
    func logging() throws {
        let rig = try RuleRig(
            #"""
            function R.on_message(msg) for i = 1, 15 do log.warn(("é"):rep(1000), { n = i }) end end
            """#)
        for _ in 0..<10 { rig.send(now: 1000) }
        #expect(rig.log.all.count == 100)
        #expect(rig.log.all.first == RuleLogEntry(level: .warn, rule: "rule", text: String(repeating: "é", count: 512), fields: #"{"n":1}"#))
        rig.send(now: 1001)
        #expect(rig.log.texts.contains("rule rule: 50 lines were not logged: too many a second, or too long"))
    }

    @Test("what a call logs beyond all bounds is told at once")
    func logged() throws {
        let rig = try RuleRig(
            "function R.on_message(msg) for i = 1, 100 do log.warn(('x'):rep(1024), { n = ('y'):rep(3000) }) end end", limits: .ample)
        rig.send(now: 1000)
        let written = rig.log.all.filter { $0.rule == "rule" }.count
        #expect(written < 100)
        #expect(rig.log.texts.last == "rule rule: \(100 - written) lines of one call were not logged: too much at once")
    }
}
