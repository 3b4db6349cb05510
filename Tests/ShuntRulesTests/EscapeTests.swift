import ShuntCore
import Testing

@testable import ShuntRules

/// A way out of the sandbox, and how it has to end.
struct Escape: CustomTestStringConvertible, Sendable {
    enum End: Sendable {
        /// Ended over its time.
        case time
        /// Ended over its memory.
        case memory
        /// Either: whichever is used up first.
        case killed
        /// Ended by an error that says this.
        case error(String)
        /// Ended by itself within the budget: the attempt comes to nothing.
        case harmless
    }

    var name: String
    var end: End
    var body: String

    init(_ name: String, _ end: End, _ body: String) {
        self.name = name
        self.end = end
        self.body = body
    }

    var testDescription: String { name }

    static let loops: [Escape] = [
        Escape("while true", .time, "while true do end"),
        Escape("repeat", .time, "repeat until false"),
        Escape("goto", .time, "::a:: goto a"),
        Escape("for without end", .time, "for i = 1, math.huge do end"),
        Escape("tail calls", .time, "local function f() return f() end f()"),
        Escape("mutual recursion", .killed, "local f, g function f() return 1 + g() end function g() return 1 + f() end f()"),
        Escape("next over a table that is written", .killed, "local t = {} for i = 1, math.huge do t[i % 1000] = i for k in pairs(t) do end end"),
    ]

    static let catching: [Escape] = [
        Escape("pcall once", .time, "pcall(function() while true do end end) while true do end"),
        Escape("pcall in a loop", .time, "while true do pcall(function() while true do end end) end"),
        Escape("pcall of pcall", .time, "pcall(pcall, pcall, function() while true do end end) while true do end"),
        Escape("pcall of a library function", .time, "while true do pcall(error) end"),
        Escape("pcall recursion", .killed, "local function f() pcall(f) return f() end f()"),
        Escape("xpcall with a handler that loops", .time, "xpcall(function() while true do end end, function() while true do end end)"),
        Escape("xpcall with a handler that loops on an error", .time, "xpcall(error, function() while true do end end, 'x')"),
        Escape("xpcall with a handler that errs", .killed, "while true do xpcall(function() while true do end end, function(e) error(e) end) end"),
        Escape("xpcall recursion in handlers", .killed, "local function f(e) return xpcall(error, f, e) end while true do f() end"),
        Escape("__close", .time, "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end"),
        Escape("__close after an error", .time, "local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x')"),
        Escape(
            "__close under pcall", .time,
            "while true do pcall(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end end) end"
        ),
        Escape(
            "pcall with an error object that loops", .time,
            "local e = setmetatable({}, { __tostring = function() while true do end end }) pcall(error, e) tostring(e)"),
        Escape("memory, caught", .killed, "while true do pcall(function() local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end) end"),
        Escape("memory, caught once", .memory, "pcall(string.rep, 'x', 1 << 40) return route.drop('survived')"),
        Escape(
            "memory under __close", .memory,
            "local x <close> = setmetatable({}, { __close = function() error('mine') end }) local t = {} for i = 1, 1e9 do t[i] = i end"),
    ]

    static let coroutines: [Escape] = [
        Escape("coroutine that loops", .time, "coroutine.resume(coroutine.create(function() while true do end end)) while true do end"),
        Escape("wrap under pcall", .time, "while true do pcall(coroutine.wrap(function() while true do end end)) end"),
        Escape("coroutines without end", .killed, "while true do coroutine.wrap(function() coroutine.yield() end)() end"),
        Escape("coroutines kept", .memory, "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end"),
        Escape("nested resumes", .killed, "local function f() pcall(coroutine.wrap(f)) return f() end f()"),
        Escape(
            "yield in pcall in a coroutine", .time,
            "local co = coroutine.wrap(function() while true do pcall(coroutine.yield) end end) while true do co() end"),
        Escape(
            "close with __close that loops", .time,
            "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) coroutine.yield() end) coroutine.resume(co) coroutine.close(co)"
        ),
        Escape(
            "closes within closes", .killed,
            "local function deep(n) local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() deep(n + 1) end }) coroutine.yield() end) coroutine.resume(co) return coroutine.close(co) end while true do deep(1) end"
        ),
        Escape("yield out of the hook", .error("outside a coroutine"), "coroutine.yield(1)"),
    ]

