import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule check, payloads, tables and names of the plugin's own")
struct RuleCheckContentTests {
    private static func rule(_ body: String, before: String = "", match: String = "topic = 'a/+'", more: String = "") -> String {
        "local R = { match = { \(match) } }\n\(before)\nfunction R.on_message(msg)\n\(body)\nend\n\(more)\nreturn R"
    }

    // MARK: payloads in the log

    @Test(
        "a payload that goes to the log is found, also where a local holds it",
        arguments: [
            "log.info(msg.payload)", "log.info('got ' .. msg.payload)", "print(msg.payload)", "log.info('x', { body = msg.payload })",
            "local body = msg.payload log.info(body)", "local order = msg:json() log.info('x', { order = order })",
            "log.info(msg:json().id)", "log.info('id ' .. tostring((msg:json() or {}).id))", "log.info(('got %s'):format(msg.payload))",
            "log.info(string.format('got %s', msg.payload))", "log.info(msg.key or msg.payload)", "log.info(json.encode(msg:json()))",
            "local info = log.info info(msg.payload)", "log.info(msg:cbor())", "log.info(base64.encode(msg.payload))",
            "log.info((re.replace(msg.payload, 'a', 'b')))", "log.info(table.concat({ msg.payload }, ','))", "log.info(msg:json().name:upper())",
            "log.info('n', { n = math.floor(msg:json().n) })",
        ])
    func payloads(body: String) throws {
        #expect(try lintDetails(Self.rule(body)).map(\.kind) == [.payload])
    }

    @Test(
        "what tells little of a payload may go to the log",
        arguments: [
            "log.info(msg.payload == 'x' and 'yes' or 'no')", "log.info('x', { ok = msg:json() ~= nil })", "log.info(#msg.payload)",
            "log.info(type(msg:json()))", "log.info(hash.sha256(msg.payload))", "log.info(msg.payload:find('x') or 0)",
            "log.info(tostring(re.test(msg.payload, 'x')))", "local order = msg:json() log.info(order.id)",
            "log.info(msg.payload and 'some' or 'none')", "log.info(#msg.payload > 10 and 'long' or 'short')", "log.info(msg.topic)",
            "log.info('n', { n = kv.incr('sku:' .. msg:json().sku) })", "log.info('n', { n = shared.incr(msg.payload) })",
            "log.info('x', { known = kv.get('s' .. msg:json().id) ~= nil })", "log.info(tostring(kv.get(msg:json().id)))",
            "log.info('s', { size = msg:json().name:len() })", "log.info('x', { at = msg:json().name:find('x') or 0 })",
            "log.info(select(2, msg:json()) or 'fine')", "log.info('x', { h = hash.crc32(msg.payload) })",
        ])
    func littleOfPayloads(body: String) throws {
        #expect(try lintDetails(Self.rule(body)) == [])
    }

    // MARK: tables that grow

    @Test(
        "a table that only grows is found",
        arguments: [
            "seen[msg.key] = true", "seen[msg.topic] = msg.payload", "seen[msg.sender.uid] = msg.qos", "local k = msg.key seen[k] = true",
            "seen[msg.topic] = true table.remove(seen, 1)", "for k in pairs(seen) do log.info(k) end seen[msg.topic] = true",
            "if #msg.payload > 5 then seen[msg.topic] = true end",
        ])
    func growing(body: String) throws {
        #expect(try lintDetails(Self.rule(body, before: "local seen = {}")).map(\.kind) == [.growth])
    }

    @Test(
        "a table that loses keys, or whose size is looked at, is not",
        arguments: [
            ("local n = (seen[msg.key] or 1) - 1 seen[msg.key] = n > 0 and n or nil", "local seen = {}"),
            ("if size < 100 then seen[msg.topic] = true size = size + 1 end", "local seen, size = {}, 0"),
            ("if size >= 100 then return end seen[msg.topic] = true size = size + 1", "local seen, size = {}, 0"),
            ("if state.size < 100 then seen[msg.topic] = true state.size = state.size + 1 end", "local seen, state = {}, { size = 0 }"),
            ("if count(seen) < 100 then seen[msg.topic] = true end", "local seen = {}\nlocal function count(t) return #t end"),
            ("seen[msg.topic] = { msg.qos }", "local seen = setmetatable({}, { __mode = 'v' })"),
            ("seen[msg.topic] = true rawset(seen, 'x', nil)", "local seen = {}"),
            ("seen[msg.topic] = true prune(seen)", "local seen = {}\nlocal function prune(t) for k in pairs(t) do t[k] = nil end end"),
            ("local t = seen t[msg.key] = nil seen[msg.topic] = true", "local seen = {}"),
            ("local n if msg.key then n = 1 end seen[msg.topic] = n", "local seen = {}"),
            ("seen[msg.topic] = next_of(msg.key)", "local seen = {}\nlocal function next_of(k) if k then return 1 end end"),
        ])
    func bounded(body: String, before: String) throws {
        #expect(try lintDetails(Self.rule(body, before: before)) == [])
    }

