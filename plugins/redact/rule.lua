-- Takes fields out of JSON payloads, or masks or hashes them, before anybody gets them. See README.md.
local R = { name = "redact", priority = 80, on_error = "drop" }

local redactions = {}

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

local function path_of(text, where)
  local path = {}
  if type(text) ~= "string" then fail(where, "must be a dotted path, like \"customer.cards.*.number\"") end
  for key in (text .. "."):gmatch("([^.]*)%.") do
    if key == "" then fail(where, "'%s' has an empty part", text) end
    path[#path + 1] = key
  end
  return path
end

local function paths_of(list, where)
  local paths = {}
  if list ~= nil and type(list) ~= "table" then fail(where, "must be a list of dotted paths") end
  for i, text in ipairs(list or {}) do paths[i] = path_of(text, ("%s[%d]"):format(where, i)) end
  return paths
end

-- All but the last four characters of a text; everything of what is no text.
local function mask(value)
  if type(value) ~= "string" then return "****" end
  local length = utf8.len(value)
  if not length or length < 8 then return "****" end
  return ("*"):rep(length - 4) .. value:sub(utf8.offset(value, -4))
end

local function hasher(salt)
  return function(value)
    if type(value) == "table" then return hash.hmac(salt, json.encode(value)) end
    return hash.hmac(salt, tostring(value))
  end
end

local function read_redaction(r, where)
  if type(r) ~= "table" then fail(where, "must be a table") end
  for key in pairs(r) do
    if not (key == "topic" or key == "remove" or key == "mask" or key == "hash" or key == "salt") then
      fail(where, "unknown key '%s': there are topic, remove, mask, hash, salt", key)
    end
  end
  local topic = r.topic or "#"
  if type(topic) ~= "string" or not pcall(match, "x", topic) then fail(where .. ".topic", "must be a topic filter, like \"orders/+\"") end
  if r.hash and (type(r.salt) ~= "string" or #r.salt < 8) then fail(where .. ".salt", "must be a text of at least 8 characters where hash is used") end
  local steps = {}
  for _, kind in ipairs { "remove", "mask", "hash" } do
    local change = ({ remove = function() return nil end, mask = mask, hash = r.hash and hasher(r.salt) })[kind]
    for _, path in ipairs(paths_of(r[kind], where .. "." .. kind)) do steps[#steps + 1] = { path = path, change = change } end
  end
  if #steps == 0 then fail(where, "names no field: there are remove, mask, hash") end
  return { topic = topic, steps = steps }
end

R.match = function(settings)
  local filters = {}
  for i, r in ipairs(settings.redactions) do filters[i] = r.topic or "#" end
  return { topic = filters }
end

function R.on_load(settings)
  local list = settings.redactions
  if type(list) ~= "table" or #list == 0 then fail("redactions", "must be a list of at least one redaction") end
  for i, r in ipairs(list) do redactions[i] = read_redaction(r, ("redactions[%d]"):format(i)) end
end

-- Changes what the path from `depth` on leads to; whether there was any.
local function apply(value, step, depth)
  if type(value) ~= "table" then return false end
  local key, last, found = step.path[depth], depth == #step.path, false
  local keys = { key }
  if key == "*" then
    keys = {}
    for each in pairs(value) do keys[#keys + 1] = each end
    -- From the end, so that removing from a list skips nothing.
    if #value == #keys then table.sort(keys, function(a, b) return a > b end) end
  elseif value[key] == nil and math.tointeger(tonumber(key)) then
    keys = { math.tointeger(tonumber(key)) }
  end
  for _, each in ipairs(keys) do
    if value[each] ~= nil then
      if last then
        local changed = step.change(value[each])
        if changed == nil and math.type(each) == "integer" then table.remove(value, each) else value[each] = changed end
        found = true
      else
        found = apply(value[each], step, depth + 1) or found
      end
    end
  end
  return found
end

function R.on_message(msg)
  local topic, document, found = msg.topic, nil, false
  for _, redaction in ipairs(redactions) do
    if match(topic, redaction.topic) then
      document = document or msg:json()
      for _, step in ipairs(redaction.steps) do found = apply(document, step, 1) or found end
    end
  end
  if found then return msg:with { payload = json.encode(document) } end
end

return R