    static let metamethods: [Escape] = ["index", "newindex", "len", "eq", "lt", "le", "add", "call", "unm", "idiv", "tostring", "pairs"].map { name in
        let use =
            [
                "index": "return t.x", "newindex": "t.x = 1", "len": "return #t", "eq": "return t == u", "lt": "return t < u",
                "le": "return t <= u", "add": "return t + 1", "call": "return t()", "unm": "return -t", "idiv": "return t // 1",
                "tostring": "return ('%s'):format(t)",
                "pairs": "for _ in pairs(t) do end",
            ][name] ?? ""
        return Escape(
            "__\(name) that loops", .time,
            "local m = { __\(name) = function() while true do end end } local t, u = setmetatable({}, m), setmetatable({}, m) \(use)")
    }

    static let library: [Escape] = [
        Escape(
            "a pattern that backtracks", .time,
            "return (('a?'):rep(30) .. ('a'):rep(30)):len(), (('a'):rep(29)):match(('a?'):rep(30) .. ('a'):rep(30))"),
        Escape("a pattern that backtracks, under find", .time, "return (('a'):rep(5000) .. 'b'):find('.-.-.-.-.-.-.-x')"),
        Escape("a pattern over a long text", .time, "local s = ('a'):rep(200000) return s:match('.-b') or s:gsub('a*a*a*b', '')"),
        Escape("%b over a long text", .time, "local s = ('('):rep(200000) return s:match('%b()')"),
        Escape("gmatch", .time, "for _ in (('a'):rep(100000)):gmatch('a-b') do end"),
        Escape("gsub with a callback that loops", .time, "('x'):gsub('x', function() while true do end end)"),
        Escape("gsub with a callback that errs, caught", .time, "while true do pcall(string.gsub, 'xxxx', 'x', error) end"),
        Escape("gsub into itself", .error("stack overflow"), "local function f(s) return (s:gsub('.', f)) end f('abc')"),
        Escape("gsub that grows", .killed, "local s = ('x'):rep(1000) return s:gsub('.', ('y'):rep(10000))"),
        Escape("string.rep", .memory, "return ('x'):rep(1e9)"),
        Escape("string.rep of nothing", .harmless, "return nil, (''):rep(1e18)"),
        Escape("string.rep that overflows", .memory, "return ('xxxxxxxx'):rep(1 << 61)"),
        Escape("doubling", .memory, "local s = 'x' while true do s = s .. s end"),
        Escape("string.format width", .error("over 99"), "return ('%1000000d'):format(1)"),
        Escape(
            "string.format of a looping __tostring", .time,
            "return ('%s'):format(setmetatable({}, { __tostring = function() while true do end end }))"),
        Escape(
            "a long text that is found nowhere", .time,
            "local n = ('ab'):rep(50000) .. 'b' local s = n .. 'c' while true do s:find(n, 2, true) end"),
        Escape("plain find", .harmless, "local s = ('a'):rep(400000) return nil, s:find(('a'):rep(200000) .. 'b', 1, true)"),
        Escape(
            "table.sort with a comparison that lies", .harmless,
            "local t = {} for i = 1, 300 do t[i] = i end table.sort(t, function() return true end)"),
        Escape("table.sort with a comparison that loops", .time, "table.sort({ 1, 2 }, function() while true do end end)"),
        Escape(
            "table.sort of a length", .time,
            "table.sort(setmetatable({}, { __len = function() return 1 << 30 end, __index = function() return 1 end, __newindex = function() end }))"),
        Escape(
            "table.concat of a length", .killed,
            "return table.concat(setmetatable({}, { __len = function() return 1 << 60 end, __index = function() return '' end }))"),
        Escape(
            "table.concat of a length, in C", .time,
            "return table.concat(setmetatable({}, { __len = function() return 1 << 60 end, __index = tostring }))"),
        Escape("table.insert at the front of a length", .time, "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)"),
        Escape("table.remove from the front of a length", .time, "table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)"),
        Escape("table.move", .time, "table.move({}, 1, 1 << 60, 2)"),
        Escape("table.unpack", .error("too many results"), "return select('#', table.unpack({}, 1, 1e8))"),
        Escape("table.unpack, many", .memory, "return select('#', table.unpack({}, 1, 9e5))"),
        Escape("utf8.char", .killed, "while true do utf8.char(0x7FFFFFFF) end"),
        Escape("string.pack padding", .memory, "return string.pack('c2147483647', 'x')"),
        Escape("string.byte", .killed, "return select('#', (('x'):rep(500000)):byte(1, -1))"),
        Escape("tostring loops", .time, "while true do tostring(1.5) end"),
        Escape("json.encode of itself", .error("within itself"), "local t = {} t.t = t return json.encode(t)"),
        Escape("json.encode of much", .killed, "local t = {} for i = 1, 2e4 do t[i] = 'some text' end while true do json.encode(t) end"),
        Escape("json.decode nested", .harmless, "local _, why = json.decode(('['):rep(500000)) assert(why:find('deep'))"),
        Escape("json.decode of much", .killed, "return json.decode('[' .. ('[],'):rep(100000) .. '1]')"),
        Escape("ctx.now in a loop", .time, "while true do local _ = ctx.now end"),
        Escape("msg:with in a loop", .killed, "while true do msg:with {} end"),
        Escape("kv in a loop", .killed, "for i = 1, math.huge do kv.set('k' .. i, 'v') end"),
        Escape("log in a loop", .time, "while true do log.info('x') end"),
        Escape("keys that collide", .killed, "local t, n = {}, (1 << 14) - 1 for i = 1, math.huge do t[i * n * ((1 << 13) - 1)] = i end"),
        Escape(
            "ephemerons", .error("weak keys"),
            "local k, first = {}, {} local last = first for i = 1, math.huge do local w = setmetatable({}, { __mode = 'k' }) local n = {} w[last] = n k[i] = w last = n end"
        ),
        Escape("hash of much", .time, "local s = ('x'):rep(500000) while true do hash.sha256(s) end"),
        Escape("base64 of much", .killed, "local s = ('x'):rep(100000) while true do base64.decode(base64.encode(s)) end"),
    ]

