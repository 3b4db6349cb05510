-- Only messages whose reading is in range go on: others are dropped, and counted.
local R = { match = { topic = "sensors/+/temperature" } }

local dropped = counter("out_of_range")

function R.on_message(msg, ctx)
  local reading = msg:json()
  local value = type(reading) == "table" and reading.value
  if math.type(value) and value >= -50 and value <= 150 then return end
  dropped:inc()
  return route.drop("out of range")
end

return R
