-- Messages that wait for their time, in this loop's memory: so many, and so many bytes.
local waiting = {}

local most, most_bytes, queue, bytes = 0, 0, {}, 0

local function size(fields)
  local sum = #fields.payload + #fields.topic + 512
  for _, pair in ipairs(fields.props or {}) do sum = sum + #pair.name + #pair.value + 64 end
  return sum
end

-- One message that several recipients did not get comes once for each: the last one is told from the next by its number and its payload.
local function is_same(each, fields, id)
  return id and each.id == id and each.fields.topic == fields.topic and each.fields.payload == fields.payload
end

-- Gives false where there is no room.
function waiting.add(fields, due, id)
  local last = queue[#queue]
  if last and is_same(last, fields, id) then return true end
  local more = size(fields)
  if #queue >= most or bytes + more > most_bytes then return false end
  queue[#queue + 1], bytes = { fields = fields, due = due, id = id, size = more }, bytes + more
  return true
end

-- Those whose time has come, at most so many, in the order in which they came.
function waiting.due(now, count)
  local found, rest = {}, {}
  if #queue == 0 then return found end
  for _, each in ipairs(queue) do
    if each.due <= now and #found < count then
      found[#found + 1], bytes = each.fields, bytes - each.size
    else
      rest[#rest + 1] = each
    end
  end
  queue = rest
  return found
end

function waiting.saved() return { queue = queue, bytes = bytes } end

function waiting.load(settings, saved)
  most, most_bytes = settings.most, settings.bytes
  queue, bytes = saved and saved.queue or {}, saved and saved.bytes or 0
end

return waiting