    static let doors: [Escape] = [
        Escape("__gc", .error("can't have __gc"), "setmetatable({}, { __gc = function() end })"),
        Escape(
            "__gc added later", .harmless,
            "local m = {} setmetatable({}, m) m.__gc = function() while true do end end for i = 1, 200 do local t = {} end"),
        Escape("__concat", .error("can't have __concat"), "setmetatable({}, { __concat = function() end })"),
        Escape(
            "__concat added later", .error("can't have __concat"),
            "local m = {} local t = setmetatable({}, m) m.__concat = function() end return 'a' .. t"),
        Escape("string metatable", .error("index a boolean value"), "getmetatable('').__index = nil"),
        Escape("string metatable, set", .error("table expected"), "setmetatable('', {})"),
        Escape("msg metatable", .error("index a boolean value"), "getmetatable(msg).__index = nil"),
        Escape("msg.json of something else", .error("expected msg"), "msg.json(ctx)"),
        Escape("msg.with of json.null", .error("expected msg"), "msg.with(json.null, {})"),
        Escape("load", .error("'load'"), "load('return 1')"),
        Escape("load of byte code", .error("'dump'"), "string.dump(function() end)"),
        Escape("dofile", .error("'dofile'"), "dofile('/etc/passwd')"),
        Escape("io", .error("'io'"), "io.open('/etc/passwd')"),
        Escape("os", .error("'os'"), "os.exit(1)"),
        Escape("debug", .error("'debug'"), "debug.sethook()"),
        Escape("package", .error("'package'"), "package.loadlib('x', 'y')"),
        Escape("require of a library", .error("no module 'io'"), "require 'io'"),
        Escape("require upward", .error("no module"), "require '../other/rule'"),
        Escape("require of a path", .error("no module"), "require '/etc/passwd'"),
        Escape("collectgarbage", .error("has \"count\" only"), "collectgarbage('stop')"),
        Escape(
            "collectgarbage with step", .error("has \"count\" only"), "while true do pcall(collectgarbage, 'step') collectgarbage('incremental') end"),
        Escape("C stack", .error("stack overflow"), "local function f(s) return (s:gsub('x', f)) end return f('x')"),
        Escape("a deep recursion", .memory, "local function f() return 1 + f() end return f()"),
        Escape("a deep recursion, caught", .killed, "local function f() pcall(f) return 1 + f() end while true do pcall(f) end"),
        Escape(
            "an error object with a looping __tostring", .error("raised a table"),
            "error(setmetatable({}, { __tostring = function() while true do end end }))"),
        Escape("an error object of nil", .error("raised a nil"), "error()"),
        Escape("an error object that is msg", .error("raised a userdata"), "error(msg)"),
        Escape("allocation", .memory, "local t = {} for i = 1, math.huge do t[i] = {} end"),
        Escape("upvalues", .memory, "local f for i = 1, math.huge do local g = f f = function() return g end end"),
    ]

