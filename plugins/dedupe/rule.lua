-- Takes a message that has come before, within a window, out: by its payload, key, a property or a field. See README.md.
local R = {
  name = "dedupe", priority = 65,
  settings = {
    streams = list({
      topic = filter { default = "#", doc = "which topics" },
      by = enum { "payload", "key", "property", "field", default = "payload", doc = "what two messages have in common if they are one" },
      property = text { default = "message-id", min = 1, doc = "the user property, for `by: property`" },
      field = path { default = "id", doc = "the field of a JSON payload, for `by: field`" },
      window = duration { default = "2m", min = "1s", max = "1d", doc = "how long a message is remembered, from the first on" },
      among = enum { "topic", "sender", "stream", default = "topic", doc = "what is compared: messages of a topic, of a sender, or all" },
      action = enum { "drop", "reject", default = "drop", doc = "what becomes of one that has come before; the sender of one that is dropped is told 200" },
      missing = enum { "pass", "reject", default = "pass", doc = "what becomes of one without such a key, property or field" },
    }, { min = 1, max = 100, doc = "the first that takes a message's topic counts" }),
    store = enum { "worker", "loop", default = "worker", doc = "whether all loops of the worker remember together, or each for itself" },
    most = integer { default = 50000, min = 1, max = 90000, doc = "how many messages are remembered; for each loop at most 9,000" },
    full = enum { "pass", "reject", default = "pass", doc = "what becomes of a new message where there is no room to remember it" },
  },
}

local mark_of = require "mark"
local streams, full, most, store, name
local counted = {}

local function count(what)
  counted[what] = counted[what] or counter("dedupe_total", { what = what })
  counted[what]:inc()
end

R.match = function(settings)
  local filters = {}
  for i, stream in ipairs(settings.streams) do filters[i] = stream.topic end
  return { topic = filters }
end

function R.on_load(settings)
  streams, full, name = settings.streams, settings.full, R.name
  store = settings.store == "loop" and kv or shared
  most = (settings.store == "loop" and math.min(settings.most, 9000) or settings.most) // #streams
  if most == 0 then error(("settings.most: is less than one for each of the %d streams"):format(#streams), 0) end
  -- What is remembered belongs to a stream, wherever it stands after a reload.
  for _, stream in ipairs(streams) do
    local by = stream.by == "property" and stream.property or stream.by == "field" and table.concat(stream.field, ".") or ""
    stream.id = hash.sha256(string.pack("s4s4s4s4", stream.topic, stream.by, by, stream.among)):sub(1, 16)
  end
end

local function stream_of(topic)
  for _, stream in ipairs(streams) do
    if match(topic, stream.topic) then return stream end
  end
end

-- The names of this loop's last messages, by their senders and numbers: what nobody got is told as the rules below have made it, and may have
-- another mark then.
local names, older, count_of_names = {}, {}, 0
local MOST_NAMES = 1000

local function ticket(msg) return (msg.sender and msg.sender.id or "") .. " " .. msg.id end

local function note(msg, key)
  if count_of_names >= MOST_NAMES then names, older, count_of_names = {}, names, 0 end
  names[ticket(msg)], count_of_names = key, count_of_names + 1
end

-- The name under which a message is remembered; nil where it has nothing to be known by.
local function name_of(msg, stream)
  local mark = mark_of(msg, stream)
  if not mark then return nil end
  local among = stream.among == "topic" and msg.topic or ""
  if stream.among == "sender" then among = msg.sender.uid ~= "" and "uid " .. msg.sender.uid or msg.sender.id end
  return ("%s %s"):format(name, hash.sha256(string.pack("s4s4s4", stream.id, among, mark)))
end

-- Messages are counted by the window in which they came: those of two windows are the most that are remembered now.
local function room_at(stream, now)
  return ("%s room %s %d"):format(name, stream.id, now // stream.window)
end

-- Whether it is new, and is remembered from now on; "full" where there is no room for it.
local function remember(key, stream, now)
  local times = store.incr(key, 1, stream.window)
  if not times then return "full" end
  if times > 1 then return false end
  local here = store.incr(room_at(stream, now), 1, 2 * stream.window)
  local before = store.get(room_at(stream, now - stream.window)) or 0
  if here and here + before <= most then return true end
  store.delete(key)
  if here then store.incr(room_at(stream, now), -1) end
  return "full"
end

function R.on_message(msg, ctx)
  -- What rules send on has been looked at when it came, and is not its own double.
  if msg.hops > 0 then return end
  local stream = stream_of(msg.topic)
  -- Whose it is is not known: it is nobody's double.
  if stream.among == "sender" and not msg.sender then return end
  local key = name_of(msg, stream)
  if not key then
    count("missing")
    return stream.missing == "reject" and route.reject("it has no " .. stream.by .. " to know it by") or nil
  end
  local new = remember(key, stream, ctx.now)
  if new == "full" then
    count("full")
    return full == "reject" and route.reject("too many messages to remember") or nil
  elseif not new then
    count("dropped")
    return route[stream.action]("it has come before")
  end
  note(msg, key)
end

-- The sender is told that nobody got it, and may send it again.
function R.on_undelivered(msg, why, ctx)
  if why ~= "no subscriber" then return end
  local stream = stream_of(msg.topic)
  local key = names[ticket(msg)] or older[ticket(msg)]
  if not stream or not key or not store.get(key) then return end
  store.delete(key)
  store.incr(room_at(stream, ctx.now), -1, 2 * stream.window)
end

return R
