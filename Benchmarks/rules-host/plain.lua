-- What the hooks of main.c do, in a plain Lua 5.4 without budgets, rules or messages, with Debian's lua-cjson: nanoseconds a call.
--
--     lua5.4 Benchmarks/rules-host/plain.lua OBJECT
package.cpath = "/usr/lib/" .. (os.getenv("LIBRARIES") or "x86_64-linux-gnu") .. "/lua/5.4/?.so;" .. package.cpath
local cjson = require "cjson"
local decode, encode = cjson.decode, cjson.encode

local CALLS, ROUNDS = 20000, 15
local object = arg[1]
local decoded = decode(object)
local message = { topic = "orders/184467", payload = object, sender = { uid = "client-1" } }
local table_of_keys = { ["c-1029"] = 1 }

local subjects = {
    { "empty hook", function(m) end },
    { "topic comparison", function(m) if m.topic == "b" then return true end end },
    { "pattern match of the topic", function(m) if m.topic:match("^orders/(%d+)$") then end end },
    { "payload read", function(m) local p = m.payload end },
    { "plain find in the payload", function(m) if m.payload:find("nowhere", 1, true) then return true end end },
    { "JSON field", function(m) local o = decode(m.payload) if o.region == "us" then return true end end },
    { "JSON encode", function(m) local t = encode(decoded) end },
    { "JSON decode and encode", function(m) local o = decode(m.payload) o.note = 1 return { payload = encode(o) } end },
    { "kv.incr", function(m) table_of_keys["c-1029"] = table_of_keys["c-1029"] + 1 end },
    { "sender's uid", function(m) if m.sender.uid == "b" then return true end end },
}

for _, subject in ipairs(subjects) do
    local name, hook, best = subject[1], subject[2], math.huge
    for _ = 1, ROUNDS do
        local begin = os.clock()
        for _ = 1, CALLS do hook(message) end
        best = math.min(best, (os.clock() - begin) / CALLS)
    end
    print(("%-32s %8.1f ns"):format(name, best * 1e9))
end
