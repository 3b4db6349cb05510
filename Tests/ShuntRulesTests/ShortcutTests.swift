import ShuntCore
import Testing

@testable import ShuntRules

/// What Lua is spared for the messages of a topic must not be seen: each is told the same as the first.
@Suite("Topics and verdicts that are used again")
struct ShortcutTests {
    @Test("msg.topic is each message's own, and a copy's its own")
    func topics() throws {
        let rig = try RuleRig(
            """
            function R.on_message(msg)
              local copy = msg:with { topic = "copy" }
              return route.drop(msg.topic .. " " .. copy.topic .. " " .. msg.topic)
            end
            """)
        let long = String(repeating: "l", count: 60)
        for topic in ["a", "a", "b", "orders/eu", "orders/us", "orders/us", "orders/european", "orders/europeam", long, long, long + "x", "a"] {
            #expect(rig.send(topic).verdict == .drop(why: "\(topic) copy \(topic)"))
        }
    }

    @Test("msg that is kept has no topic once its hook has ended, and msg is no number")
    func kept() throws {
        let rig = try RuleRig(
            #"""
            local kept
            function R.on_message(msg)
              kept = msg
              local _, why = pcall(function() return msg + "topic" end)
              return route.drop(msg.topic .. " " .. why:match("attempt .*"))
            end
            function R.on_disconnect() log.info(select(2, pcall(function() return kept.topic end))) end
            """#)
        let outcome = rig.send("t")
        guard case .drop(let why) = outcome.verdict else { throw ShuntError(.internalError, "no drop") }
        #expect(why.hasPrefix("t attempt to add a 'userdata' with a 'string'"))
        rig.rules.onDisconnect(Clients.peer(), why: "", now: 1000)
        #expect(rig.log.texts.last?.contains("msg is only there while its hook runs") == true)
    }

    @Test("route.to gives each topic its own verdict, however many a rule uses in turn")
    func manyTargets() throws {
        let rig = try RuleRig(#"function R.on_message(msg) return route.to("to/" .. msg.topic) end"#)
        for _ in 0..<2 {
            for number in 0..<40 { #expect(rig.send("t\(number)").messages.map(\.topic) == ["to/t\(number)"]) }
        }
    }

    @Test("a verdict that was returned before stays what it was, in lists and under route.always")
    func verdicts() throws {
        let rig = try RuleRig(
            #"""
            local first
            function R.on_message(msg)
              first = first or route.to("x")
              if msg.topic == "always" then return route.always(route.to("x")) end
              if msg.topic == "list" then return route.fanout { route.to("x"), first, route.to("y"), route.to("x", msg:with { payload = "p" }) } end
              if msg.topic == "first" then return first end
              local again = route.to("x")
              return again
            end
            """#)
        for _ in 0..<3 {
            #expect(rig.send("t").messages.map(\.topic) == ["x"])
            #expect(rig.send("always").isStanding)
            #expect(rig.send("list").messages.map(\.topic) == ["x", "x", "y", "x"])
            #expect(rig.send("list").messages.map(\.payload) == ["{}", "{}", "{}", "p"])
            let outcome = rig.send("first")
            #expect(outcome.messages.map(\.topic) == ["x"])
            #expect(!outcome.isStanding)
        }
    }

    @Test("a topic that limits.topic does not take any more is refused, as one that is new is")
    func topicLimit() throws {
        var limits = RuleLimits.ample
        let rig = try RuleRig(#"function R.on_message() return route.to("longer") end"#, limits: limits)
        #expect(rig.send().messages.map(\.topic) == ["longer"])
        limits.topicBytes = 5
        rig.rules.setLimits(limits)
        rig.send()
        #expect(rig.figures().errors == [.ruleFailed: 1])
        #expect(rig.log.texts.last?.contains("has 6 bytes: at most 5") == true)
    }

    @Test("verdicts that are used again live through collections of garbage")
    func garbage() throws {
        let rig = try RuleRig(
            #"""
            function R.on_message(msg)
              for i = 1, 40 do route.to("other/" .. i) end
              for i = 1, 2000 do local garbage = { i .. "" } end
              return route.to("to/" .. msg.topic)
            end
            """#)
        for number in 0..<300 { #expect(rig.send("t\(number % 5)").messages.map(\.topic) == ["to/t\(number % 5)"]) }
    }

    @Test("msg.payload is each message's own, as it came or inflated, and stays once it is kept")
    func payloads() throws {
        let rig = try RuleRig(
            """
            local kept = {}
            function R.on_message(msg)
              kept[#kept + 1] = msg.payload
              for i = 1, 500 do local garbage = msg.payload .. i end
              return route.drop(table.concat(kept, ","))
            end
            """)
        let long = String(repeating: "p", count: 300)
        var seen: [String] = []
        for payload in ["", "a", "b", long, long + "x", "a"] {
            seen.append(payload)
            #expect(rig.send("t", payload).verdict == .drop(why: String(seen.joined(separator: ",").prefix(512))))
        }
    }

    @Test("msg's methods are the same functions for each message, and those of a copy its own")
    func methods() throws {
        let rig = try RuleRig(
            #"""
            local first
            function R.on_message(msg)
              first = first or { msg.json, msg.with, msg.msgpack, msg.cbor }
              local same = first[1] == msg.json and first[2] == msg.with and first[3] == msg.msgpack and first[4] == msg.cbor
              local copy = msg:with { payload = '{"a":"copy"}' }
              return route.drop(tostring(same) .. " " .. msg:json().a .. " " .. copy:json().a .. " " .. first[1](msg).a)
            end
            """#)
        for value in ["x", "y"] { #expect(rig.send("t", "{\"a\":\"\(value)\"}").verdict == .drop(why: "true \(value) copy \(value)")) }
    }

    @Test("a changed client, which these hooks may not return, is told as what it is")
    func changedClient() throws {
        let rig = try RuleRig(
            """
            function R.on_message(msg) return msg.sender:with { tags = { "a" } } end
            function R.on_deliver(msg, conn) return conn:with { tags = { "a" } } end
            """)
        rig.send()
        #expect(rig.log.texts.last?.contains("on_message returned a conn:with{}") == true)
        _ = rig.deliver("t", "p")
        #expect(rig.log.texts.last?.contains("on_deliver returned a conn:with{}") == true)
    }

    @Test("plain find finds what is there, at each place of short and long texts")
    func plainFind() throws {
        let rig = try RuleRig(
            #"""
            function R.on_message(msg)
              local length = tonumber(msg.payload)
              for at = 1, length, 2 do
                local text = ("a"):rep(at - 1) .. "ba" .. ("a"):rep(length - at)
                for _, wanted in ipairs { "b", "ba", "aba", "bab", "aab" } do
                  local expected
                  for start = 1, #text - #wanted + 1 do
                    if text:sub(start, start + #wanted - 1) == wanted then expected = start break end
                  end
                  local found = text:find(wanted, 1, true)
                  if found ~= expected then error(text .. " " .. wanted) end
                end
              end
            end
            """#)
        // A call for each length: none takes long.
        for length in stride(from: 1, through: 100, by: 3) { rig.send("t", "\(length)") }
        #expect(rig.figures().errors == [:])
    }
}
