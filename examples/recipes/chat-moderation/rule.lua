-- Words that are not wanted are starred out; who needs that three times in ten minutes is silent for as long.
local R = { match = { kind = "chat" }, on_error = "reject" }

local UNWANTED = { "blast", "darn" }
local MOST, SECONDS = 3, 600

function R.on_chat(msg, chat, ctx)
  local key = "strikes/" .. hash.sha256(msg.sender and msg.sender.uid or "")
  if (shared.get(key) or 0) >= MOST then return route.reject("you are silent for a while") end
  local text, lower = msg.payload, msg.payload:lower()
  for _, word in ipairs(UNWANTED) do
    local from, to = lower:find(word, 1, true)
    while from do
      text = text:sub(1, from - 1) .. ("*"):rep(#word) .. text:sub(to + 1)
      from, to = lower:find(word, to + 1, true)
    end
  end
  if text == msg.payload then return end
  shared.incr(key, 1, SECONDS)
  return msg:with { payload = text }
end

return R
