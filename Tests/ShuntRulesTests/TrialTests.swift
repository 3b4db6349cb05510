import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Rules on trial")
struct TrialTests {
    /// A loop with a plugin `r`, perhaps with another version beside it.
    private struct Rig {
        let folder: PluginFolder
        let rules: LoopRules
        let clients = Clients()
        let log = LogLines()
        let shared: SharedStore
        let apart: SharedStore

        init(_ live: String, next: String? = nil, more: [String: String] = [:], mode: RuleMode) throws {
            var files = ["plugins/r/rule.lua": live]
            if let next { files["next/r/rule.lua"] = next }
            for (file, text) in more { files["plugins/" + file] = text }
            folder = try PluginFolder(files)
            (shared, apart) = (try SharedStore(), try SharedStore())
            let trial = RuleTrial(mode: mode, directory: next == nil ? nil : folder.path + "/next/r")
            let set = try RuleSet.load(directory: folder.path + "/plugins", limits: .ample, trials: ["r": trial])
            let log = log
            rules = try LoopRules(
                set: set, worker: "w", loop: 0, limits: .ample, shared: shared, apart: apart, log: { log.add($0) },
                inflate: { _, _, _, _ in [] }, now: 1000)
            rules.peers = clients
            for number in 0..<1000 { clients.known[.client(number)] = peer(number) }
        }

        func peer(_ number: Int) -> Peer {
            Peer(
                id: .client(number), uid: "u\(number)", device: "d", tags: [], alias: [], protocolName: "exchange",
                address: "10.0.0.\(number % 250):5000", groups: [], connectedAt: 1000)
        }

        @discardableResult
        func send(_ topic: String = "a", _ payload: String = "x", from client: Int = 0, excluding: RuleSelection = .none) -> Outcome {
            withBytes(topic) { topic in
                withBytes(payload) { payload in
                    let message = MessageView(kind: .topic, topic: topic, key: nil, payload: payload, format: .text, id: 7, sender: .client(client))
                    let selection = rules.selection(for: .topic, topic: topic).subtracting(excluding)
                    return Outcome(rules.onMessage(message, selection: selection, now: 1000))
                }
            }
        }

        func figures(_ name: String, _ hook: String = "on_message") -> RuleFigures.Hook {
            rules.figures().first { $0.rule == name }?.hooks[hook] ?? RuleFigures.Hook()
        }
        func differences(_ name: String) -> [LoopRules.Difference] { rules.figures().first { $0.rule == name }?.differences ?? [] }
    }

    static let drops = "return { on_message = function() return route.drop('no') end }"
    static let passes = "return { on_message = function() end }"

    @Test(
        "nothing that a shadow decides about a message is applied, and all is counted",
        arguments: [
            ("return route.drop('no')", "drop"), ("return route.reject('no')", "reject"), ("return route.to('b')", "route"),
            ("return route.fanout { msg, route.to('b') }", "fanout"), ("return msg:with { payload = 'y' }", "replace"),
            ("return route.done()", "done"), ("ctx:emit(route.to('b'))", "pass"), ("return route.always(route.drop('no'))", "drop"),
            ("return route.push({ uid = 'u1' })", "push"), ("return route.chat('c')", "chat"),
        ])
    func shadow(body: String, verdict: String) throws {
        let after = "return { priority = -1, on_message = function(msg) return msg:with { topic = 'seen/' .. msg.payload } end }"
        let rig = try Rig("return { on_message = function(msg, ctx) \(body) end }", more: ["z/rule.lua": after], mode: .shadow)
        for _ in 0..<3 {
            let outcome = rig.send()
            #expect(outcome.verdict == .send && outcome.messages.map(\.topic) == ["seen/x"] && !outcome.isStanding && outcome.passing.isEmpty)
        }
        #expect(rig.figures("r").verdicts == [verdict: 3])
        #expect(rig.figures("r").observed == 3 && rig.figures("r").compared == 3)
        #expect(rig.figures("r").different == 3)
        let example = try #require(rig.differences("r").last)
        #expect(example.topic == "a" && example.client == "u0" && example.live == "pass" && example.trial == verdict)
        #expect(rig.differences("r").count == 1, "one like another is not kept twice")
    }

