-- Says what its settings are in every way that there is, and in some that there are not, and goes on using the words.
local many = {}
for i = 1, 150 do many[i] = text { doc = ("x"):rep(i) } end
local kept = { list = list, table = table, filter = filter, any = any }
local R = {
  settings = {
    a = list { topic = filter, remove = list(path, { optional = true }) }, b = integer { default = 4, min = 0, max = 16 },
    c = enum { "a", "b", default = "a" }, d = map(list(any, { min = 1 }), { optional = true }), e = table({ f = table }, {}), g = table,
    h = text { pattern = "^[a-z]*.-.-.-.-.-.-x", secret = true }, i = duration, j = size(), k = topic(nil, nil), l = interger, m = boolean,
    n = enum(table.unpack(many)), o = list(list(list(list(list(number))))),
  },
}
for i = 1, 40 do local _ = _G["missed" .. i] end
pcall(list, table.unpack(many, 1, 300))
pcall(text, coroutine.wrap(function() return enum { coroutine.yield } end))
R.settings.self = R.settings
setmetatable(_G, { __index = function(_, name) return kept[name] end, __newindex = function(t, name, value) rawset(t, name, value) end })
text, any = nil, "mine"
function R.on_message(msg)
  kept.made = { kept.list(kept.made), kept.table and pcall(kept.table, {}), kept.filter { doc = msg.payload } }
  return route.to(type(text) .. any .. type(filter))
end
return R
