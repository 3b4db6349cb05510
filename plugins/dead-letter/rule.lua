-- Tries messages again that nobody got, and sends those that stay undelivered, or are not fit to go on, to topics of their own. See README.md.
local R = {
  name = "dead-letter", priority = 60, tick = 0.2,
  on_error = "reject", breaker = { errors = 1000000 }, -- it fails by what one sends: that must not close the topic to all
  -- What it sends has come from a client who might send it, and goes where the settings say.
  grants = { publish = { "#" } },
  settings = {
    letters = list({
      topic = filter { default = "#", doc = "whose messages" },
      to = topic { doc = "where dead ones go; nothing that is sent there becomes a dead letter" },
      reasons = list(enum { "no subscriber", "too many hops", "queue full", "gone", "session ended", "expired" }, { optional = true, min = 1,
        doc = "of those that were not delivered; all where it is not set" }),
      retries = integer { default = 0, min = 0, max = 20, doc = "how often one that had no subscriber is tried again before" },
      wait = duration { default = "5s", min = "1s", max = "1h", doc = "before the first retry; twice as long before each next one" },
      json = boolean { default = false, doc = "whether a message whose payload is not JSON becomes a dead letter at once" },
      needs = list(path, { optional = true, min = 1, max = 32, doc = "fields that the JSON must have, else it is one at once" }),
      envelope = boolean { default = false, doc = "whether a dead letter is a JSON object that has the message, for clients without properties" },
    }, { min = 1, max = 100, doc = "the first that takes a message's topic counts" }),
    most = integer { default = 1000, min = 1, max = 10000, doc = "messages that wait, of each loop" },
    bytes = size { default = "4MiB", min = "1KiB", max = "16MiB", doc = "bytes of their payloads and properties" },
  },
}

local letters, waiting = require "letters", require "waiting"
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

function R.on_message(msg, ctx)
  local letter = letter_of(msg.topic)
  local reason = letter and letters.fault(msg, letter)
  if not reason then return nil end
  count("unfit")
  local fields = letters.dead(msg, letter, reason, ctx.now)
  fields.topic, fields.retain, fields.expiry = nil, false, false
  return route.to(letter.to, msg:with(fields))
end

-- Nothing can be sent from here: it waits for on_tick.
function R.on_undelivered(msg, why, ctx)
  local letter = letter_of(msg.topic)
  if not letter or letter.known and not letter.known[why] or msg.retain and why == "no subscriber" then return end
  local props = msg.props
  local attempts, fields, due = letters.attempts(props), nil, ctx.now
  local wait = letter.wait * 2 ^ math.max(0, attempts)
  -- One that would have expired by then waits for nothing.
  local lasts = not msg.expiry or msg.expiry - wait >= 1
  if why == "no subscriber" and attempts >= 0 and attempts < letter.retries and msg.payload ~= "" and lasts then
    fields = letters.fields(msg, props, {
      ["dead-letter-attempts"] = tostring(attempts + 1),
      ["dead-letter-sender"] = msg.sender and msg.sender.uid ~= "" and letters.plain(msg.sender.uid) or nil,
    })
    due, fields.expiry = ctx.now + wait, msg.expiry and math.floor(msg.expiry - wait)
  else
    fields = letters.dead(msg, letter, why, ctx.now)
  end
  count(not waiting.add(fields, due, why ~= "no subscriber" and msg.id) and "lost" or due > ctx.now and "retried" or "parked")
end

function R.on_tick(ctx)
  local found, given_up = waiting.due(ctx.now)
  if given_up then count("lost") end
  for _, each in ipairs(found) do
    -- A call may come late.
    if each.expiry then each.fields.expiry = math.max(1, math.floor(each.expiry - (ctx.now - each.due))) end
    local made, message = pcall(route.message, each.fields)
    if made then ctx:emit(message) else count("lost") end
  end
  waiting.went()
end

return R
