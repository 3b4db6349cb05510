-- A word list, a flood limit per member, and a limit of length, for chats. See README.md.
local listed = require "words"
local R = {
  name = "chat-guard", priority = 90, on_error = "reject",
  breaker = { errors = 1000000 }, -- it fails by what one sends: that must not close the chats to all
  settings = {
    chats = filter { default = "#", doc = "a filter of chat ids" },
    words = table({
      list = list(text, { min = 1, doc = "words of letters and digits" }),
      action = enum { "reject", "mask", default = "reject", doc = "refuse the message, or put **** in their place" },
    }, { optional = true, doc = "words that are not allowed" }),
    flood = table({
      rate = number { min = 0.000001, max = 1e9, doc = "messages a second of each member" },
      burst = number { optional = true, min = 1, max = 1e9, doc = "how many may come at once; `rate`, and at least 1, where it is not set" },
    }, { optional = true, doc = "how much a member may send" }),
    length = integer { optional = true, min = 1, max = 1000000000, doc = "the most characters of a message" },
  },
}

local words, mask_words, flood, max_length
local buckets, older, count = {}, {}, 0
local MAX_MEMBERS = 10000

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

R.match = function(settings) return { kind = "chat", topic = settings.chats } end

function R.on_load(settings, saved)
  local asked = settings.words
  if asked then
    for i, word in ipairs(asked.list) do
      if not listed.is_word(word) then fail(("words.list[%d]"):format(i), "'%s' is not one word, of letters and digits", word) end
    end
    words, mask_words = listed.new(asked.list), asked.action == "mask"
  end
  flood, max_length = settings.flood, settings.length
  if flood then flood = { rate = flood.rate, burst = flood.burst or math.max(flood.rate, 1) } end
  if not (words or flood or max_length) then error("settings: nothing is set: there are words, flood, length", 0) end
  -- A reload forgives nobody.
  if flood and saved then buckets, older, count = saved.buckets or {}, saved.older or {}, saved.count or 0 end
end

function R.on_unload() return { buckets = buckets, older = older, count = count } end

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

-- Clients choose how long chats' names and their own are: ten thousand of them must not fill the rule's memory.
local function short(text) return #text <= 200 and text or "sha256:" .. hash.sha256(text) end

local members = 0

-- The value with each text in it changed; counts the members of its objects.
local function each_text(value, change)
  if type(value) == "string" then return change(value) end
  if type(value) ~= "table" then return value end
  for key, member in pairs(value) do
    if math.type(key) == nil then members = members + 1 end
    value[key] = each_text(member, change)
  end
  return value
end

-- Of two members with one name the decoder keeps the last, and another reader may take the first: a document whose text may have more members
-- than were looked at goes out as it was looked at.
local function as_seen(msg, document)
  local _, most = msg.payload:gsub('"%s*:', "")
  if most > members then return msg:with { payload = json.encode(document) } end
end

local function refuse(what, why)
  counter("chat_guard_total", { how = what }):inc()
  return route.reject(why)
end

local function too_long() return refuse("length", ("longer than %d characters"):format(max_length)) end

function R.on_chat(msg, chat, ctx)
  local sender = msg.sender
  if flood and sender then
    local member = short(chat.id .. "\0" .. (sender.uid ~= "" and sender.uid or sender.id))
    if not take(member, ctx.now) then return refuse("flood", ("over %g messages a second"):format(flood.rate)) end
  end
  if not (words or max_length) then return end
  local payload = msg.payload
  -- JSON may write a character in 12 bytes; 4 KiB are for its names, numbers and spaces.
  if max_length and #payload > 12 * max_length + 4096 then return too_long() end
  local document, texts = msg:json(), {}
  if document == nil and msg.format == "json" and payload:find("\\", 1, true) then return refuse("unreadable", "its JSON can't be read") end
  -- A text that could be a number is a text.
  local is_json = document ~= nil and (msg.format == "json" or type(document) == "table")
  local value = is_json and document or payload
  members = 0
  each_text(value, function(text) texts[#texts + 1] = text return text end)
  local all = table.concat(texts, "\n")
  if max_length and (utf8.len(all) or #all) - math.max(#texts - 1, 0) > max_length then return too_long() end
  if not words or not words:are_in(all) then return type(document) == "table" and as_seen(msg, document) or nil end
  if not mask_words then return refuse("word", "a word in it is not allowed here") end
  counter("chat_guard_total", { how = "masked" }):inc()
  local clean = each_text(value, function(text) return words:mask(text) end)
  return msg:with { payload = is_json and json.encode(clean) or clean }
end

return R
