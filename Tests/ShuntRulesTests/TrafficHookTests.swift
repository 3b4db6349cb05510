import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Hooks of broadcasts and chats, and what they share with those of deliveries")
struct TrafficHookTests {
    static let members = [ChatView.Member(uid: "u1", isOnline: true), ChatView.Member(uid: "bob", isOnline: false)]

    // MARK: which are called

    @Test("only the hooks that a rule has are wanted")
    func wanted() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": "return { on_message = function() end, on_broadcast = function() end, on_chat_close = function() end }",
            "b/rule.lua": "return { match = { kind = 'chat' }, on_deliver = function() end, on_undelivered = function() end }",
        ])
        #expect(rig.rules.wanted == [.broadcast, .chatClose, .deliver, .undelivered])
        #expect(rig.rules.replace(with: .empty, now: 1) == nil)
        #expect(rig.rules.wanted == [])
        let all = try RuleRig("R.on_chat_open = function() end R.on_chat_join = R.on_chat_open R.on_chat = R.on_chat_open")
        #expect(all.rules.wanted == [.chatOpen, .chatJoin, .chat])
        #expect(try RuleRig("function R.on_connect() end").rules.wanted == [])
    }

    @Test("a hook that match.kind never lets be called is warned of")
    func unreachable() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": """
            local R = { match = { kind = "chat" } }
            function R.on_message() end
            function R.on_chat() end
            function R.on_deliver() end
            return R
            """
        ])
        #expect(rig.rules.set.warnings.map(\.message) == ["match.kind keeps on_message from being called"])
        #expect(rig.rules.set.warnings.first?.location?.hasSuffix("rule.lua:2") == true)
        #expect(rig.rules.wanted == [.chat, .deliver])
        #expect(rig.send().rule == nil)
    }

    @Test("match takes chats by their ids, and deliveries by kind and topic")
    func matching() throws {
        let rig = try RuleRig(
            #"""
            R.match = { kind = { "chat", "topic" }, topic = "room/+" }
            function R.on_chat(msg, chat) return route.drop(chat.id) end
            function R.on_chat_open(chat) return route.reject(chat.id) end
            function R.on_chat_close(chat) log.info(chat.id) end
            function R.on_deliver(msg) return route.drop(msg.topic) end
            function R.on_undelivered(msg) log.info(msg.topic) end
            """#)
        #expect(rig.route(.chat, "room/1", "x").verdict == .drop(why: "room/1"))
        #expect(rig.route(.chat, "hall/1", "x").verdict == .pass)
        #expect(rig.rules.onChatOpen(ChatView(id: "room/2", members: [], createdAt: 0), by: Clients.peer(), now: 1) == .reject(why: "room/2"))
        #expect(rig.rules.onChatOpen(ChatView(id: "hall/2", members: [], createdAt: 0), by: Clients.peer(), now: 1) == .accept)
        for id in ["room/3", "hall/3"] { rig.rules.onChatClose(ChatView(id: id, members: [], createdAt: 0), why: "", by: nil, now: 1) }
        #expect(rig.deliver("room/4") == .drop("room/4"))
        #expect(rig.deliver("hall/4") == .deliver)
        for topic in ["room/5", "hall/5"] { rig.withMessage(.topic, topic, "x") { rig.rules.onUndelivered($0, why: "", now: 1) } }
        rig.withMessage(.broadcast, "", "x") { rig.rules.onUndelivered($0, why: "", now: 1) }
        #expect(rig.log.texts == ["room/3", "room/5"])
    }

    // MARK: broadcasts

    @Test("push.filter is the filter as a table; push:with{} changes it and the payload")
    func broadcast() throws {
        let rig = try RuleRig(
            #"""
            function R.on_broadcast(push, ctx)
              local f = push.filter
              if push.payload == "read" then
                return route.drop(json.encode { push.kind, f, push.filter == f, push:with {}.filter.uid, push.sender.uid })
              end
              if push.payload == "filter" then return push:with { filter = { filter_tags = { "b", "c" } } } end
              if push.payload == "both" then return push:with { filter = { uid = "u9" }, payload = "new" } end
              if push.payload == "in place" then f.uid = "changed" f.match_tags = nil return push:with { filter = f } end
              if push.payload == "unread" then f.uid = "changed" return push:with { payload = "p" } end
              if push.payload == "emit" then ctx:emit(route.push({ uid = "x" }, push:with { payload = "e" })) end
            end
            """#)
        let filter = #"{"uid":"u","match_tags":["a"],"message":"hidden","device":null,"filter_alias":[],"allEmpty":false}"#
        func push(_ payload: String) -> Outcome { rig.route(.broadcast, "", payload, filter: filter) }
        #expect(push("read").verdict == .drop(why: #"["broadcast",{"filter_alias":[],"match_tags":["a"],"uid":"u"},true,"u","u1"]"#))
        let filtered = push("filter")
        #expect(filtered.verdict == .send)
        #expect(filtered.messages.map(\.filter) == [#"{"filter_tags":["b","c"]}"#])
        #expect(filtered.messages.map(\.changes) == [[.filter]])
        #expect(filtered.messages.map(\.kind) == [.broadcast])
        #expect(filtered.messages.map(\.payload) == ["filter"])
        let both = push("both").messages
        #expect(both.map(\.filter) == [#"{"uid":"u9"}"#])
        #expect(both.map(\.changes) == [[.filter, .payload]])
        #expect(both.map(\.payload) == ["new"])
        #expect(push("in place").messages.map(\.filter) == [#"{"filter_alias":[],"uid":"changed"}"#])
        let unread = push("unread").messages
        #expect(unread.map(\.filter) == [filter], "a filter that is not given stays as it came, byte by byte")
        #expect(unread.map(\.changes) == [[.payload]])
        let emitted = push("emit")
        #expect(emitted.verdict == .pass)
        #expect(emitted.messages.map(\.filter) == [#"{"uid":"x"}"#])
        #expect(emitted.messages.map(\.changes) == [[.payload, .filter]])
        #expect(push("else").verdict == .pass)
        #expect(rig.log.texts == [])
        #expect(rig.figures("on_broadcast").verdicts == ["drop": 1, "replace": 4, "pass": 2])
    }

    @Test(
        "a payload that is not UTF-8 can't be a broadcast's: the call fails, and sends nothing",
        arguments: [
            (MessageKind.topic, #"return route.push({ uid = "u" }, msg:with { payload = bad })"#),
            (.topic, #"return route.push({ uid = "u" }, route.message { payload = bad })"#),
            (.topic, #"return route.fanout { msg, route.push({ uid = "u" }, msg:with { payload = bad }) }"#),
            (.topic, #"return route.delay(1, route.push({ uid = "u" }, msg:with { payload = bad }))"#),
            (.topic, #"ctx:emit(route.push({ uid = "u" }, msg:with { payload = bad }))"#),
            (.broadcast, #"return msg:with { payload = bad }"#), (.broadcast, #"return route.fanout { msg, msg:with { payload = bad } }"#),
        ])
    func binaryBroadcast(kind: MessageKind, body: String) throws {
        let rig = try RuleRig(#"local bad = "a\xff" local function hook(msg, ctx) \#(body) end R.on_message, R.on_broadcast = hook, hook"#)
        let outcome = rig.route(kind, kind == .topic ? "t" : "", "x")
        #expect(outcome.verdict == .pass && outcome.messages.isEmpty)
        #expect(rig.log.texts.count == 1 && rig.log.texts[0].contains("not UTF-8"), "\(rig.log.texts)")
        #expect(
            try RuleRig(#"function R.on_message(msg) return route.push({ uid = "u" }, msg:with { payload = "ä" }) end"#).send().messages.count == 1)
    }

    @Test("on_deliver gives no recipient of a broadcast what is not UTF-8")
    func binaryDelivery() throws {
        let rig = try RuleRig(#"function R.on_deliver(msg) return msg:with { payload = "a\xff" } end"#)
        for kind in [MessageKind.broadcast, .topic] {
            rig.withMessage(kind, kind == .topic ? "t" : "", "x") { message in
                let outcome = rig.rules.onDeliver(message, filter: Bytes(start: nil, count: 0), to: Clients.peer().id, now: 1)
                guard case .replace = outcome else {
                    #expect(kind == .broadcast && rig.log.texts.contains { $0.contains("not UTF-8") })
                    return
                }
                #expect(kind == .topic)
            }
        }
    }

    @Test("rules see the filter that the rules before them left, and can't change it in place")
    func broadcastChain() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": #"return { priority = 3, on_broadcast = function(p) p.filter.uid = "spoilt" end }"#,
            "b/rule.lua": #"return { priority = 2, on_broadcast = function(p) return p:with { filter = { uid = p.filter.uid .. "+b" } } end }"#,
            "c/rule.lua": #"return { priority = 1, on_broadcast = function(p) return p:with { filter = { uid = p.filter.uid .. "+c" } } end }"#,
        ])
        #expect(rig.route(.broadcast, "", "x", filter: #"{"uid":"u"}"#).messages.map(\.filter) == [#"{"uid":"u+b+c"}"#])
        #expect(rig.route(.broadcast, "", "x", filter: #"{"uid":"v"}"#).messages.map(\.filter) == [#"{"uid":"v+b+c"}"#])
    }

    @Test(
        "verdicts make one kind of another, and say what differs",
        arguments: [
            (MessageKind.broadcast, #"return route.to("t")"#, MessageKind.topic, "t", "", [.kind, .topic]),
            (.broadcast, #"return route.push({ device = "d" })"#, .broadcast, "", #"{"device":"d"}"#, [.filter]),
            (.broadcast, #"return route.chat("c9")"#, .chat, "c9", "", [.kind, .topic]),
            (.chat, #"return route.push({ uid = "u" }, msg:with { payload = "p" })"#, .broadcast, "c1", #"{"uid":"u"}"#, [.kind, .filter, .payload]),
            (.chat, #"return route.chat("c2")"#, .chat, "c2", "", [.topic]),
            (.chat, #"return msg:with { payload = "p" }"#, .chat, "c1", "", [.payload]),
            (.topic, #"return route.push({ match_tags = { "a" } })"#, .broadcast, "t1", #"{"match_tags":["a"]}"#, [.kind, .filter]),
        ] as [(MessageKind, String, MessageKind, String, String, RoutedMessage.Changes)])
    func kinds(of given: MessageKind, body: String, kind: MessageKind, topic: String, filter: String, changes: RoutedMessage.Changes) throws {
        let rig = try RuleRig("local function hook(msg) \(body) end R.on_message, R.on_broadcast, R.on_chat = hook, hook, hook")
        let sent = try #require(rig.route(given, given == .chat ? "c1" : given == .topic ? "t1" : "", "x").messages.first, "\(rig.log.texts)")
        #expect((sent.kind, sent.topic, sent.filter) == (kind, topic, filter))
        #expect(sent.changes == changes)
    }

    @Test("a message of another kind that was kept is sent as what it was, and replaces nothing")
    func keptAcross() throws {
        let rig = try RuleRig(
            #"""
            local kept
            function R.on_broadcast(push) kept = push:with {} return route.done() end
            function R.on_chat(msg, chat, ctx)
              if msg.payload == "swap" then return kept end
              ctx:emit(kept)
              return route.fanout { msg, kept }
            end
            """#)
        #expect(rig.route(.broadcast, "", "push", filter: #"{"uid":"u"}"#).verdict == .pass)
        let sent = rig.route(.chat, "c1", "x").messages
        #expect(sent.map(\.kind) == [.broadcast, .chat, .broadcast])
        #expect(sent.map(\.filter) == [#"{"uid":"u"}"#, "", #"{"uid":"u"}"#])
        #expect(sent[0].changes == [.kind, .topic, .key, .payload, .format, .filter, .qos, .retain, .properties])
        #expect(rig.route(.chat, "c1", "swap").verdict == .pass)
        #expect(rig.log.texts.contains { $0.contains("of another kind can't replace this") })
    }

    // MARK: chats

    @Test("on_chat sees the chat, its members, who is there, and the sender")
    func chat() throws {
        let rig = try RuleRig(
            #"""
            local kept
            function R.on_chat(msg, chat, ctx)
              if msg.payload == "kept" then return route.drop(kept.id) end
              kept = chat
              return route.reject(json.encode { msg.kind, msg.topic, msg.sender.uid, chat.id, chat.members, chat.created_at,
                chat:online("u1"), chat:online("bob"), chat:online("nobody"), ctx.now })
            end
            function R.on_message() return kept.id end
            """#)
        let outcome = rig.route(.chat, "c1", "x", members: Self.members)
        #expect(outcome.verdict == .reject(why: #"["chat","c1","u1","c1",["u1","bob"],500.0,true,false,false,1000.0]"#))
        #expect(rig.route(.chat, "c2", "kept").verdict == .drop(why: "c2"), "like msg: it is the chat of the hook that runs")
        rig.send()
        #expect(rig.log.texts.contains { $0.contains("chat is only there while its hook runs") })
        #expect(try RuleRig("function R.on_chat(msg, chat) return chat.id .. chat.name end").route(.chat, "c", "x").verdict == .pass)
    }

    @Test("a thousand members fit into the budget")
    func manyMembers() throws {
        let rig = try RuleRig(
            "function R.on_chat(msg, chat) return route.drop(#chat.members .. chat.members[1000] .. tostring(chat:online('member-999'))) end")
        let members = (1...1000).map { ChatView.Member(uid: "member-\($0)", isOnline: $0 % 2 == 1) }
        #expect(rig.route(.chat, "c1", "x", members: members).verdict == .drop(why: "1000member-1000true"))
    }

    @Test("on_chat may send a member to another worker")
    func chatRedirect() throws {
        let rig = try RuleRig(#"function R.on_chat() return route.redirect("10.0.0.2:4091") end"#)
        #expect(rig.route(.chat, "room", "hi").verdict == .redirect(to: "10.0.0.2:4091"))
    }

    @Test("on_chat_open and on_chat_join let in, refuse or redirect", arguments: ["open", "join"])
    func entry(hook: String) throws {
        let rig = try RuleRig(
            #"""
            function R.on_chat_\#(hook)(chat, conn, ctx)
              if conn.uid == "no" then return route.reject("not " .. conn.uid .. " in " .. chat.id) end
              if conn.uid == "drop" then return route.drop("full") end
              if conn.uid == "go" then return route.redirect("10.0.0.2:4091") end
              if conn.uid == "done" then return route.done() end
              if conn.uid == "error" then error("broken") end
              if conn.uid == "wrong" then return conn:with { uid = "x" } end
              if conn.uid == "emit" then ctx:emit(route.to("t")) end
            end
            """#)
        func enter(_ uid: String) -> ConnectOutcome {
            let chat = ChatView(id: "c1", members: Self.members, createdAt: 0)
            return hook == "open"
                ? rig.rules.onChatOpen(chat, by: Clients.peer(uid: uid), now: 1) : rig.rules.onChatJoin(chat, by: Clients.peer(uid: uid), now: 1)
        }
        #expect(enter("ann") == .accept)
        #expect(enter("no") == .reject(why: "not no in c1"))
        #expect(enter("drop") == .reject(why: "full"))
        #expect(enter("go") == .redirect(to: "10.0.0.2:4091"))
        #expect(enter("done") == .accept)
        #expect(enter("error") == .accept, "on_error is pass where the rule does not say")
        #expect(enter("wrong") == .accept)
        #expect(enter("emit") == .accept)
        let figures = rig.figures("on_chat_" + hook)
        #expect(figures.calls == 8)
        #expect(figures.verdicts == ["pass": 1, "reject": 1, "drop": 1, "redirect": 1, "done": 1])
        #expect(figures.errors == [.ruleFailed: 3])
        #expect(rig.log.texts.contains { $0.contains("it may return nothing, route.reject(), route.drop(), route.done() or route.redirect()") })
    }

    @Test("the first rule that refuses or redirects decides, and on_error can refuse")
    func entryChain() throws {
        let rig = try RuleRig(files: [
            "a/rule.lua": "return { priority = 2, on_chat_open = function(_, c) if c.uid == 'a' then return route.redirect('w:1') end end }",
            "b/rule.lua":
                "return { priority = 1, on_error = 'reject', on_chat_open = function(_, c) if c.uid == 'b' then error('x') end return route.reject('last') end }",
        ])
        func enter(_ uid: String) -> ConnectOutcome {
            rig.rules.onChatOpen(ChatView(id: "c", members: [], createdAt: 0), by: Clients.peer(uid: uid), now: 1)
        }
        #expect(enter("a") == .redirect(to: "w:1"))
        #expect(enter("b") == .reject(why: "rule b failed"))
        #expect(enter("c") == .reject(why: "last"))
    }

    @Test("on_chat_close gets the chat and the reason")
    func close() throws {
        let rig = try RuleRig(
            "function R.on_chat_close(chat, why, ctx) log.info(chat.id .. ' ' .. why .. ' ' .. #chat.members .. ctx.rule) return route.drop() end")
        rig.rules.onChatClose(ChatView(id: "c1", members: Self.members, createdAt: 1), why: "idle", by: nil, now: 1)
        #expect(rig.log.texts == ["c1 idle 2rule"])
        #expect(rig.figures("on_chat_close").verdicts == ["pass": 1])
    }

    // MARK: mistakes, budgets, breakers

    @Test(
        "what can't be is an error with a sentence",
        arguments: [
            (MessageKind.broadcast, #"return push:with { filter = { tags = { "a" } } }"#, "not tags"),
            (.broadcast, #"return push:with { filter = { uid = 5 } }"#, "uid must be a text"),
            (.broadcast, #"return push:with { filter = { match_tags = {} } }"#, "match_tags is empty"),
            (.broadcast, #"return push:with { filter = { match_tags = { 1 } } }"#, "match_tags must be a list of texts"),
            (.broadcast, #"return push:with { filter = "all" }"#, "a filter is a table, not a string"),
            (.broadcast, #"return route.redirect("w:1")"#, "on_broadcast returned a verdict that it can't"),
            (.broadcast, #"return true"#, "on_broadcast returned a boolean"),
            (.chat, #"return push:with { filter = { uid = "u" } }"#, "only a broadcast has a filter"),
            (.chat, #"return chat.nme"#, "chat has no 'nme'"),
            (.chat, #"return chat.online("x")"#, "chat expected"),
            (.chat, #"for i = 1, 101 do ctx:emit(route.push({ uid = "u" })) end"#, "more than 100 messages"),
            (.chat, #"setmetatable(chat, {})"#, "table expected"),
        ] as [(MessageKind, String, String)])
    func mistakes(kind: MessageKind, body: String, expected: String) throws {
        let rig = try RuleRig("function R.on_broadcast(push, ctx) \(body) end function R.on_chat(push, chat, ctx) \(body) end")
        let outcome = rig.route(kind, kind == .chat ? "c1" : "", "x")
        #expect(outcome.verdict == .pass)
        #expect(outcome.messages.isEmpty)
        #expect(rig.log.texts.contains { $0.contains(expected) }, "\(rig.log.texts)")
    }

    /// Calls each of the hooks once.
    private func callAll(_ rig: RuleRig, now: Double = 1000) {
        let chat = ChatView(id: "c", members: Self.members, createdAt: 0)
        _ = rig.route(.broadcast, "", "x", now: now)
        _ = rig.rules.onChatOpen(chat, by: Clients.peer(), now: now)
        _ = rig.rules.onChatJoin(chat, by: Clients.peer(), now: now)
        _ = rig.route(.chat, "c", "x", now: now)
        rig.rules.onChatClose(chat, why: "idle", by: nil, now: now)
        _ = rig.deliver(now: now)
        rig.withMessage(.topic, "t", "x") { rig.rules.onUndelivered($0, why: "full", now: now) }
    }

    private static let hooks = ["on_broadcast", "on_chat_open", "on_chat_join", "on_chat", "on_chat_close", "on_deliver", "on_undelivered"]

    private static func everyHook(_ body: String) -> String {
        hooks.map { "function R.\($0)(a, b, c) \(body) end" }.joined(separator: "\n")
    }

    @Test(
        "every hook is ended over its budget, and the state works afterwards",
        arguments: [
            ("while true do pcall(function() while true do end end) end", ErrorCode.ruleTime),
            ("local t = {} while true do t[#t + 1] = ('x'):rep(10000) .. #t end", .ruleMemory),
            ("local m = setmetatable({}, { __index = function(t) while true do end end }) return m.x", .ruleTime),
        ])
    func budgets(body: String, code: ErrorCode) throws {
        // On a machine that is busy, what is to run out of memory must not run out of time first.
        let rig = try RuleRig(
            "R.budget = { time = '\(code == .ruleMemory ? 40 : 2)ms' }\n" + Self.everyHook("if ctl ~= 'well' then \(body) end log.info('well')")
                + "\nfunction R.on_message() ctl = 'well' end")
        for round in 1...3 {
            let clock = ThreadClock()
            callAll(rig)
            #expect(clock.milliseconds < 7 * 50)
            for hook in Self.hooks { #expect(rig.figures(hook).errors == [code: UInt64(round)], "\(hook)") }
        }
        rig.send()
        callAll(rig)
        #expect(rig.log.texts.count { $0 == "well" } == 7)
    }

    @Test("a rule that fails too often is switched off for these hooks too; a guard lets nobody through")
    func breaker() throws {
        let rig = try RuleRig("R.breaker = { errors = 0, retry = '30s' }\nR.on_error = 'reject'\n" + Self.everyHook("if a then error('x') end"))
        let chat = ChatView(id: "c", members: [], createdAt: 0)
        _ = rig.route(.chat, "c", "x")
        #expect(rig.rules.figures().map(\.isOff) == [true])
        let why = "rule rule is switched off"
        #expect(rig.route(.chat, "c", "x").verdict == .reject(why: why))
        #expect(rig.route(.broadcast, "", "x").verdict == .reject(why: why))
        #expect(rig.rules.onChatOpen(chat, by: Clients.peer(), now: 1000) == .reject(why: why))
        #expect(rig.rules.onChatJoin(chat, by: Clients.peer(), now: 1000) == .reject(why: why))
        #expect(rig.deliver() == .drop(why))
        callAll(rig)
        #expect(Self.hooks.map { rig.figures($0).calls }.reduce(0, +) == 1)
        _ = rig.route(.chat, "c", "x", now: 1031)
        #expect(rig.figures("on_chat").calls == 2, "it is tried again")
    }

    @Test("a log line may not repeat the payload in these hooks either")
    func payloadGuard() throws {
        let rig = try RuleRig(
            "local function tell(m) log.info('got ' .. m.payload) end R.on_broadcast, R.on_chat, R.on_deliver, R.on_undelivered = tell, tell, tell, tell"
        )
        _ = rig.route(.broadcast, "", "card 4111111111111111")
        _ = rig.route(.chat, "c", "card 4111111111111111")
        _ = rig.deliver("t", "card 4111111111111111")
        rig.withMessage(.topic, "t", "card 4111111111111111") { rig.rules.onUndelivered($0, why: "full", now: 1) }
        #expect(rig.log.texts == Array(repeating: hiddenNotice, count: 4))
    }

    // MARK: in rule tests

    @Test("rule tests can ask for all of it")
    func bench() throws {
        let folder = try PluginFolder([
            "r/rule.lua": #"""
            local R = {}
            function R.on_broadcast(p) return p:with { filter = { uid = p.filter.uid .. "!" }, payload = p.payload .. p.sender.uid } end
            function R.on_chat(m, chat, ctx)
              for _, uid in ipairs(chat.members) do
                if not chat:online(uid) then ctx:emit(route.push({ uid = uid })) end
              end
              if m.payload == "no" then return route.reject(m.sender.uid) end
            end
            function R.on_chat_open(chat, conn) if chat.id == "far" then return route.redirect("w:1") end end
            function R.on_chat_join(chat, conn) if #chat.members > 1 then return route.reject(conn.uid) end end
            function R.on_chat_close(chat, why) log.info(chat.id .. why) end
            function R.on_deliver(m, conn) if conn.uid == "mute" then return route.drop("muted") end return m:with { payload = conn.uid } end
            function R.on_undelivered(m, why) log.info(m.kind .. why) end
            return R
            """#,
            "r/rule_test.lua": #"""
            return {
              ["all"] = function(t)
                local out = t:broadcast { payload = "p", filter = { uid = "u" }, sender = { uid = "s" } }
                t:eq(out.verdict, "replace") t:eq(out.filter.uid, "u!") t:eq(out.payload, "ps")
                out = t:chat { id = "c", payload = { a = 1 }, sender = { uid = "s" }, members = { { uid = "s" }, { uid = "b", online = false } } }
                t:eq(out.verdict, "pass") t:eq(out.payload, '{"a":1}') t:eq(#out.messages, 2) t:eq(out.messages[2].filter, { uid = "b" })
                t:eq(t:chat { payload = "no", sender = { uid = "s" } }.why, "s")
                t:eq(t:chat_open { id = "far" }, { verdict = "redirect", worker = "w:1", logs = {}, messages = {} })
                t:eq(t:chat_open {}.verdict, "accept")
                t:eq(t:chat_join { members = { { uid = "a" }, { uid = "b" } }, sender = { uid = "c" } }.why, "c")
                t:eq(t:chat_close { id = "c", why = "idle" }.logs, { "cidle" })
                t:eq(t:deliver { topic = "a", payload = "x", to = { uid = "mute" } }.why, "muted")
                t:eq(t:deliver { topic = "a", payload = "x", to = { uid = "ann" } }.payload, "ann")
                t:eq(t:undelivered { kind = "chat", topic = "c", payload = "x", why = "full" }.logs, { "chatfull" })
              end,
              ["wrong key"] = function(t)
                t:chat { payload = "x", room = "c" }
              end,
              ["wrong member"] = function(t)
                t:chat { payload = "x", members = { "ann" } }
              end,
            }
            """#,
        ])
        let results = try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).run()
        #expect(results.map { $0.failure?.description }.first == .some(nil))
        #expect(results[1].failure?.message.contains("t:chat does not take room") == true)
        #expect(results[1].failure?.location == folder.path + "/r/rule_test.lua:17")
        #expect(results[2].failure?.message.contains("members takes a table, not a text") == true)
    }
}
