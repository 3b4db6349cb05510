-- Whose a client or a message is.
local tenant = {}

local function after_last(text, mark)
  local at, rest = 1, ""
  while true do
    local first, last = text:find(mark, at, true)
    if not first then return rest end
    at, rest = last + 1, text:sub(last + 1)
  end
end

local function level_of(topic, wanted)
  for level in (topic .. "/"):gmatch("([^/]*)/") do
    wanted = wanted - 1
    if wanted == 0 then return level end
  end
end

-- The tenant of a client, or of a topic; nil where there is none.
function tenant.of(conn, topic, set)
  local found
  if set.by == "topic" then
    found = topic and level_of(topic, set.level)
  elseif set.by == "attribute" then
    found = conn.attributes[set.attribute]
  else
    found = set.separator and after_last(conn.uid, set.separator) or conn.uid
  end
  return found ~= "" and found or nil
end

-- Whether another client goes when this one comes: of MQTT one with the same identifier, of the exchange protocol the same device.
function tenant.takes_over(conn)
  for _, one in ipairs(sessions.find { uid = conn.uid }) do
    if one.connected and one.id ~= conn.id and one.client_id == conn.client_id and one.device == conn.device then return true end
  end
end

-- What a tenant, or a topic, is counted by: keys of `shared` have at most 512 bytes.
function tenant.short(text) return #text <= 200 and text or "sha256:" .. hash.sha256(text) end

return tenant
