-- So many messages a second from each sender: a token bucket by uid, or by connection where there is none. See README.md.
local R = { name = "rate-limit", priority = 90 }

local limits = {}
local MAX_SENDERS = 10000

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

local function positive(value, where)
  if math.type(value) == nil or value <= 0 or value ~= value or value > 1e9 then fail(where, "must be a number over 0") end
  return value
end

local function read_limit(limit, where)
  if type(limit) ~= "table" then fail(where, "must be a table with rate") end
  for key in pairs(limit) do
    if key ~= "topic" and key ~= "rate" and key ~= "burst" and key ~= "action" then
      fail(where, "unknown key '%s': there are topic, rate, burst, action", key)
    end
  end
  local topic = limit.topic or "#"
  if type(topic) ~= "string" or not pcall(match, "x", topic) then fail(where .. ".topic", "must be a topic filter, like \"orders/+\"") end
  if limit.action ~= nil and limit.action ~= "drop" and limit.action ~= "reject" then fail(where .. ".action", "must be drop or reject") end
  local rate = positive(limit.rate, where .. ".rate")
  local burst = positive(limit.burst or math.max(rate, 1), where .. ".burst")
  if burst < 1 then fail(where .. ".burst", "must be at least 1") end
  local why = ("over %g messages a second"):format(rate)
  return {
    topic = topic, rate = rate, burst = burst,
    refusal = limit.action == "drop" and route.drop(why) or route.reject(why),
    refused = counter("rate_limited_total", { topic = topic }),
    buckets = {}, older = {}, count = 0,
  }
end

R.match = function(settings)
  local filters = {}
  for i, limit in ipairs(settings.limits) do filters[i] = limit.topic or "#" end
  return { topic = filters }
end

function R.on_load(settings, saved)
  local list = settings.limits
  if type(list) ~= "table" or #list == 0 then fail("limits", "must be a list of at least one limit") end
  for i, limit in ipairs(list) do
    limits[i] = read_limit(limit, ("limits[%d]"):format(i))
    -- A reload forgives nobody.
    limits[i].older = saved and saved[limits[i].topic] or {}
  end
end

function R.on_unload()
  local saved = {}
  for _, limit in ipairs(limits) do saved[limit.topic] = limit.buckets end
  return saved
end

-- The sender's bucket. Two generations of them: when one is full the older is let go, and who is in it has long been
-- silent, or is carried over here.
local function bucket_of(limit, sender, now)
  local bucket = limit.buckets[sender]
  if bucket then return bucket end
  if limit.count >= MAX_SENDERS then limit.older, limit.buckets, limit.count = limit.buckets, {}, 0 end
  bucket = limit.older[sender] or { tokens = limit.burst, at = now }
  limit.buckets[sender], limit.count = bucket, limit.count + 1
  return bucket
end

local function take(limit, sender, now)
  local bucket = bucket_of(limit, sender, now)
  local tokens = math.min(limit.burst, bucket.tokens + math.max(0, now - bucket.at) * limit.rate)
  bucket.at = now
  -- A rounding error of many small steps must not cost a message.
  local enough = tokens >= 1 - 1e-9
  bucket.tokens = enough and tokens - 1 or tokens
  return enough
end

function R.on_message(msg, ctx)
  local topic, sender = msg.topic, msg.sender
  if not sender then return end
  local name = sender.uid ~= "" and "uid " .. sender.uid or sender.id
  for _, limit in ipairs(limits) do
    if match(topic, limit.topic) and not take(limit, name, ctx.now) then
      limit.refused:inc()
      return limit.refusal
    end
  end
end

return R
