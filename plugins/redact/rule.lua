-- Takes fields out of JSON payloads, or masks or hashes them, before anybody gets them. See README.md.
-- The breaker: it fails by what one sends, and that must not close the topic to all.
local R = {
  name = "redact", priority = 80, on_error = "reject", breaker = { errors = 1000000 },
  settings = {
    redactions = list({
      topic = filter { default = "#", doc = "which topics" },
      remove = list(path, { optional = true, doc = "fields that are taken out" }),
      mask = list(path, { optional = true, doc = "fields that keep only their last four characters" }),
      hash = list(path, { optional = true, doc = "fields that become a digest, the same for the same value and salt" }),
      salt = text { optional = true, min = 8, secret = true, doc = "needed for `hash`; the same on all workers" },
    }, { min = 1, doc = "all that are for a message's topic are done" }),
    unreadable = enum { "reject", "drop", "pass", default = "reject", doc = "what becomes of JSON that can't be read" },
  },
}

local redactions, unreadable = {}, "reject"

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

local function is_member(part) return part == "*" or part:find("^%d+$") ~= nil end

-- As `sign` a name that the text of any document with the path has: nil where JSON may write it otherwise.
local function signed(path)
  for _, key in ipairs(path) do
    if not is_member(key) then path.sign = not key:find('[%c"\\/]') and '"' .. key .. '"' or nil end
  end
  return path
end

-- All but the last four characters of a text; everything of what is no text. What is masked stays so if it comes again.
local function mask(value)
  if value == json.null then return value end
  local length = type(value) == "string" and utf8.len(value) or 0
  if length < 8 then return "****" end
  return ("*"):rep(length - 4) .. value:sub(utf8.offset(value, -4))
end

-- A message that is sent on to another topic comes again: digests can be told by their look.
local function hasher(salt)
  return function(value)
    if value == json.null then return value end
    if type(value) == "string" and #value == 71 and value:find("^sha256:[0-9a-f]+$") then return value end
    return "sha256:" .. hash.hmac(salt, (type(value) == "table" or math.type(value) == "float") and json.encode(value) or tostring(value))
  end
end

local function read_redaction(r, where)
  if r.hash and not r.salt then fail(where .. ".salt", "is needed where hash is used") end
  local seen = {}
  local changes, steps = { remove = function() return nil end, mask = mask, hash = hasher(r.salt) }, {}
  for _, kind in ipairs { "remove", "mask", "hash" } do
    for i, path in ipairs(r[kind] or {}) do
      local name = table.concat(path, ".")
      if seen[name] then fail(("%s.%s[%d]"):format(where, kind, i), "'%s' is in %s too: it is removed, masked or hashed", name, seen[name]) end
      seen[name], steps[#steps + 1] = kind, { path = signed(path), change = changes[kind] }
    end
  end
  if #steps == 0 then fail(where, "names no field: there are remove, mask, hash") end
  return { topic = r.topic, steps = steps }
end

R.match = function(settings)
  local filters = {}
  for i, r in ipairs(settings.redactions) do filters[i] = r.topic end
  return { topic = filters }
end

function R.on_load(settings)
  for i, r in ipairs(settings.redactions) do redactions[i] = read_redaction(r, ("redactions[%d]"):format(i)) end
  unreadable = settings.unreadable
end

local apply

local function change(value, key, step, depth)
  local before = value[key]
  if before == nil then return false end
  if depth < #step.path then return apply(before, step, depth + 1) end
  local after = step.change(before)
  if after == nil and math.type(key) == "integer" then table.remove(value, key) else value[key] = after end
  return true
end

-- Changes what the path from `depth` on leads to; whether there was any.
function apply(value, step, depth)
  if type(value) ~= "table" then return false end
  local part, found = step.path[depth], false
  if #value == 0 then
    if part ~= "*" then return change(value, part, step, depth) end
    for key in pairs(value) do found = change(value, key, step, depth) or found end
  elseif part == "*" then
    -- From the end, so that removing skips nothing.
    for i = #value, 1, -1 do found = change(value, i, step, depth) or found end
  elseif is_member(part) then
    return change(value, math.tointeger(tonumber(part)), step, depth)
  else
    -- A name means it in every member of a list.
    for _, member in ipairs(value) do found = apply(member, step, depth) or found end
  end
  return found
end

local function steps_for(topic)
  local steps = {}
  for _, redaction in ipairs(redactions) do
    if match(topic, redaction.topic) then table.move(redaction.steps, 1, #redaction.steps, #steps + 1, steps) end
  end
  return steps
end

-- Of two members with one name the decoder keeps the last: a path may lead into the one before it, whose name is then
-- in the text, as it is or with \u in it.
local function may_hide(payload, steps)
  for _, step in ipairs(steps) do
    local sign = step.path.sign
    if not sign or payload:find(sign, 1, true) then return true end
  end
  return payload:find('\\u%x%x%x%x[^"\\]*"%s*:') ~= nil
end

function R.on_message(msg)
  local document, why = msg:json()
  if document == nil then
    local is_json = msg.format == "json" or msg.payload:find("^[%s%c\xEF\xBB\xBF\xFE\xFF]*[{%[]")
    return is_json and unreadable ~= "pass" and route[unreadable]("its JSON can't be redacted: " .. why) or nil
  end
  if type(document) ~= "table" then return end
  local steps, found = steps_for(msg.topic), false
  for _, step in ipairs(steps) do
    -- Of a list of documents, what begins with * or a number means each of them, and then the list.
    for _, member in ipairs(is_member(step.path[1]) and document or {}) do found = apply(member, step, 1) or found end
    found = apply(document, step, 1) or found
  end
  if found or may_hide(msg.payload, steps) then return msg:with { payload = json.encode(document) } end
end

return R
