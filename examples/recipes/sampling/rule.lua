-- One in a hundred messages of a busy topic goes to a topic for those who look in, too.
local R = { match = { topic = "clicks/#" } }

local EVERY = 100

local count = 0

function R.on_message(msg, ctx)
  count = count + 1
  if count % EVERY == 0 then ctx:emit(route.to("sample/" .. msg.topic)) end
end

return R
