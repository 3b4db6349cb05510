-- A message that has come already in the last minute is dropped: by its `id` where it has one, else by all of its payload.
local R = { match = { topic = "events/#" } }

local function key_of(msg)
  local event = msg:json()
  local id = type(event) == "table" and type(event.id) == "string" and event.id or msg.payload
  return "dedupe/" .. hash.sha256(msg.topic .. "\0" .. id)
end

function R.on_message(msg, ctx)
  -- The worker's: a client that connects again may be on another loop.
  local seen = shared.incr(key_of(msg), 1, 60)
  if seen and seen > 1 then return route.drop("came already") end
end

-- The sender is told that nobody got it, and may try again.
function R.on_undelivered(msg, why)
  if why == "no subscriber" then shared.delete(key_of(msg)) end
end

return R