    static var all: [Escape] { loops + catching + coroutines + metamethods + library + doors }
}

@Suite("Escapes from the budget", .serialized)
struct EscapeTests {
    @Test("each is ended in time, counted, and the state works on", arguments: Escape.all)
    func ended(escape: Escape) throws {
        // On a machine that is busy, what is to run out of memory, or to end by itself, must not run out of time first.
        let time =
            switch escape.end {
            case .memory, .harmless, .error: "30ms"
            case .time, .killed: "2ms"
            }
        let rig = try RuleRig(
            #"""
            R.budget = { time = "\#(time)" }
            function R.on_message(msg, ctx)
              if msg.topic == "well" then return route.to("alive") end
              \#(escape.body)
            end
            """#)
        let clock = ThreadClock()
        let outcome = rig.send("escape")
        // Without its end it would never come back; a busy machine's caches make the same work cost several times as much.
        #expect(clock.milliseconds < 250)
        let figures = rig.figures()
        switch escape.end {
        case .time: #expect(figures.errors == [.ruleTime: 1], "\(rig.log.texts)")
        case .memory: #expect(figures.errors == [.ruleMemory: 1], "\(rig.log.texts)")
        case .killed: #expect(figures.errors == [.ruleTime: 1] || figures.errors == [.ruleMemory: 1], "\(rig.log.texts)")
        case .error(let text):
            #expect(figures.errors == [.ruleFailed: 1], "\(rig.log.texts)")
            #expect(rig.log.texts.contains { $0.contains(text) }, "\(rig.log.texts)")
        case .harmless: #expect(figures.errors == [:], "\(rig.log.texts)")
        }
        #expect(outcome.messages.isEmpty)
        // Again, and then what it should do: nothing is left of the kill.
        rig.send("escape")
        for _ in 0..<100 { #expect(rig.send("well").messages.map(\.topic) == ["alive"]) }
    }

    @Test("a coroutine that was ended in one call can't run on in the next")
    func coroutineAfterwards() throws {
        let rig = try RuleRig(
            #"""
            local co
            function R.on_message(msg)
              if msg.topic == "first" then
                co = coroutine.create(function()
                  local x <close> = setmetatable({}, { __close = function() while true do end end })
                  while true do end
                end)
                coroutine.resume(co)
              elseif msg.topic == "close" then
                log.info(tostring(coroutine.close(co)))
              else
                log.info(tostring(coroutine.resume(co)))
              end
            end
            """#)
        rig.send("first")
        #expect(rig.figures().errors == [.ruleTime: 1])
        let clock = ThreadClock()
        rig.send("close")
        rig.send("resume")
        #expect(clock.milliseconds < 100)
        #expect(rig.log.texts.suffix(2) == ["false", "false"])
    }

    @Test("a suspended coroutine goes on after another call was ended")
    func suspendedSurvives() throws {
        let rig = try RuleRig(
            #"""
            local co = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(i) end end)
            function R.on_message(msg)
              log.info(tostring(co()))
              if msg.topic == "loop" then while true do co() end end
            end
            """#)
        rig.send("one")
        rig.send("two")
        #expect(rig.log.texts == ["1", "2"])
    }

    @Test("the budget is the rule's own, and capped by the limits")
    func ownBudget() throws {
        let loop = "local t = time.now() local n = 0 for i = 1, 2e6 do n = n + i end"
        #expect(try RuleRig("function R.on_message() \(loop) end").send().verdict == .pass)
        let short = try RuleRig("R.budget = { time = \"1ms\" } function R.on_message() while true do end end")
        short.send()
        #expect(short.log.texts.contains { $0.contains("took more than its budget of 1 ms") && $0.contains("rule/rule.lua:2") }, "\(short.log.texts)")
        let long = try RuleRig("R.budget = { time = \"90ms\" } function R.on_message() \(loop) end")
        long.send()
        #expect(long.figures().errors == [:])
        let memory = try RuleRig(
            "R.budget = { memory = \"16MiB\", time = \"100ms\" } function R.on_message() return route.drop(#('x'):rep(6000000)) end")
        #expect(memory.send().verdict == .drop(why: "6000000"))
        let capped = try RuleRig(
            "R.budget = { time = \"60s\" } function R.on_message() while true do end end",
            limits: {
                var l = RuleLimits(); l.callNanosecondsCap = 5_000_000; return l
            }())
        capped.send()
        #expect(capped.figures().errors == [.ruleTime: 1])
    }

    @Test("memory that calls keep is bounded by the state's cap, and the state goes on")
    func stateCap() throws {
        var limits = RuleLimits()
        limits.stateMemory = 4 << 20
        let rig = try RuleRig(
            #"""
            local kept = {}
            function R.on_message(msg)
              if msg.topic == "free" then kept = {} return route.drop("freed") end
              kept[#kept + 1] = ("x"):rep(500000) .. #kept
            end
            """#, limits: limits)
        for _ in 0..<20 { rig.send() }
        #expect(rig.rules.memory <= 4 << 20)
        #expect((rig.figures().errors[.ruleMemory] ?? 0) > 0)
        #expect(rig.send("free").verdict == .drop(why: "freed"))
        rig.send()
        #expect(rig.figures().errors.count == 1)
    }

    @Test("garbage is not held against a call")
    func garbage() throws {
        let rig = try RuleRig("R.budget = { time = \"100ms\" } function R.on_message() for i = 1, 3000 do local s = ('x'):rep(1000 + i) end end")
        rig.send()
        #expect(rig.figures().errors == [:], "\(rig.log.texts)")
    }

    @Test("a call can be ended at any point of what Lua and the host do")
    func endedAnywhere() throws {
        let rig = try RuleRig(
            #"""
            R.breaker = { errors = 1000000 }
            local function work(msg, depth)
              local t = {}
              for i = 1, 20 do t[i] = { id = i * 7 % 13, name = ("n"):rep(i) } end
              table.sort(t, function(a, b) return a.id < b.id end)
              local text = json.encode(json.decode(json.encode(t)))
              text = text:gsub("%d+", function(n) return #n > 1 and n or nil end):match("^(.-)name")
              local co = coroutine.wrap(function(x)
                local guard <close> = setmetatable({}, { __close = function() t = nil end })
                for i = 1, 5 do pcall(coroutine.yield, x .. i) end
                error { code = depth }
              end)
              pcall(function() while true do co(text) end end)
              xpcall(function() return nil + 1 end, function(e) return msg:with { payload = e } end)
              for word in ("the quick brown fox"):gmatch("%a+") do kv.set(word, hash.sha256(word), 1) end
              if depth > 0 then return work(msg, depth - 1), msg.sender.tags end
              return setmetatable({}, { __index = function(_, k) return k .. text end }).x
            end
            function R.on_message(msg)
              if msg.topic == "well" then return route.to("alive") end
              while true do work(msg, 3) end
            end
            """#)
        for _ in 0..<150 {
            rig.send("loop", #"{"a":[1,2,3]}"#)
            #expect(rig.send("well").messages.map(\.topic) == ["alive"])
        }
        let errors = rig.figures().errors
        #expect(errors.values.reduce(0, +) == 150)
        #expect(errors[.ruleFailed] == nil)
    }

    @Test("calls on several threads at once are each ended")
    func threads() async throws {
        let ended = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    guard let rig = try? RuleRig("function R.on_message(m) if m.topic == 'x' then while true do end end end") else { return 0 }
                    for index in 0..<20 { rig.send(index % 2 == 0 ? "x" : "y") }
                    return Int(rig.figures().errors[.ruleTime] ?? 0)
                }
            }
            return await group.reduce(0, +)
        }
        #expect(ended == 40)
    }
}
