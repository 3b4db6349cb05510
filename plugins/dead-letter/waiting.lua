-- Messages that wait for their time, in this loop's memory: so many, and so many bytes.
local waiting = {}

local MOST_AT_ONCE = 90

-- The queue is in the order of their times. At its head are those that have gone out, which the next call takes out, or those that the last
-- call tried to send; `share` is how many a call tries.
local queue, gone, tried, share = {}, 0, 0, MOST_AT_ONCE
local most, most_bytes, bytes = 0, 0, 0
local newest

local function size(fields)
  local sum = #fields.payload + #fields.topic + 512
  for _, pair in ipairs(fields.props or {}) do sum = sum + #pair.name + #pair.value + 64 end
  return sum
end

-- One message that several recipients did not get comes once for each: the last one is told from the next by its number and its payload.
local function is_same(each, fields, id)
  return id and each.id == id and each.fields.topic == fields.topic and each.fields.payload == fields.payload
end

local function insert(one)
  local low, high = gone + tried + 1, #queue + 1
  while low < high do
    local middle = (low + high) // 2
    if queue[middle].due <= one.due then low = middle + 1 else high = middle end
  end
  table.insert(queue, low, one)
  bytes, newest = bytes + one.size, one
end

-- Gives false where there is no room.
function waiting.add(fields, due, id)
  if newest and is_same(newest, fields, id) then return true end
  local more = size(fields)
  if #queue - gone >= most or bytes + more > most_bytes then return false end
  insert { fields = fields, due = due, id = id, size = more, expiry = fields.expiry }
  return true
end

local function take(count)
  for i = 1, count do bytes = bytes - queue[i].size end
  queue = table.move(queue, count + 1, #queue, 1, {})
end

-- Those whose time has come, as many as a call can send, and whether one is given up. They stay here until `went` is called: what a call sends
-- that fails, or takes too long, goes nowhere, and the next call tries half as many. One that does not even go alone is not tried again.
function waiting.due(now)
  local given_up, found = tried == 1, {}
  if gone > 0 or given_up then take(gone + (given_up and 1 or 0)) end
  share = tried > 0 and math.max(1, tried // 2) or math.min(MOST_AT_ONCE, share * 2)
  gone, tried, newest = 0, 0, nil
  while #found < share and #found < #queue and queue[#found + 1].due <= now do found[#found + 1] = queue[#found + 1] end
  tried = #found
  return found, given_up
end

function waiting.went() gone, tried = tried, 0 end

function waiting.saved() return { queue = table.move(queue, gone + 1, #queue, 1, {}) } end

function waiting.load(settings, saved)
  most, most_bytes = settings.most, settings.bytes
  queue, gone, tried, bytes = {}, 0, 0, 0
  for _, one in ipairs(saved and saved.queue or {}) do insert(one) end
  newest = nil
end

return waiting
