-- Sends every message to another topic by a verdict of its own.
local R = { match = { topic = "bench/orders" } }

function R.on_message(msg)
  if msg.topic == "bench/orders" then return route.to("bench/routed") end
end

return R
