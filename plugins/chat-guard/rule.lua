-- A word list, a flood limit per member, and a limit of length, for chats. See README.md.
local R = { name = "chat-guard", priority = 90, on_error = "reject" }

local words, mask_words, flood, max_length
local buckets, older, count = {}, {}, 0
local MAX_MEMBERS, MAX_DEPTH = 10000, 16
local WORD = "[%w_\128-\255]+"

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

local function check_keys(value, where, known)
  if type(value) ~= "table" then fail(where, "must be a table with %s", table.concat(known, ", ")) end
  for key in pairs(value) do
    local found = false
    for _, name in ipairs(known) do found = found or name == key end
    if not found then fail(where, "unknown key '%s': there are %s", key, table.concat(known, ", ")) end
  end
end

local function positive(value, where)
  if math.type(value) == nil or not (value > 0 and value <= 1e9) then fail(where, "must be a number over 0") end
  return value
end

-- Lower case of Latin, Greek and Cyrillic letters; string.lower knows ASCII only.
local function lower_code(c)
  if c >= 0xC0 and c <= 0xDE and c ~= 0xD7 or c >= 0x391 and c <= 0x3A9 or c >= 0x410 and c <= 0x42F then return c + 32 end
  if c >= 0x400 and c <= 0x40F then return c + 80 end
  if c >= 0x139 and c <= 0x148 or c >= 0x179 and c <= 0x17E then return c + c % 2 end
  if c >= 0x100 and c <= 0x177 and c ~= 0x130 and c ~= 0x131 and c ~= 0x138 then return c | 1 end
  return c
end

local function lower(word)
  word = word:lower()
  if not word:find("[\128-\255]") or not utf8.len(word) then return word end
  return (word:gsub(utf8.charpattern, function(c) return #c > 1 and utf8.char(lower_code(utf8.codepoint(c))) or nil end))
end

local function length(text) return utf8.len(text) or #text end

local function read_words(value)
  if value == nil then return end
  check_keys(value, "words", { "list", "action" })
  if type(value.list) ~= "table" or #value.list == 0 then fail("words.list", "must be a list of at least one word") end
  if value.action ~= nil and value.action ~= "mask" and value.action ~= "reject" then fail("words.action", "must be reject or mask") end
  words, mask_words = {}, value.action == "mask"
  for i, word in ipairs(value.list) do
    if type(word) ~= "string" or not word:find("^" .. WORD .. "$") then fail(("words.list[%d]"):format(i), "must be one word, of letters and digits") end
    words[lower(word)] = true
  end
end

local function read_flood(value)
  if value == nil then return end
  check_keys(value, "flood", { "rate", "burst" })
  local rate = positive(value.rate, "flood.rate")
  local burst = positive(value.burst or math.max(rate, 1), "flood.burst")
  if burst < 1 then fail("flood.burst", "must be at least 1") end
  flood = { rate = rate, burst = burst }
end

R.match = function(settings) return { kind = "chat", topic = settings.chats or "#" } end

function R.on_load(settings, saved)
  check_keys(settings, "chat-guard", { "words", "flood", "length", "chats" })
  local chats = settings.chats
  if chats ~= nil and (type(chats) ~= "string" or not pcall(match, "x", chats)) then fail("chats", "must be a filter of chat ids, like \"support/+\"") end
  read_words(settings.words)
  read_flood(settings.flood)
  if settings.length ~= nil then max_length = positive(settings.length, "length") end
  if not (words or flood or max_length) then fail("chat-guard", "sets nothing: there are words, flood, length") end
  -- A reload forgives nobody.
  older = saved or {}
end

function R.on_unload() return buckets end

-- Two generations of buckets: when one is full the older is let go, and who is in it has long been silent.
local function take(member, now)
  local bucket = buckets[member]
  if not bucket then
    if count >= MAX_MEMBERS then older, buckets, count = buckets, {}, 0 end
    bucket = older[member] or { tokens = flood.burst, at = now }
    buckets[member], count = bucket, count + 1
  end
  local tokens = math.min(flood.burst, bucket.tokens + math.max(0, now - bucket.at) * flood.rate)
  -- A rounding error of many small steps must not cost a message.
  local enough = tokens >= 1 - 1e-9
  bucket.tokens, bucket.at = enough and tokens - 1 or tokens, now
  return enough
end

-- The value with each text in it changed.
local function each_text(value, change, depth)
  if type(value) == "string" then return change(value) end
  if type(value) ~= "table" then return value end
  if depth > MAX_DEPTH then error("nested too deeply to be looked at") end
  for key, member in pairs(value) do value[key] = each_text(member, change, depth + 1) end
  return value
end

local function refuse(what, why)
  counter("chat_guard_total", { how = what }):inc()
  return route.reject(why)
end

function R.on_chat(msg, chat, ctx)
  local sender = msg.sender
  if flood and sender then
    local member = chat.id .. "\0" .. (sender.uid ~= "" and sender.uid or sender.id)
    if not take(member, ctx.now) then return refuse("flood", ("over %g messages a second"):format(flood.rate)) end
  end
  if not (words or max_length) then return end
  local document, characters, found = msg.format == "json" and msg:json() or nil, 0, false
  local function mask(word)
    if not words[lower(word)] then return nil end
    found = true
    return ("*"):rep(length(word))
  end
  local function look(text)
    characters = characters + length(text)
    return words and (text:gsub(WORD, mask)) or text
  end
  -- What is no JSON is looked at as it is.
  local clean = each_text(document or msg.payload, look, 1)
  if max_length and characters > max_length then return refuse("length", ("longer than %d characters"):format(max_length)) end
  if not found then return end
  if not mask_words then return refuse("word", "a word in it is not allowed here") end
  counter("chat_guard_total", { how = "masked" }):inc()
  return msg:with { payload = document and json.encode(clean) or clean }
end

return R
