-- A message that has come already in the last minute is dropped: by its `id` where it has one, else by all of its payload.
local R = { match = { topic = "events/#" } }

function R.on_message(msg, ctx)
  local event = msg:json()
  local id = type(event) == "table" and type(event.id) == "string" and event.id or msg.payload
  -- The worker's: a client that connects again may be on another loop.
  local seen = shared.incr("dedupe/" .. hash.sha256(msg.topic .. "\0" .. id), 1, 60)
  if seen and seen > 1 then return route.drop("came already") end
end

return R
