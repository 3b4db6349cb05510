import ShuntCore
import Testing

@testable import ShuntRules

/// Tables that are not what they seem: names that go on after a zero byte, metatables that answer otherwise than was checked.
@Suite("Hostile tables")
struct HostileTableTests {
    @Test(
        "a name is compared with its length, by everything that takes a table",
        arguments: [
            (#"return msg:with { ["format\0"] = "text" }"#, "msg:with{} takes"),
            (#"return msg:with(json.decode('{"format\\u0000":"text"}'))"#, "msg:with{} takes"),
            (#"return msg:with { ["payload\0"] = "x" }"#, "msg:with{} takes"),
            (#"return msg:with { ["topic\0"] = "x" }"#, "msg:with{} takes"),
            (#"return msg:with { ["key\0x"] = "x" }"#, "msg:with{} takes"),
            (#"return msg:with { format = "text\0" }"#, "format is text or json"),
            (#"return route.push { ["uid\0"] = "x" }"#, "a filter has"),
            (#"return route.push { ["match_tags\0"] = { "x" } }"#, "a filter has"),
            (#"return msg.sender:with { ["uid\0"] = ("u"):rep(200000) }"#, "conn:with{} takes"),
            (#"return msg.sender:with { ["tags\0"] = {} }"#, "conn:with{} takes"),
            (#"return msg.sender["uid\0"]"#, "conn has no"),
            (#"return ctx["now\0"]"#, "ctx has no"),
            (#"return require "a\0b""#, "zero bytes"),
        ])
    func names(body: String, expected: String) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx) \(body) end")
        rig.send()
        #expect(rig.figures().errors == [.ruleFailed: 1])
        #expect(rig.log.texts.contains { $0.contains(expected) }, "\(rig.log.texts)")
    }

    @Test(
        "no metamethod is asked for what was not checked",
        arguments: [
            #"msg:with(setmetatable({}, { __index = function() error "asked" end }))"#,
            #"msg:with(setmetatable({ format = "json" }, { __index = function() error "asked" end }))"#,
            #"msg.sender:with(setmetatable({}, { __index = function() return ("A"):rep(100) end }))"#,
            #"msg.sender:with(setmetatable({ tags = setmetatable({}, { __len = function() return 3 end, __index = function() return {} end }) }, { __index = function() error "asked" end }))"#,
            #"route.push(setmetatable({ uid = "u" }, { __index = function() error "asked" end, __pairs = function() error "asked" end }))"#,
            #"route.fanout(setmetatable({ msg }, { __index = function() error "asked" end, __len = function() return 1000 end }))"#,
            #"json.encode(setmetatable({ 1 }, { __index = function() error "asked" end, __len = function() return 1000 end }))"#,
        ])
    func metamethods(body: String) throws {
        let rig = try RuleRig("function R.on_message(msg, ctx) local made = \(body) end")
        rig.send()
        #expect(rig.figures().errors == [:], "\(rig.log.texts)")
    }

    @Test("what only a weak table has is whole while it is encoded, asked or written to", arguments: ["json", "msgpack", "cbor"])
    func weakTables(format: String) throws {
        let rig = try RuleRig(
            #"""
            R.budget = { time = "5s", memory = "64MiB" }
            local format = \#(format)
            local text = '{"o":[1.50' .. (',[],{"n":"\\n"}'):rep(500) .. ']}'
            function R.on_message(msg)
              local whole = format.encode(json.decode(text).o)
              for round = 1, 3 do
                local weak = setmetatable({}, { __mode = "v" })
                for i = 1, 10 do weak["a key that is longer than forty bytes, so that it is no short text " .. i] = json.decode(text).o end
                for key, value in pairs(format.decode(format.encode(weak))) do
                  assert(#key > 40 and format.encode(value) == whole, key)
                end
                local asked = setmetatable({}, setmetatable({ __index = json.decode(text).o }, { __mode = "v" }))
                local first = asked[1]
                assert(first == nil or first == 1.5)
                local written = setmetatable({}, setmetatable({ __newindex = json.decode(text).o }, { __mode = "v" }))
                written[round + 2000] = 1
              end
            end
            """#)
        for _ in 0..<10 { rig.send() }
        #expect(rig.figures().errors == [:], "\(rig.log.texts)")
    }

    @Test("a broadcast's filter and a subscription are as they were checked")
    func broadcastAndSubscription() throws {
        let rig = try RuleRig(
            #"""
            function R.on_broadcast(push) return push:with { ["filter\0"] = { uid = "u" } } end
            function R.on_subscribe(sub) return sub:with { ["group\0"] = "g" } end
            """#)
        #expect(rig.route(.broadcast, "", "{}", filter: #"{"uid":"a"}"#).messages.isEmpty)
        #expect(rig.figures("on_broadcast").errors == [.ruleFailed: 1])
        _ = rig.rules.onSubscribe(SubscriptionRequest(topic: "t", group: "g", key: nil), from: Clients.peer().id, now: 1)
        #expect(rig.figures("on_subscribe").errors == [.ruleFailed: 1])
    }
}
