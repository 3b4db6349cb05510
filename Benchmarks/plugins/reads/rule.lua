-- Reads the topic of every message and lets it pass.
local R = { match = { topic = "bench/#" } }

function R.on_message(msg)
  if msg.topic == "bench/none" then return route.drop("none") end
end

return R
