import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

// The bugs that lua.org lists for 5.4.4 and later (5.4.4-3+deb12u1 is what Debian 12 has), and why a rule reaches none of them:
//
// 5.4.4-1  lua.c and an empty argv            lua.c is not in the archive
// 5.4.4-2  _ENV <const> (CVE-2022-28805)      mended by Debian; test `constantEnvironment`
// 5.4.4-3  constants in bitwise operations    wrong results or errors, no memory; test `bitwiseConstants` holds what Debian's does
// 5.4.4-4  Lua stack overflow while an error is handled (CVE-2022-33099)   mended by Debian; test `overflowInHandler`
//          The same update made luaV_concat use a stack that a __concat had moved: concat.c calls none; tests `concatMovesNothing`,
//          `concatOfLargeIntegers`, `concatAddedLater`
// 5.4.4-5  lua_settop and a pointer that luaF_close made invalid   only with lua_toclose, which the host does not use
// 5.4.4-6  break and a variable that is closed in a for loop        a __close that is late, no memory; test `breakCloses`
// 5.4.4-7  target after a full collection in generational mode      the host's states are incremental, and rules can't change that
// 5.4.4-8  utf8.codes takes stray continuation bytes                no memory: it decodes with bounds; test `strayContinuations`
// 5.4.4-9  C stack and nested coroutine.close  bounded by the host (lib_coroutine.c); test `nestedCloses`
// 5.4.4-10 line in errors of arithmetic       a wrong number in a text
// 5.4.4-11 a corrupted binary chunk           all chunks are loaded as text ("t"); string.dump is not there; test `binaryChunk`
// 5.4.5-1  signature of lua_resetthread       not in 5.4.4
// 5.4.6-1  read overflow in l_strcmp          needs a locale whose strcoll tells apart what it skips: replaced.c compares bytes
// 5.4.6-2  hook that yields is called twice    the host's hook raises, and never yields
// 5.4.6-3  line of a call across lines         a wrong number in a text
// 5.4.6-4  code without end for many constants in a loop of the parser   a plugin file has at most 256 KiB and a second
@Suite("Bugs of Lua 5.4.4")
struct LuaBugTests {
    private func ask(_ body: String) throws -> [String] { try RuleRig.ask(body) }

    @Test("_ENV <const>")
    func constantEnvironment() throws {
        #expect(
            try ask(
                #"local ok, why = pcall(function() local _ENV <const> = 11 X = "hi" end) log.info(tostring(not ok and why:find("number") ~= nil))"#)
                == ["true"])
    }