    @Test("a shadow's errors are counted, its on_error and its breaker decide nothing, and no message is dead by them")
    func errors() throws {
        let rig = try Rig(
            "return { on_error = 'reject', breaker = { errors = 1 }, on_message = function() error('x') end }", mode: .shadow)
        for client in 0..<5 { #expect(rig.send(from: client).verdict == .pass) }
        #expect(rig.figures("r").errors == [.ruleFailed: 2])
        #expect(rig.rules.figures()[0].isOff)
        #expect(rig.differences("r").first?.trial == "failed")
        #expect(rig.clients.failed.isEmpty)
    }

    @Test(
        "a shadow that takes all its time has a turn of its own: it ends, and the rule that decides is called for every recipient",
        arguments: [RuleMode.shadow, .canary(RuleShare(percent: 0, uids: ["u999"]))])
    func turns(mode: RuleMode) throws {
        let rig = try Rig(
            "return { priority = 5, budget = { time = '1ms' }, on_deliver = function() while true do end end }",
            more: ["z/rule.lua": "return { on_deliver = function(msg) return msg:with { payload = 'redacted' } end }"], mode: mode)
        var limits = RuleLimits.ample
        limits.callNanoseconds = 1_000_000
        rig.rules.setLimits(limits)
        rig.rules.beginTurn()
        let count = 60
        let seen = (0..<count).map { number in
            withBytes("t") { bytes in
                let message = MessageView(kind: .topic, topic: bytes, key: nil, payload: bytes, format: .text, id: 7, sender: .client(0))
                switch rig.rules.onDeliver(message, filter: bytes, to: .client(number), now: 1000) {
                case .replace(let routed): return String(decoding: routed.payload, as: UTF8.self)
                default: return "as it was"
                }
            }
        }
        #expect(seen == Array(repeating: "redacted", count: count))
        // Most of its calls are not made.
        let calls = rig.figures("r", "on_deliver")
        #expect(calls.errors == [.ruleTime: UInt64(count)] && calls.calls < 40, "\(calls.calls) of its calls began")
    }

    @Test("a message is dead by a canary's error only where its decision is applied")
    func deadByCanary() throws {
        let rig = try Rig(
            Self.passes, next: "return { on_message = function() error('x') end }", mode: .canary(RuleShare(percent: 0, uids: ["u1"], addresses: [])))
        rig.send(from: 0)
        #expect(rig.clients.failed.isEmpty)
        rig.send(from: 1)
        #expect(rig.clients.failed.count == 1)
    }

    @Test("a shadow closes nobody, writes its shared apart, and has a kv of its own")
    func sideEffects() throws {
        let rule = """
            return { on_load = function() shared.set("loaded", 1) end, on_message = function(msg)
              msg.sender:close("out")
              log.info(tostring(shared.incr("n")) .. " " .. tostring(kv.incr("n")) .. " " .. tostring(shared.get("loaded")))
            end }
            """
        let other =
            "return { priority = -1, on_message = function() log.info('other ' .. tostring(shared.get('n')) .. tostring(shared.get('loaded'))) end }"
        let rig = try Rig(rule, more: ["z/rule.lua": other], mode: .shadow)
        rig.send()
        rig.send()
        #expect(rig.log.texts == ["1 1 1", "other nilnil", "2 2 1", "other nilnil"])
        #expect(rig.clients.closed.isEmpty && rig.shared.count == 0 && rig.apart.count == 2)
    }

    @Test("a shadow decides nothing about clients, subscriptions, chats, deliveries")
    func otherHooks() throws {
        let rig = try Rig(
            """
            return {
              on_connect = function(c) return c:with { uid = "other" } end, on_subscribe = function() return route.reject("no") end,
              on_chat_join = function() return route.reject("no") end, on_deliver = function() return route.drop("no") end,
            }
            """, mode: .shadow)
        #expect(rig.rules.onConnect(rig.peer(1), now: 1000) == .accept)
        #expect(rig.rules.onSubscribe(SubscriptionRequest(topic: "t", group: ""), from: .client(1), now: 1000) == .accept)
        #expect(rig.rules.onChatJoin(ChatView(id: "c", members: [], createdAt: 0), by: rig.peer(1), now: 1000) == .accept)
        withBytes("a") { bytes in
            let message = MessageView(kind: .topic, topic: bytes, key: nil, payload: bytes, format: .text, id: 7, sender: .client(0))
            if case .deliver = rig.rules.onDeliver(message, filter: Bytes(start: nil, count: 0), to: .client(1), now: 1000) {
            } else {
                Issue.record("on_deliver was applied")
            }
        }
        for hook in ["on_connect", "on_subscribe", "on_chat_join", "on_deliver"] {
            #expect(rig.figures("r", hook).observed == 1 && rig.figures("r", hook).different == 1, "\(hook)")
        }
    }

    @Test("a version beside another is compared with it, and sees what that one sees")
    func beside() throws {
        let rule = """
            return { on_message = function(msg)
              if msg.topic == "drop" then return route.drop("%s") end
              if msg.topic == "cut" then return msg:with { payload = "%s" } end
              if msg.topic == "to" then return route.to("%s") end
            end }
            """
        func version(_ texts: [String]) -> String { texts.reduce(rule) { $0.replacing("%s", with: $1, maxReplacements: 1) } }
        let rig = try Rig(version(["no", "c", "b"]), next: version(["never", "cut", "b"]), mode: .shadow)
        #expect(rig.rules.figures().map(\.rule) == ["r@next", "r"])
        #expect(rig.send("drop").verdict == .drop(why: "no"))
        #expect(rig.send("cut").messages.map(\.payload) == ["c"])
        #expect(rig.send("to").messages.map(\.topic) == ["b"])
        #expect(rig.send("else").verdict == .pass)
        let figures = rig.figures("r@next")
        #expect(figures.compared == 4 && figures.different == 2)
        #expect(rig.differences("r@next").map(\.parts) == [["reason"], ["payload"]])
        #expect(rig.differences("r@next").map(\.live) == ["drop", "replace"])
        // What the live one has sent on is not for either of them.
        rig.send("to", excluding: RuleSelection(mask: 2))
        #expect(rig.figures("r@next").calls == 4)
    }

    @Test("a version that has just begun counts whom it fails for: clients of one address are one")
    func watched() throws {
        let rig = try Rig(Self.passes, mode: .live)
        func clients() -> [Int] { rig.rules.figures()[0].current["on_message"].map { [$0.callers.count, $0.failing.count] } ?? [] }
        rig.send()
        #expect(clients() == [0, 0], "the first version is not looked at")
        let next = try PluginFolder(["r/rule.lua": "return { on_message = function(msg) if msg.payload == '5' then error('x') end end }"])
        let other = try RuleSet.load(directory: next.path, limits: .ample)
        #expect(rig.rules.replace(with: other, watching: ["r"], now: 1000) == nil)
        for _ in 0..<3 { rig.send(from: 0) }
        for client in [1, 251, 501, 1] { rig.send("a", "5", from: client) }
        #expect(clients() == [2, 1])
        rig.send("a", "5", from: 2)
        #expect(clients() == [3, 2])
        // It goes on over what changes other rules.
        #expect(rig.rules.replace(with: other, now: 1000) == nil)
        #expect(clients() == [3, 2])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: rig.folder.path + "/plugins", limits: .ample), now: 1000) == nil)
        #expect(clients() == [0, 0])
    }

    @Test("only those count for whom a version is called: not whose messages it does not match, or an earlier rule drops, nor while it is off")
    func callers() throws {
        let rig = try Rig(Self.passes, mode: .live)
        let next = try PluginFolder([
            "a/rule.lua": "return { priority = 1, on_message = function(msg) if msg.payload == 'stop' then return route.drop() end end }",
            "r/rule.lua": "return { match = { topic = 'x' }, breaker = { errors = 2 }, on_message = function() error('x') end }",
        ])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: next.path, limits: .ample), watching: ["r"], now: 1000) == nil)
        func clients() -> [Int] { rig.rules.figures()[1].current["on_message"].map { [$0.callers.count, $0.failing.count] } ?? [] }
        for client in 10..<20 {
            rig.send("y", from: client)
            rig.send("x", "stop", from: client)
        }
        #expect(clients() == [0, 0])
        rig.send("x", from: 1)
        #expect(clients() == [1, 1])
        for client in 2..<9 { rig.send("x", from: client) }
        #expect(clients() == [3, 3] && rig.rules.switchedOff == ["r"])
    }

    @Test("whom the first rules of a loop fail for is counted, too, where they begin while the worker runs")
    func firstRules() throws {
        let folder = try PluginFolder(["r/rule.lua": "return { on_message = function() error('x') end }"])
        let set = try RuleSet.load(directory: folder.path, limits: .ample)
        for (watched, callers) in [(["r"] as Set<String>, 1), ([], 0)] {
            let rules = try LoopRules(
                set: set, worker: "w", loop: 0, limits: .ample, shared: try SharedStore(), watching: watched, log: { _ in },
                inflate: { _, _, _, _ in [] }, now: 1000)
            withBytes("t") { topic in
                let message = MessageView(kind: .topic, topic: topic, key: nil, payload: topic, format: .text, id: 1, sender: .client(1))
                _ = rules.onMessage(message, selection: RuleSelection(mask: 1), now: 1000)
            }
            let hook = rules.figures()[0].current["on_message"]
            #expect(hook?.callers.count == callers && hook?.failing.count == callers)
        }
    }

    @Test("a canary decides for its share of the clients, always the same, and for those that are named")
    func canary() throws {
        let share = RuleShare(percent: 10, uids: ["u7"], addresses: [AddressRange("10.0.0.8/32")!])
        let rig = try Rig(Self.passes, next: Self.drops, mode: .canary(share))
        let dropped = (0..<1000).filter { rig.send(from: $0).verdict == .drop(why: "no") }
        #expect((60...150).contains(dropped.count), "\(dropped.count)")
        #expect(dropped.contains(7) && [8, 258, 508, 758].allSatisfy(dropped.contains))
        #expect((0..<1000).filter { rig.send(from: $0).verdict == .drop(why: "no") } == dropped)
        let (next, live) = (rig.figures("r@next"), rig.figures("r"))
        #expect(next.calls == 2000 && live.calls == 2000 - 2 * UInt64(dropped.count), "for its share the live one is not asked")
        #expect(next.observed == live.calls && next.different == live.calls)
        let none = try Rig(Self.passes, next: Self.drops, mode: .canary(RuleShare(percent: 0)))
        let all = try Rig(Self.passes, next: Self.drops, mode: .canary(RuleShare(percent: 100)))
        #expect((0..<100).allSatisfy { none.send(from: $0).verdict == .pass && all.send(from: $0).verdict == .drop(why: "no") })
    }

    @Test("the versions of a rule are known by either, and a version that runs no longer by the rule that it was beside")
    func versions() throws {
        let rig = try Rig(Self.passes, next: Self.drops, more: ["z/rule.lua": Self.passes], mode: .shadow)
        let names = ["r@next", "r", "z", "q@next"]
        #expect(names.map(rig.rules.rule(named:)) == [0, 1, 2, nil])
        #expect((0...3).map { rig.rules.versions(of: $0).mask } == [3, 3, 4, 0])
        #expect(rig.rules.replace(with: try RuleSet.load(directory: rig.folder.path + "/plugins", limits: .ample), now: 1000) == nil)
        #expect(names.map(rig.rules.rule(named:)) == [0, 0, 1, nil])
        #expect((0...2).map { rig.rules.versions(of: $0).mask } == [1, 2, 0])
    }

    @Test("a version that is live for all takes the place of the one beside it")
    func liveBeside() throws {
        let appends = { (text: String) in "return { on_message = function(msg) return msg:with { payload = msg.payload .. '\(text)' } end }" }
        let rig = try Rig(appends("old"), next: appends("new"), mode: .live)
        for client in 0..<3 { #expect(rig.send("a", "x", from: client).messages.map(\.payload) == ["xnew"]) }
        #expect(rig.figures("r@next").calls == 3 && rig.figures("r").calls == 0)
    }

    @Test("a shadow's decision is told with its verdict and its time, and that it is not applied", arguments: [true, false])
    func told(isBeside: Bool) throws {
        let trial = "return { on_message = function(msg) if msg.payload == 'bad' then error('boom') end return route.drop('no') end }"
        let live = "local n = 0 return { on_message = function(msg) n = n + 1 return msg:with { payload = tostring(n) } end }"
        let rig = try isBeside ? Rig(live, next: trial, mode: .shadow) : Rig(trial, mode: .shadow)
        var steps: [TracedMessage.Step] = []
        for (payload, verdict, why) in [("x", "drop", ""), ("bad", "error", "; on_message: r/rule.lua:1: boom")] {
            let message = RuleMessage(topic: Array("a".utf8), key: nil, payload: Array(payload.utf8))
            let decision = rig.rules.decide(message, rule: 0, now: 1000)
            #expect(decision.verdict == verdict && decision.why.hasPrefix("on trial: not applied" + why), "\(decision.why)")
            #expect(decision.seconds > 0 && decision.outcome == .pass && !decision.stops)
            message.withView { view in
                let all = RuleSelection(mask: isBeside ? 3 : 1)
                _ = rig.rules.onMessage(view, selection: all, now: 1000) { steps.append($0) }
            }
            #expect(steps.first?.verdict == verdict && steps.first?.why == decision.why)
            steps = []
        }
        // The rule beside it was called by the traced messages alone.
        if isBeside { #expect(rig.figures("r").calls == 2) }
    }

    @Test("the version beside a rule is given the settings as they were written, and what is wrong with them is told at their key")
    func settings() throws {
        let live = "return { settings = { n = integer { default = 4 }, old = integer { default = 1 } }, on_message = function() end }"
        let next = "return { settings = { n = integer { default = 8, max = 10 } }, on_message = function() end }"
        let folder = try PluginFolder(["plugins/r/rule.lua": live, "next/r-2026/rule.lua": next])
        func rules(_ settings: [String: SettingValue]) throws -> [RuleSet.Rule] {
            let trial = RuleTrial(mode: .shadow, directory: folder.path + "/next/r-2026", settings: settings["r@next"])
            return try RuleSet.load(directory: folder.path + "/plugins", settings: settings, trials: ["r": trial]).rules
        }
        func error(_ settings: [String: SettingValue]) -> ShuntError? {
            do { _ = try rules(settings) } catch { return error as? ShuntError }
            return nil
        }
        #expect(try rules([:]).map(\.settings) == [.object(["n": .int(8)]), .object(["n": .int(4), "old": .int(1)])])
        #expect(try rules(["r": .object(["n": .int(5)])])[0].settings == .object(["n": .int(5)]))
        #expect(error(["r": .object(["n": .int(50)])])?.location == "rules.settings.r.n")
        let wrong = error(["r": .object(["n": .int(5)]), "r@next": .object(["n": .int(50)])])
        #expect(wrong?.location == "rules.settings.r@next.n" && wrong?.message.hasPrefix("rules.settings.r@next.n is 50") == true)
    }

    @Test("a folder that is missing is told where it is named; settings for a version that there is not get a warning")
    func missing() throws {
        let folder = try PluginFolder(["r/rule.lua": Self.passes])
        let trial = { RuleTrial(mode: .shadow, directory: $0) }
        #expect {
            try RuleSet.load(directory: folder.path, trials: ["r": trial("/nope/")])
        } throws: {
            ($0 as? ShuntError)?.location == "rules.trials.r.directory" && "\($0)".contains("/nope/")
        }
        let settings: [String: SettingValue] = ["r@next": .object([:])]
        let set = try RuleSet.load(directory: folder.path, settings: settings, trials: ["r": trial(nil)])
        #expect(set.warnings.map(\.location) == ["rules.settings.r@next"])
        #expect(try RuleSet.load(directory: folder.path, settings: settings, trials: ["r": trial(folder.path + "/r")]).warnings.isEmpty)
    }

    @Test("the rule's table may say its mode; the configuration goes before it")
    func table() throws {
        let text = "return { mode = 'shadow', on_message = function() return route.drop('no') end }"
        let folder = try PluginFolder(["r/rule.lua": text])
        #expect(try RuleSet.load(directory: folder.path).rules.map(\.mode) == [.shadow])
        #expect(try RuleSet.load(directory: folder.path, trials: ["r": RuleTrial(mode: .live)]).rules.map(\.mode) == [.live])
        #expect(throws: ShuntError.self) { try RuleSet.load(directory: folder.path, trials: ["other": RuleTrial(mode: .shadow)]) }
    }

    @Test("going from shadow to live keeps the rule's state")
    func goingLive() throws {
        let counts = "local n = 0 return { on_message = function() n = n + 1 return route.drop(tostring(n)) end }"
        let rig = try Rig(counts, mode: .shadow)
        #expect(rig.send().verdict == .pass)
        #expect(rig.rules.replace(with: try RuleSet.load(directory: rig.folder.path + "/plugins", limits: .ample), now: 1001) == nil)
        #expect(rig.send().verdict == .drop(why: "2"))
    }
}