    @Test(
        "a table that loses keys in another function, or by another name, is not",
        arguments: [
            ("local function put(id, v) seen[id] = v end", "function R.on_disconnect(conn) put(conn.uid, nil) end"),
            ("local function put(id, v) seen[id] = v end", "function R.on_disconnect(conn) put(conn.uid) end"),
            ("local M = {}\nfunction M.put(id, v) seen[id] = v end", "function R.on_disconnect(conn) M.put(conn.uid, nil) end"),
            ("local rules = require 'm'", "function R.on_disconnect(conn) seen[conn.uid] = rules.next(conn) end"),
            ("local state = { seen = seen }", "function R.on_disconnect(conn) state.seen[conn.uid] = nil end"),
            ("local all = {}\ntable.insert(all, seen)", "function R.on_tick() for k in pairs(all[1]) do all[1][k] = nil end end"),
            ("", "function R.on_tick() for _, t in ipairs { seen } do for k in pairs(t) do t[k] = nil end end end"),
            ("local function all() return seen end", "function R.on_tick() for k in pairs(all()) do all()[k] = nil end end"),
            ("local old", "function R.on_tick() old = seen for k in pairs(old) do old[k] = nil end end"),
            ("function seen:drop(k) self[k] = nil end", "function R.on_disconnect(conn) seen:drop(conn.uid) end"),
            ("local function changes() return next, {} end", "function R.on_tick() for k, v in changes() do seen[k] = v end end"),
        ])
    func emptiedElsewhere(before: String, after: String) throws {
        let text = Self.rule("seen[msg.key] = true", before: "local seen = {}\n\(before)", more: after)
        #expect(try lintDetails(text, more: ["m.lua": "return { next = function() end }"]) == [])
    }

    @Test(
        "a table whose size a function looks at, or whose keys another one has, is not",
        arguments: [
            ("if room() then seen[msg.key] = true size = size + 1 end", "local function room() return size < 10 end"),
            (
                "if full() then return end seen[msg.key] = true size = size + 1",
                "local function over(n) return size + n > 10 end\nlocal function full() return over(1) end"
            ),
            ("if m.room(size) then seen[msg.key] = true size = size + 1 end", "local m = require 'm'"),
            ("if names[msg.key] then seen[msg.key] = true end", "local names = { a = true }"),
            ("local name = names[msg.key] if not name or msg.retain then return end seen[msg.key] = size", "local names = { a = true }"),
            ("if names[msg.key] == nil then return end local k = msg.key seen[k] = size", "local names = { a = true }"),
            ("if not ctx.settings.names[msg.key] then return route.drop() else seen[msg.key] = size end", ""),
            ("if seen[msg.key] then seen[msg.key] = seen[msg.key] + 1 end", "seen.a = size"),
        ])
    func boundedElsewhere(body: String, before: String) throws {
        let text = Self.rule(body, before: "local seen, size = {}, 0\n\(before)").replacing("on_message(msg)", with: "on_message(msg, ctx)")
        #expect(try lintDetails(text, more: ["m.lua": "return { room = function(n) return n < 10 end }"]).filter { $0.kind == .growth } == [])
    }

    @Test(
        "a condition that bounds no keys, and a copy of the table, say nothing",
        arguments: [
            ("if names[msg.key] then return end seen[msg.key] = true", "local names = { a = true }", ""),
            ("if seen[msg.key] then return end seen[msg.key] = true", "", ""), ("if not seen[msg.key] then seen[msg.key] = true end", "", ""),
            ("if not last[msg.key] then last[msg.key] = 1 end if last[msg.key] then seen[msg.key] = 1 end", "local last = {}", ""),
            ("put(msg.key, 1) seen[msg.key] = 2", "local function put(id, v) seen[id] = v end", ""),
            ("for _, v in pairs { a = 1 } do seen[msg.key] = v end", "", ""),
            ("seen[msg.key] = true", "", "function R.on_unload() return { seen = seen } end"),
            ("seen[msg.key] = true log.info('x', { seen = seen })", "", ""),
        ])
    func unbounded(body: String, before: String, after: String) throws {
        #expect(try lintDetails(Self.rule(body, before: "local seen = {}\n\(before)", more: after)).contains { $0.kind == .growth })
    }

    @Test("where match names topics, there are no more keys than these")
    func fewTopics() throws {
        let body = "seen[msg.topic] = true"
        #expect(try lintDetails(Self.rule(body, before: "local seen = {}", match: "topic = { 'a/b', 'a/c' }")) == [])
        #expect(try lintDetails(Self.rule(body, before: "local seen = {}", match: "topic = { 'a/b', 'a/#' }")).contains { $0.kind == .growth })
        #expect(try lintDetails(Self.rule("seen[msg.key] = 1", before: "local seen = {}", match: "topic = 'a/b'")).map(\.kind) == [.growth])
    }

    // MARK: names