    @Test("constants in bitwise operations give a result or an error, and leave what is around them alone")
    func bitwiseConstants() throws {
        let said = try ask(
            #"""
            local before, after = {}, {}
            local ok = pcall(function() local i <const> = 3 local a = 1 return (a & i) | (i & 5) ~ 0xF0 end)
            log.info(tostring(type(before) == "table" and type(after) == "table"))
            """#)
        #expect(said == ["true"])
    }

    @Test("an overflow of the C stack while an overflow is handled")
    func overflowInHandler() throws {
        let rig = try RuleRig(
            #"""
            R.budget = { time = "100ms", memory = "64MiB" }
            function R.on_message(msg)
              if msg.topic == "well" then return route.to("alive") end
              local function f() return f() + 1 end
              xpcall(f, function(e) return e .. nil end)
              xpcall(f, function(e) return f() end)
              local function g(s) return (s:gsub(".", g)) end
              xpcall(g, function(e) return g(e) end, "x")
            end
            """#)
        for _ in 0..<5 {
            rig.send("overflow")
            #expect(rig.send("well").messages.map(\.topic) == ["alive"])
        }
    }

    private static let deep = "local function deep(n) if n > 0 then return 1 + deep(n - 1) end return 1 end "

    @Test("nothing that a concatenation calls moves the stack")
    func concatMovesNothing() throws {
        let rig = try RuleRig(
            Self.deep + #"""
                function R.on_message(msg)
                  local m = {}
                  local t = setmetatable({}, m)
                  m.__concat = function() deep(4000) return "x" end
                  coroutine.wrap(function() local a = { 1 } local s = "a" .. t return a[1] end)()
                end
                """#)
        for _ in 0..<100 { rig.send() }
        #expect(rig.figures().errors == [.ruleFailed: 100] || rig.figures().calls < 100)
        #expect(rig.log.texts.allSatisfy { $0.contains("can't have __concat") || $0.contains("switched off") }, "\(rig.log.texts)")
    }

    @Test("large integers are joined whole, in coroutines of any size, and keep their digits")
    func concatOfLargeIntegers() throws {
        let rig = try RuleRig(
            Self.deep + #"""
                R.budget = { time = "100ms" }
                function R.on_message(msg)
                  local value = msg:json().n
                  for depth = 1, 60 do
                    local text = coroutine.wrap(function()
                      local function at(n, ...) if n > 0 then return (at(n - 1, n, ...)) end return "order" .. " " .. "n" .. "=" .. value .. 1 .. value end
                      return at(depth)
                    end)()
                    assert(text == "order n=12345678901234567890123" .. "112345678901234567890123", text)
                  end
                  assert(value .. "|" .. value .. "|" .. 1.5 == "12345678901234567890123|12345678901234567890123|1.5")
                  log.info(tostring(pcall(function() return value .. {} end)))
                end
                """#)
        rig.send("a", #"{"n":12345678901234567890123}"#)
        #expect(rig.log.texts == ["false"])
        #expect(rig.figures().errors == [:])
    }

    @Test("break closes what a for loop closes, or not at all")
    func breakCloses() throws {
        let said = try ask(
            #"""
            local closed = 0
            for i = 1, 10 do
              local x <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
              if i == 3 then break end
            end
            log.info(tostring(closed))
            """#)
        #expect(said == ["3"])
    }

    @Test("utf8.codes of stray continuation bytes ends")
    func strayContinuations() throws {
        let said = try ask(
            #"""
            local count = 0
            for _, text in ipairs { "ab\xff", "\xe2\x82\xac\x82\x82", "\x80", "in\x80valid", "\xf4\x9f\xbf\xbf", "\xc0\x80" } do
              pcall(function() for _ in utf8.codes(text) do count = count + 1 end end)
            end
            log.info(tostring(count < 20))
            """#)
        #expect(said == ["true"])
    }

    @Test("closes within closes keep to the C stack of a loop's thread")
    func nestedCloses() throws {
        let ended = LockedCount()
        let thread = Thread {
            defer { ended.signal() }
            guard
                let rig = try? RuleRig(
                    #"""
                    R.budget = { time = "100ms", memory = "64MiB" }
                    local function deep(n)
                      local co = coroutine.create(function()
                        local x <close> = setmetatable({}, { __close = function()
                          local function down(k) if k == 0 then return deep(n + 1) end return (("x"):gsub("x", function() down(k - 1) return "" end)) end
                          pcall(down, 180)
                          for k = 180, 1, -20 do if pcall(down, k) then break end end
                        end })
                        coroutine.yield()
                      end)
                      coroutine.resume(co)
                      return coroutine.close(co)
                    end
                    function R.on_message(msg)
                      if msg.topic == "well" then return route.to("alive") end
                      deep(1)
                    end
                    """#)
            else { return }
            rig.send("closes")
            if rig.send("well").messages.map(\.topic) == ["alive"] { ended.add() }
        }
        thread.stackSize = 2 << 20
        thread.start()
        ended.wait()
        #expect(ended.count == 1)
    }

    @Test("a chunk of byte code is not loaded")
    func binaryChunk() throws {
        #expect(throws: ShuntError.self) {
            _ = try RuleRig(files: ["rule/rule.lua": "\u{1B}LuaT\0\u{19}"])
        }
    }
}

private final class LockedCount: @unchecked Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private(set) var count = 0
    func add() { count += 1 }
    func signal() { semaphore.signal() }
    func wait() { semaphore.wait() }
}
