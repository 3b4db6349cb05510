-- Words that are not wanted are starred out; who needs that three times in ten minutes is silent for as long.
local R = { match = { kind = "chat" }, on_error = "reject" }

local UNWANTED = { "blast", "darn" }
local MOST, SECONDS = 3, 600

-- A member without a uid counts by its connection.
local function name_of(sender)
  if not sender then return "nobody" end
  return hash.sha256(sender.uid ~= "" and "uid " .. sender.uid or tostring(sender.id))
end

function R.on_chat(msg, chat, ctx)
  local name = name_of(msg.sender)
  if shared.get("silent/" .. name) then return route.reject("you are silent for a while") end
  local text, lower = msg.payload, msg.payload:lower()
  for _, word in ipairs(UNWANTED) do
    local from, to = lower:find(word, 1, true)
    while from do
      text = text:sub(1, from - 1) .. ("*"):rep(#word) .. text:sub(to + 1)
      from, to = lower:find(word, to + 1, true)
    end
  end
  if text == msg.payload then return end
  local strikes = shared.incr("strikes/" .. name, 1, SECONDS)
  if not strikes then return route.reject("too many members to count") end
  -- Where there is no room for it, the next one silences.
  if strikes >= MOST and shared.set("silent/" .. name, true, SECONDS) then shared.delete("strikes/" .. name) end
  return msg:with { payload = text }
end

return R
