-- Objects, where the host expects others.
local R = {}
local kept = {}
function R.on_message(msg, ctx)
  kept[#kept + 1] = msg:with { topic = "kept" }
  for _, one in ipairs { msg, ctx, msg.sender, kept[1], route.to("a"), counter("n"), json.null, json.decode("12345678901234567890123"), print } do
    for _, f in ipairs { msg.with, msg.json, ctx.emit, route.to, route.fanout, route.always, json.encode, log.info, tostring, next, pairs, table.sort } do
      pcall(f, one, one, one)
      pcall(f, ctx, one)
      pcall(f, { one }, one)
      pcall(f, setmetatable({}, { __index = function() return one end, __len = function() return 3 end }))
    end
  end
  return route.fanout { kept[1], route.to("b", kept[#kept]), msg }
end
function R.on_deliver(msg, conn) return msg:with { payload = "to " .. conn.uid } end
return R
