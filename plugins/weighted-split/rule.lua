-- Divides a topic's messages among several topics by weights: at random, or so that what belongs together stays together. See README.md.
local R = {
  name = "weighted-split", priority = 40,
  settings = {
    splits = list({
      topic = filter { doc = "which topics are divided" },
      to = list({
        topic = text { min = 1, doc = "a topic, with `{2}` for a level of the message's own and `{topic}` for all of it" },
        weight = number { min = 0, max = 1000000, doc = "its share of the sum of the weights; 0: nothing" },
      }, { min = 1, max = 64, doc = "where the messages go" }),
      by = enum { "random", "key", "uid", "field", "topic", default = "random", doc = "what stays together" },
      field = path { default = "id", doc = "the field of a JSON payload, for `by: field`" },
      rest = enum { "pass", "random", default = "random", doc = "what becomes of a message without such a key, uid or field" },
    }, { min = 1, max = 100, doc = "the first that takes a message's topic counts" }),
  },
}

local splits = {}

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

-- A destination of a message's topic; nil where it has no such level.
local function filled(template, topic)
  local missing = false
  local target = template:gsub("{(%w+)}", function(name)
    if name == "topic" then return topic end
    local wanted, place = tonumber(name), 0
    for level in (topic .. "/"):gmatch("([^/]*)/") do
      place = place + 1
      if place == wanted then return level end
    end
    missing = true
  end)
  return not missing and target or nil
end

-- "eu/{2}" as it stands; an error where it would be no topic.
local function check(template, where)
  local rest = template:gsub("{(%w+)}", function(name)
    local level = math.tointeger(tonumber(name))
    if name ~= "topic" and not (level and level >= 1) then fail(where, "{%s} is no level of a topic (the first is {1}), and not {topic}", name) end
    return "x"
  end)
  if rest:find("[+#{}\0]") then fail(where, "'%s' is no topic: it has + , #, a zero byte or a single brace in it", template) end
end

-- 64 bits of a text.
local function bits(text) return tonumber(hash.sha256(text):sub(1, 16), 16) end

R.match = function(settings)
  local filters = {}
  for i, split in ipairs(settings.splits) do filters[i] = split.topic end
  return { topic = filters }
end

function R.on_load(settings)
  splits = {}
  for i, split in ipairs(settings.splits) do
    local where, total, to, seen = ("splits[%d]"):format(i), 0, {}, {}
    for n, each in ipairs(split.to) do
      local place = ("%s.to[%d].topic"):format(where, n)
      check(each.topic, place)
      if seen[each.topic] then fail(place, "'%s' is there twice: add the weights", each.topic) end
      seen[each.topic], total = true, total + each.weight
      local sent = counter("split_total", { split = split.topic, to = each.topic })
      to[n] = { topic = each.topic, weight = each.weight, bits = bits(each.topic), sent = sent }
    end
    if total <= 0 then fail(where .. ".to", "the weights are 0 together: nothing would go anywhere") end
    splits[i] = { topic = split.topic, by = split.by, field = split.field, rest = split.rest, to = to, total = total }
  end
end

local function at_random(split)
  local left = math.random() * split.total
  for _, each in ipairs(split.to) do
    left = left - each.weight
    if left < 0 then return each end
  end
  -- A rounding error may leave nothing: then it is the first that may have any.
  for _, each in ipairs(split.to) do
    if each.weight > 0 then return each end
  end
end

-- A number between 0 and 1 of the bits of a mark and of a destination: of each pair another one, always the same.
local function drawn(one, other)
  local x = one ~ other
  x = (x ~ (x >> 30)) * -0x40a7b892e31b1a47
  x = (x ~ (x >> 27)) * -0x6b2fb644ecceee15
  return (((x ~ (x >> 31)) >> 12) + 0.5) / 2.0 ^ 52
end

-- Each destination draws a number from the mark and its own name, and the best by its weight wins. So a mark stays where it is while the
-- weights of others change: only those move that a greater weight wins, or a smaller one loses.
local function by_mark(split, mark)
  local mine, best, most = bits(mark), nil, -1
  for _, each in ipairs(split.to) do
    local score = each.weight / -math.log(drawn(mine, each.bits))
    if each.weight > 0 and score > most then best, most = each, score end
  end
  return best
end

-- What a message is kept together by; nil where it has nothing such.
local function mark_of(msg, split)
  if split.by == "key" then return msg.key end
  if split.by == "topic" then return msg.topic end
  if split.by == "uid" then return msg.sender and msg.sender.uid ~= "" and msg.sender.uid or nil end
  local value = msg:json()
  for _, name in ipairs(split.field) do
    if type(value) ~= "table" then return nil end
    local member = value[name]
    -- Of a list, its first member is 1.
    if member == nil then member = value[math.tointeger(tonumber(name))] end
    value = member
  end
  if math.type(value) == "float" then value = math.tointeger(value) or value end
  local plain = type(value) == "string" or type(value) == "number" or type(value) == "boolean" or type(value) == "userdata" and value ~= json.null
  return plain and tostring(value) or nil
end

function R.on_message(msg)
  for _, split in ipairs(splits) do
    if match(msg.topic, split.topic) then
      local mark = split.by ~= "random" and mark_of(msg, split)
      if not mark and split.by ~= "random" and split.rest == "pass" then return nil end
      local chosen = mark and by_mark(split, mark) or at_random(split)
      local target = filled(chosen.topic, msg.topic)
      -- A topic that may be too long, or is the message's own, is no other place to go.
      local fits, verdict = pcall(route.to, target)
      if not target or not fits then return nil end
      chosen.sent:inc()
      if target == msg.topic then return nil end
      return verdict
    end
  end
end

return R
