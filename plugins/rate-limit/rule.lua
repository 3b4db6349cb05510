-- So many messages a second from each sender: a token bucket by uid, connection or address. See README.md.
local R = {
  name = "rate-limit", priority = 90, on_error = "reject", breaker = { errors = 1000000 },
  settings = {
    limits = list({
      topic = filter { default = "#", doc = "which topics" },
      rate = number { min = 0.000001, max = 1e9, doc = "messages a second" },
      burst = number { optional = true, min = 1, max = 1e9, doc = "how many may come at once; `rate`, and at least 1, where it is not set" },
      action = enum { "reject", "drop", default = "reject", doc = "what becomes of more: the sender is told, or not" },
      by = enum { "uid", "connection", "address", default = "uid", doc = "whose messages are counted together" },
    }, { min = 1, max = 100, doc = "each that takes the topic must have room for the message" }),
  },
}

local limits = {}
-- Of all limits of a loop together, in each of two generations of buckets.
local MAX_SENDERS = 10000

local function made(limit)
  local why = ("over %g messages a second"):format(limit.rate)
  return {
    topic = limit.topic, rate = limit.rate, burst = limit.burst or math.max(limit.rate, 1), by = limit.by,
    refusal = limit.action == "drop" and route.drop(why) or route.reject(why),
    refused = counter("rate_limited_total", { topic = limit.topic }),
  }
end

R.match = function(settings)
  local filters = {}
  for i, limit in ipairs(settings.limits) do filters[i] = limit.topic end
  return { topic = filters }
end

function R.on_load(settings, saved)
  local kept = {}
  for i, each in ipairs(settings.limits) do
    local limit = made(each)
    -- A reload forgives nobody: a limit that stays as it is keeps its buckets, of equal ones each its own.
    local key = ("%s %s %.17g %.17g "):format(limit.topic, limit.by, limit.rate, limit.burst)
    while kept[key] do key = key .. "+" end
    local before = saved and saved[key] or {}
    limit.buckets, limit.older, limit.count = before.buckets or {}, before.older or {}, before.count or 0
    limit.key, limit.most = key, MAX_SENDERS // #settings.limits
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

-- Clients choose how long their names are: ten thousand of them must not fill the rule's memory.
local function short(text) return #text <= 200 and text or "sha256:" .. hash.sha256(text) end

-- Whose messages a limit counts together. An address comes with its port, which is another one for each connection; one that is not known is
-- empty.
local function name_of(sender, by)
  if by == "address" and sender.address ~= "" then return (sender.address:gsub(":%d+$", "")) end
  return by ~= "connection" and sender.uid ~= "" and short("uid " .. sender.uid) or sender.id
end

local function refusal(topic, sender, now)
  for _, limit in ipairs(limits) do
    if match(topic, limit.topic) and not take(limit, name_of(sender, limit.by), now) then
      limit.refused:inc()
      return limit.refusal
    end
  end
end

-- The will that has just been counted: as a message it comes next.
local will

function R.on_will(msg, conn, ctx)
  will = msg.id
  return refusal(msg.topic, conn, ctx.now)
end

function R.on_message(msg, ctx)
  local sender, is_counted = msg.sender, will == msg.id
  will = nil
  -- What rules send on has been counted when it came.
  if is_counted or not sender or msg.hops > 0 then return end
  return refusal(msg.topic, sender, ctx.now)
end

return R
