-- What tenants hold now: connections and subscriptions. Each loop counts its own clients and tells the others by `shared`: numbers as they
-- are, not sums of steps, so that nothing that was missed stays counted.
local held = {}

local TTL = 3600 -- seconds that a loop's word counts; on_tick says it again
local clients, tenants, waiting, here = {}, {}, {}, 0

local function key_of(name, what, tenant, loop) return ("%s %s %d %s"):format(name, what, loop, tenant) end

-- How many loops there are, as far as they have said.
local function loops(name, ctx)
  local known = shared.get(name .. " loops") or 0
  if ctx.loop < known then return known end
  shared.set(name .. " loops", ctx.loop + 1)
  return ctx.loop + 1
end

-- Tells the others; false where there is no room for it.
local function tell(name, what, tenant)
  local count, key = tenants[tenant] and tenants[tenant][what] or 0, key_of(name, what, tenant, here)
  if count > 0 then return shared.set(key, count, TTL) ~= nil end
  shared.delete(key)
  return true
end

-- What all loops hold for a tenant.
function held.count(name, what, tenant, ctx)
  here = ctx.loop
  local sum = tenants[tenant] and tenants[tenant][what] or 0
  for loop = 0, loops(name, ctx) - 1 do
    if loop ~= ctx.loop then sum = sum + (shared.get(key_of(name, what, tenant, loop)) or 0) end
  end
  return sum
end

local function change(name, what, tenant, by)
  local counts = tenants[tenant] or { connections = 0, subscriptions = 0 }
  counts[what] = counts[what] + by
  tenants[tenant] = (counts.connections > 0 or counts.subscriptions > 0) and counts or nil
  return tell(name, what, tenant)
end

-- A client: counted from now on, for a minute only unless `stays`: another rule may yet refuse it. Gives false where there is no room.
function held.enter(name, id, tenant, stays, ctx)
  here = ctx.loop
  if held.has(id, tenant) then
    if stays then clients[id].until_time = nil end
    return true
  end
  held.leave(name, id)
  clients[id] = { tenant = tenant, until_time = not stays and ctx.now + 60 or nil, topics = {} }
  if change(name, "connections", tenant, 1) then return true end
  held.leave(name, id)
  return false
end

function held.has(id, tenant) return clients[id] ~= nil and clients[id].tenant == tenant end

function held.leave(name, id)
  local client = clients[id]
  if not client then return end
  clients[id] = nil
  change(name, "connections", client.tenant, -1)
  local count = 0
  for _ in pairs(client.topics) do count = count + 1 end
  if count > 0 then change(name, "subscriptions", client.tenant, -count) end
end

function held.subscribed(id, topic) return clients[id] and clients[id].topics[topic] end

function held.subscribe(name, id, topic)
  local client = clients[id]
  if client.topics[topic] then return true end
  client.topics[topic] = true
  if change(name, "subscriptions", client.tenant, 1) then return true end
  held.unsubscribe(name, id, topic)
  return false
end

function held.unsubscribe(name, id, topic)
  local client = clients[id]
  if not client or not client.topics[topic] then return end
  client.topics[topic] = nil
  change(name, "subscriptions", client.tenant, -1)
end

-- Some of the work at a time: clients that were never seen after on_connect are let go, and the others are told what is held here.
function held.tick(name, ctx)
  if #waiting == 0 then
    for tenant in pairs(tenants) do waiting[#waiting + 1] = { tenant = tenant } end
    for id, client in pairs(clients) do
      if client.until_time then waiting[#waiting + 1] = { id = id } end
    end
  end
  for _ = 1, math.min(#waiting, 200) do
    local each = table.remove(waiting)
    local client = each.id and clients[each.id]
    if client and client.until_time and client.until_time < ctx.now then held.leave(name, each.id) end
    for _, what in ipairs(each.tenant and tenants[each.tenant] and { "connections", "subscriptions" } or {}) do tell(name, what, each.tenant) end
  end
end

function held.saved() return { clients = clients, tenants = tenants, loop = here } end

function held.load(saved)
  saved = saved or { clients = {}, tenants = {}, loop = 0 }
  clients, tenants, here, waiting = saved.clients, saved.tenants, saved.loop, {}
end

return held
