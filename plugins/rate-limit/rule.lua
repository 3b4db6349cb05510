-- So many messages a second from each sender: a token bucket by uid, connection or address. See README.md.
local R = { name = "rate-limit", priority = 90 }

local limits = {}
-- Of all limits of a loop together, in each of two generations of buckets.
local MAX_SENDERS = 10000

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
  if math.type(value) == nil or value <= 0 or value ~= value or value > 1e9 then fail(where, "must be a number over 0") end
  return value
end

local function read_limit(limit, where)
  check_keys(limit, where, { "topic", "rate", "burst", "action", "by" })
  local topic = limit.topic or "#"
  if type(topic) ~= "string" or not pcall(match, "x", topic) then fail(where .. ".topic", "must be a topic filter, like \"orders/+\"") end
  if limit.action ~= nil and limit.action ~= "drop" and limit.action ~= "reject" then fail(where .. ".action", "must be drop or reject") end
  local by = limit.by or "uid"
  if by ~= "uid" and by ~= "connection" and by ~= "address" then fail(where .. ".by", "must be uid, connection or address") end
  local rate = positive(limit.rate, where .. ".rate")
  local burst = positive(limit.burst or math.max(rate, 1), where .. ".burst")
  if burst < 1 then fail(where .. ".burst", "must be at least 1") end
  local why = ("over %g messages a second"):format(rate)
  return {
    topic = topic, rate = rate, burst = burst, by = by,
    refusal = limit.action == "drop" and route.drop(why) or route.reject(why),
    refused = counter("rate_limited_total", { topic = topic }),
  }
end

R.match = function(settings)
  local filters = {}
  for i, limit in ipairs(settings.limits) do filters[i] = limit.topic or "#" end
  return { topic = filters }
end

function R.on_load(settings, saved)
  check_keys(settings, "rate-limit", { "limits" })
  local list, kept = settings.limits, {}
  if type(list) ~= "table" or #list == 0 or #list > 100 then fail("limits", "must be a list of 1 to 100 limits") end
  for i, value in ipairs(list) do
    local limit = read_limit(value, ("limits[%d]"):format(i))
    -- A reload forgives nobody: a limit that stays as it is keeps its buckets, of equal ones each its own.
    local key = ("%s %s %.17g %.17g "):format(limit.topic, limit.by, limit.rate, limit.burst)
    while kept[key] do key = key .. "+" end
    local before = saved and saved[key] or {}
    limit.buckets, limit.older, limit.count = before.buckets or {}, before.older or {}, before.count or 0
    limit.key, limit.most = key, MAX_SENDERS // #list
    limits[i], kept[key] = limit, true
  end
end

function R.on_unload()
  local saved = {}
  for _, limit in ipairs(limits) do saved[limit.key] = { buckets = limit.buckets, older = limit.older, count = limit.count } end
  return saved
end

-- The sender's bucket. Two generations of them: when one is full the older is let go, and who is in it has long been
-- silent, or is carried over here.
local function bucket_of(limit, sender, now)
  local bucket = limit.buckets[sender]
  if bucket then return bucket end
  if limit.count >= limit.most then limit.older, limit.buckets, limit.count = limit.buckets, {}, 0 end
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

-- Whose messages a limit counts together. An address comes with its port, which is another one for each connection.
local function name_of(sender, by)
  if by == "address" then return (sender.address:gsub(":%d+$", "")) end
  return by == "uid" and sender.uid ~= "" and "uid " .. sender.uid or sender.id
end

function R.on_message(msg, ctx)
  local topic, sender = msg.topic, msg.sender
  if not sender then return end
  for _, limit in ipairs(limits) do
    if match(topic, limit.topic) and not take(limit, name_of(sender, limit.by), ctx.now) then
      limit.refused:inc()
      return limit.refusal
    end
  end
end

return R
