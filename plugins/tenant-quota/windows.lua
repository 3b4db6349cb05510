-- What a tenant has sent in this minute, hour and day: counters of the worker's, for all loops. A window begins at a full one, in UTC.
local windows = {}

local LENGTHS = { { name = "minute", seconds = 60 }, { name = "hour", seconds = 3600 }, { name = "day", seconds = 86400 } }

-- What the call has counted so far: kept from call to call, so that none makes tables.
local keys, steps, charged = {}, {}, 0
-- Shares of quotas that the message reaches: told when it is counted for good.
local reached = {}

local function add(key, by, ttl)
  local sum = shared.incr(key, by, ttl)
  if sum then charged, keys[charged + 1], steps[charged + 1] = charged + 1, key, by end
  return sum
end

local function give_back()
  for i = 1, charged do shared.incr(keys[i], -steps[i], 60) end
end

-- The window that it is now; the beginnings of its counters' names are made once.
local function begin(window, name, now)
  local number = now // window.seconds
  if window.number ~= number then
    local prefix = ("%s %s %d "):format(name, window.name, number)
    window.number, window.messages, window.bytes, window.kept = number, prefix .. "messages ", prefix .. "bytes ", prefix .. "kept"
  end
  return (number + 1) * window.seconds - now + 1
end

-- Counts a tenant's message; nothing where there is no room: as many tenants are counted in the window as may be. Those that the settings name
-- have room of their own: nobody who makes up tenants takes it. A counter is one more than the messages: only a new one is 1, and not one whose
-- messages have all been given back.
local function add_message(window, tenant, ttl, most, is_named)
  local key = window.messages .. tenant
  local count = add(key, 1, ttl)
  if count ~= 1 then return count and count - 1 end
  shared.incr(key, 1, ttl)
  if is_named then return 1 end
  local kept = shared.incr(window.kept, 1, ttl)
  if kept and kept <= most then return 1 end
  if kept then shared.incr(window.kept, -1, ttl) end
  shared.delete(key)
  charged = charged - 1
end

-- Whether a limit has room for what the sum has become.
local function fits(window, what, sum, by, limit, share)
  if sum > limit then return false end
  if sum >= limit * share and sum - by < limit * share then reached[#reached + 1] = { window.name, what, sum, limit } end
  return true
end

-- Counts a message against a plan, which is the tenant's own where `is_named`. Gives nothing where it fits, and tells `warn` which shares are
-- reached. Else nothing of it is counted, and it gives the window, what there is too much of, and the limit; or "full" where there is no room
-- to count it.
function windows.charge(name, tenant, plan, is_named, bytes, ctx, warn)
  charged = 0
  if #reached > 0 then reached = {} end
  for _, window in ipairs(LENGTHS) do
    local limits, wrong = plan[window.name], nil
    if limits then
      local ttl, share = begin(window, name, ctx.now), ctx.settings.warn_at
      local messages = add_message(window, tenant, ttl, ctx.settings.remembered, is_named)
      local sum = messages and limits.bytes and add(window.bytes .. tenant, bytes, ttl)
      if not messages or limits.bytes and not sum then
        give_back()
        return "full"
      elseif limits.messages and not fits(window, "messages", messages, 1, limits.messages, share) then
        wrong = "messages"
      elseif limits.bytes and not fits(window, "bytes", sum, bytes, limits.bytes, share) then
        wrong = "bytes"
      end
    end
    if wrong then
      give_back()
      return window.name, wrong, limits[wrong]
    end
  end
  for _, each in ipairs(reached) do warn(table.unpack(each)) end
end

return windows
