-- Tries messages again that nobody got, and sends those that stay undelivered, or are not fit to go on, to topics of their own. See README.md.
local R = {
  name = "dead-letter", priority = 60, tick = 0.2,
  -- What it sends has come from a client who might send it, and goes where the settings say.
  grants = { publish = { "#" } },
  settings = {
    letters = list({
      topic = filter { default = "#", doc = "whose messages" },
      to = topic { doc = "where dead ones go; nothing that is sent there becomes a dead letter" },
      reasons = list(enum { "no subscriber", "queue full", "gone", "expired" }, { optional = true, min = 1,
        doc = "of those that were not delivered; all where it is not set" }),
      retries = integer { default = 0, min = 0, max = 20, doc = "how often one that had no subscriber is tried again before" },
      wait = duration { default = "5s", min = "1s", max = "1h", doc = "before the first retry; twice as long before each next one" },
      json = boolean { default = false, doc = "whether what is no JSON is a dead letter at once" },
      needs = list(path, { optional = true, min = 1, max = 32, doc = "fields of the JSON without which it is one at once" }),
      envelope = boolean { default = false, doc = "whether a dead letter is a JSON object that has the message, for clients without properties" },
    }, { min = 1, max = 100, doc = "the first that takes a message's topic counts" }),
    most = integer { default = 1000, min = 1, max = 10000, doc = "messages that wait, of each loop" },
    bytes = size { default = "4MiB", min = "1KiB", max = "16MiB", doc = "bytes of their payloads and properties" },
  },
}

local waiting = require "waiting"
local set, own = nil, {}
local counted = {}

local function count(what)
  counted[what] = counted[what] or counter("dead_letter_total", { what = what })
  counted[what]:inc()
end

R.match = function(settings)
  local filters = {}
  for i, letter in ipairs(settings.letters) do filters[i] = letter.topic end
  return { kind = "topic", topic = filters }
end

function R.on_load(settings, saved)
  set, own = settings, {}
  waiting.load(settings, saved)
  for _, letter in ipairs(settings.letters) do
    own[letter.to], letter.known = true, letter.reasons and {}
    for _, reason in ipairs(letter.reasons or {}) do letter.known[reason] = true end
  end
end

function R.on_unload() return waiting.saved() end

local function letter_of(topic)
  -- Never in a loop: what is sent to a place of dead letters has arrived, whether anybody is there or not.
  if own[topic] then return nil end
  for _, letter in ipairs(set.letters) do
    if match(topic, letter.topic) then return letter end
  end
end

-- How often it has been tried again. A client may write what it likes there: the worst is that its message is not.
local function attempts_of(props) return math.tointeger(tonumber((props["dead-letter-attempts"] or ""):sub(1, 3))) or 0 end

-- What `route.message` takes, of a message that is to go out as it was, with these properties besides.
local function fields_of(msg, props, more)
  for name, value in pairs(more) do props[name] = value end
  return {
    topic = msg.topic, payload = msg.payload, key = msg.key, qos = msg.qos, props = props, content_type = msg.content_type,
    response_topic = msg.response_topic, correlation_data = msg.correlation_data, payload_format = msg.payload_format,
  }
end

local function in_envelope(msg, about)
  local payload = msg.payload
  about.topic, about.key, about.props = msg.topic, msg.key, json.array {}
  for i, pair in ipairs(msg.props) do about.props[i] = { name = pair.name, value = pair.value } end
  if utf8.len(payload) then about.payload = payload else about.payload_base64 = base64.encode(payload) end
  return { payload = json.encode(about), content_type = "application/json", qos = msg.qos, key = msg.key }
end

-- A dead letter: the message with what became of it. An empty payload needs an envelope: no message is made without one.
local function dead(msg, letter, reason, now)
  local props = msg.props
  local uid, attempts = msg.sender and msg.sender.uid or props["dead-letter-sender"], attempts_of(props)
  if uid == "" then uid = nil end
  local fields
  if letter.envelope or msg.payload == "" then
    fields = in_envelope(msg, { reason = reason, attempts = attempts, sender = uid, at = time.format(now) })
  else
    fields = fields_of(msg, props, {
      ["dead-letter-reason"] = reason, ["dead-letter-topic"] = msg.topic, ["dead-letter-attempts"] = tostring(attempts),
      ["dead-letter-sender"] = uid, ["dead-letter-at"] = time.format(now),
    })
  end
  fields.topic = letter.to
  return fields
end

local function has(document, at)
  for _, name in ipairs(at) do
    if type(document) ~= "table" then return false end
    document = document[math.tointeger(tonumber(name)) or name]
  end
  return document ~= nil and document ~= json.null
end

-- Why a message is not fit to go on; nil: it is.
local function fault(msg, letter)
  if not letter.json and not letter.needs then return nil end
  local document = msg:json()
  if document == nil then return "no JSON" end
  for _, at in ipairs(letter.needs or {}) do
    if not has(document, at) then return "without " .. table.concat(at, ".") end
  end
end

function R.on_message(msg, ctx)
  local letter = letter_of(msg.topic)
  local reason = letter and fault(msg, letter)
  if not reason then return nil end
  count("unfit")
  local fields = dead(msg, letter, reason, ctx.now)
  fields.topic, fields.retain, fields.expiry = nil, false, false
  return route.to(letter.to, msg:with(fields))
end

-- Nothing can be sent from here: it waits for on_tick.
function R.on_undelivered(msg, why, ctx)
  local letter = letter_of(msg.topic)
  if not letter or letter.known and not letter.known[why] or msg.retain and why == "no subscriber" then return end
  local props = msg.props
  local attempts, fields, due = attempts_of(props), nil, ctx.now
  if why == "no subscriber" and attempts >= 0 and attempts < letter.retries and msg.payload ~= "" then
    fields = fields_of(msg, props, {
      ["dead-letter-attempts"] = tostring(attempts + 1), ["dead-letter-sender"] = msg.sender and msg.sender.uid ~= "" and msg.sender.uid or nil,
    })
    due = ctx.now + letter.wait * 2 ^ attempts
  else
    fields = dead(msg, letter, why, ctx.now)
  end
  count(not waiting.add(fields, due, why ~= "no subscriber" and msg.id) and "lost" or due > ctx.now and "retried" or "parked")
end

function R.on_tick(ctx)
  for _, fields in ipairs(waiting.due(ctx.now, 90)) do ctx:emit(route.message(fields)) end
end

return R
