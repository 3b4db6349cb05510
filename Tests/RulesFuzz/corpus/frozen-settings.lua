-- Fills its settings with what cannot be copied well, and reads and writes them in every way that there is.
local R = { on_error = "pass" }
local own

function R.on_load(settings)
  local deep = settings
  for i = 1, 200 do deep.next = { i } deep = deep.next end
  deep.next, settings.self = settings, settings
  settings.list, settings[settings] = json.array {}, settings
  settings.typed = setmetatable({ x = 1 }, { __index = function() return settings end, __newindex = error, __len = function() return 1e9 end })
  settings.lazy = json.decode('{"a":[1,2,{"b":null}]}')
  settings.call = function() return settings end
  for i = 1, 1000 do settings[i] = { i } end
  own = settings
end

function R.on_message(msg, ctx)
  local s = ctx.settings
  local ways = {
    function() s.self = 1 end, function() s[1][1] = 2 end, function() rawset(s, "x", 1) end, function() table.insert(s, 1) end,
    function() table.sort(s, function(a, b) return a[1] > b[1] end) end, function() setmetatable(s, {}) end, function() s.lazy.a[3].b = 1 end,
    function() for k, v in pairs(s) do s[k] = v end end, function() for k in next, s do s[k] = nil end end, function() table.move(s, 1, 9, 2) end,
    function() return json.encode(s) end, function() return msgpack.encode(s.list), cbor.encode(s.lazy) end, function() return #s, rawlen(s), #s.typed end,
    function() return table.concat(s.lazy.a, ",", 1, 2), table.unpack(s, 1, 99) end, function() return rawget(s, s), rawequal(s.self, s) end,
    function() return msg:with { props = s.lazy } end, function() return route.push(s, msg) end, function() return route.fanout(s) end,
    function() log.info("x", s.next) end, function() own[1][1] = own[1][1] + 1 own.list[1], own.extra = s, s end, function() return next(s, s) end,
    function() return getmetatable(s), getmetatable(s.list), s.call().self end, function() return tostring(s), s .. "" end,
  }
  for _, way in ipairs(ways) do pcall(way) end
  return route.to("t", msg:with { payload = tostring(s[1] and s[1][1]) })
end

function R.on_unload() return own end

return R
