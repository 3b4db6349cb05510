-- Of each key at most ten messages a second and loop; the sender of more is told.
local R = { match = { topic = "telemetry/#" }, on_error = "reject" }

local MOST = 10

function R.on_message(msg, ctx)
  local key = msg.key or msg.topic
  local second = math.floor(ctx.now)
  local count = kv.incr(hash.sha256(key) .. "@" .. second, 1, 2)
  if not count then return route.reject("too many keys to count") end
  if count > MOST then return route.reject("at most " .. MOST .. " a second for each key") end
end

return R