    @Test("what a file adds to a library is there, and what it says of its globals is believed")
    func own() throws {
        let trim = "function string.trim(s) return (s:gsub('%s+', '')) end\ntable.contains = function(list, x) return list[1] == x end"
        #expect(try lintDetails(Self.rule("if table.contains({}, string.trim(msg.key)) then return route.drop() end", before: trim)) == [])
        #expect(try lintDetails(Self.rule("return route.drop(msg.key:trim())", before: trim)).map(\.kind) == [.field], "a text's methods are Lua's")
        #expect(try lintDetails(Self.rule("return route.drop(string.trm(msg.key))", before: trim)).map(\.kind) == [.library])
        #expect(try lintDetails(Self.rule("return route.drop(OTHER)", before: "_ENV.OTHER = 'x'")) == [])
        #expect(try lintDetails(Self.rule("return route.drop(f())", before: "local function f() local _ENV = { x = 'a' } return x end")) == [])
        let asked = "setmetatable(_G, { __index = function(_, name) return name end })"
        #expect(try lintDetails(Self.rule("return route.drop(whatever)", before: asked)) == [])
    }

    @Test("words for types are there where the rule loads, in any of its files, and not in hooks")
    func words() throws {
        let outer = "local R = { settings = require 'schema' }\nfunction R.on_message(_, ctx) return route.drop(ctx.settings.why) end\nreturn R"
        let schema = "return { why = text { default = 'x' }, all = list({ topic = filter }, { default = {} }) }"
        #expect(try lintDetails(outer, more: ["schema.lua": schema]) == [])
        let made = "local function make()\nlocal R = { settings = { why = text } }\nfunction R.on_tick() end\nreturn R\nend\nreturn make()"
        #expect(try lintDetails(made) == [])
        let late = "local R = { settings = { a = integer { default = 1 } } }\n"
        for (body, given) in [
            ("if #topic > 5 then return route.drop() end", ""), ("for _, x in ipairs(list) do log.info(x) end", ""),
            ("return route.drop(f())", "local function f() return text end"), ("return route.drop(f())", "local function f() return (path) end"),
        ] {
            let found = try lintDetails("\(late)\(given)\nfunction R.on_message()\n\(body)\nend\nreturn R")
            #expect(found.map(\.kind) == [.global], "\(body)")
            #expect(found.first?.help?.hasSuffix("is there while the rule loads, and not in hooks") == true)
        }
        let given = "\(late)local function one() return text { default = 'x' } end\nR.settings.b = one()\nfunction R.on_message() end\nreturn R"
        #expect(try lintDetails(given) == [])
        #expect(try lintDetails("return { on_tick = function() log.info(topic) end }").map(\.kind) == [.global])
        // The one mistake, and not what follows from it.
        let unreturned = "local R = {}\nR.settings = { a = list { topic = filter }, b = enum { 'x', 'y', default = 'x' } }\n"
        #expect(try lintDetails(unreturned).map(\.message) == ["rule.lua returns nothing"])
        #expect(try lintDetails("return { settings = { a = txt { default = 'x' } } }").first?.help == "did you mean text?")
        #expect(try lintDetails("return { settings = { a = string { default = 'x' } } }").first?.help?.hasPrefix("did you mean text, as") == true)
    }

    @Test("a module that is asked for by a path is told with its name")
    func modules() throws {
        func told(_ name: String) throws -> String? {
            let found = try lintDetails(
                "local a = require '\(name)'\nreturn { on_tick = function() log.info(a) end }", more: ["sub/a.lua": "return 'x'"])
            return found.first { $0.kind == .library }.map { "\($0.message); \($0.help ?? "")" }
        }
        #expect(try told("sub.a") == nil)
        #expect(try told("./sub/a") == "the plugin has no module \"./sub/a\"; did you mean sub/a? it has sub/a")
        #expect(try told("sub/a.lua") == "the plugin has no module \"sub/a.lua\"; did you mean sub/a? it has sub/a")
    }

    // MARK: texts that are not UTF-8

    @Test("keys are the same where their bytes are")
    func bytes() throws {
        let names = "local names = { ['\\xff'] = 1, ['\\xfe'] = 2, ['\\u{D800}'] = 3, ['\\u{D801}'] = 4, ['\u{E9}'] = 5, ['e\u{301}'] = 6 }"
        #expect(try lintDetails("\(names)\nreturn { on_message = function(msg) return names[msg.key] and msg or nil end }") == [])
        let twice = try lintDetails(
            "local t = { ['\\xff'] = 1, ['\\255'] = 2 }\nreturn { on_message = function(m) return t[m.key] and m or nil end }")
        #expect(twice.map(\.message) == ["the key \\xff stands here a second time: the first one is lost"])
        let tests = "return { ['gr\\xf6sse'] = function(t) t:ok(1) end, ['gr\\xe4sse'] = function(t) t:ok(1) end }"
        #expect(try lintDetails("return { on_tick = function() end }", test: tests) == [])
        let folder = try PluginFolder(["r/rule.lua": "return {}", "r/rule_test.lua": tests.replacing("xe4", with: "xf6")])
        #expect(RuleTestRunner(plugin: try RulePlugin(directory: folder.path + "/r")).run().map { $0.failure != nil } == [true])
    }
}
