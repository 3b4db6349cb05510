-- What tenants hold now: connections and subscriptions. Each loop counts its own clients and tells the others by `shared`: numbers as they
-- are, not sums of steps, so that nothing that was missed stays counted.
local held = {}

local TTL = 3600 -- seconds that a loop's word counts; on_tick says it again
local ON_TRIAL, MOST_ON_TRIAL, MOST_COMING = 60, 10000, 1000
local clients, tenants, known, here = {}, {}, 0, 0
-- Clients that have connected and done nothing yet, in their order from `first` to `last`; and tenants whose numbers are to be told again.
local arrivals, first, last, waiting = {}, 1, 0, {}
-- The clients of MQTT that have connected last, by their identifiers: one of them may come back to a session.
local coming, older, count_of_coming = {}, {}, 0

local function key_of(name, what, tenant, loop) return ("%s %s %d %s"):format(name, what, loop, tenant) end

-- How many loops there are, as far as they have said.
local function loops(name)
  local said = shared.get(name .. " loops") or 0
  if here < said then return said end
  shared.set(name .. " loops", here + 1)
  return here + 1
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
  for loop = 0, loops(name) - 1 do
    if loop ~= here then sum = sum + (shared.get(key_of(name, what, tenant, loop)) or 0) end
  end
  return sum
end

local function change(name, what, tenant, by)
  local counts = tenants[tenant]
  if not counts then counts, known = { connections = 0, subscriptions = 0 }, known + 1 end
  counts[what], tenants[tenant] = counts[what] + by, counts
  if counts.connections <= 0 and counts.subscriptions <= 0 then tenants[tenant], known = nil, known - 1 end
  return tell(name, what, tenant)
end

-- How many subscriptions of a client are counted.
function held.subscriptions(id) return clients[id] and clients[id].count or 0 end

function held.has(id, tenant) return clients[id] ~= nil and clients[id].tenant == tenant end

-- A client: counted from now on. One that does not `stay` yet may still be refused by another rule: it is counted for a minute, if there are
-- not too many such. Gives false where there is no room.
function held.enter(name, id, tenant, stays, ctx)
  here = ctx.loop
  if held.has(id, tenant) then
    if stays then clients[id].until_time = nil end
    return true
  end
  -- One that registers as another tenant's brings its subscriptions along.
  local before, moved = clients[id], held.subscriptions(id)
  held.leave(name, id)
  if not stays and last - first + 1 >= MOST_ON_TRIAL then return true end
  if not tenants[tenant] and known >= ctx.settings.remembered then return false end
  local until_time = not stays and ctx.now + ON_TRIAL or nil
  clients[id] = {
    tenant = tenant, until_time = until_time, topics = before and before.topics or {}, count = moved, inherited = before and before.inherited or 0,
  }
  if until_time then last, arrivals[last + 1] = last + 1, { id = id, until_time = until_time } end
  if change(name, "connections", tenant, 1) and (moved == 0 or change(name, "subscriptions", tenant, moved)) then return true end
  held.leave(name, id)
  return false
end

function held.leave(name, id)
  local client = clients[id]
  if not client then return end
  clients[id] = nil
  change(name, "connections", client.tenant, -1)
  if client.count > 0 then change(name, "subscriptions", client.tenant, -client.count) end
end

-- Whether a client has a subscription. Of those that came with its session it is not known what they are: clients mostly ask for the same ones
-- again, so as many of the next ones are taken for them.
function held.subscribed(id, topic)
  local client = clients[id]
  if client and not client.topics[topic] and client.inherited > 0 then
    client.topics[topic], client.inherited = true, client.inherited - 1
  end
  return client and client.topics[topic]
end

function held.subscribe(name, id, topic)
  local client = clients[id]
  client.topics[topic], client.count = true, client.count + 1
  if change(name, "subscriptions", client.tenant, 1) then return true end
  held.unsubscribe(name, id, topic)
  return false
end

function held.unsubscribe(name, id, topic)
  local client = clients[id]
  if not client or not held.subscribed(id, topic) then return end
  client.topics[topic], client.count = nil, client.count - 1
  change(name, "subscriptions", client.tenant, -1)
end

-- A client of MQTT that has connected, whose tenant may have so many subscriptions.
function held.expect(conn, most)
  if count_of_coming >= MOST_COMING then coming, older, count_of_coming = {}, coming, 0 end
  coming[conn.client_id], count_of_coming = { conn = conn, most = most }, count_of_coming + 1
end

-- It goes on with a session: the session's subscriptions are its own from now on, and it is counted for good. Where there is no room for them it
-- is not counted any more, and the result is its conn, and how many there may be.
function held.resume(name, client_id, count, ctx)
  local arrival = coming[client_id] or older[client_id]
  local id = arrival and arrival.conn.id
  local client = id and clients[id]
  coming[client_id], older[client_id] = nil, nil
  if not client or count == 0 then return end
  local fits = held.count(name, "subscriptions", client.tenant, ctx) + count <= arrival.most
  client.until_time, client.count, client.inherited = nil, client.count + count, client.inherited + count
  if change(name, "subscriptions", client.tenant, count) and fits then return end
  held.leave(name, id)
  return arrival.conn, arrival.most
end

-- Some of the work at a time: clients that were not seen again after on_connect are let go, and the others are told what is held here.
function held.tick(name, ctx)
  for _ = 1, 200 do
    local each = arrivals[first]
    if not each or each.until_time > ctx.now then break end
    if clients[each.id] and clients[each.id].until_time == each.until_time then held.leave(name, each.id) end
    arrivals[first], first = nil, first + 1
  end
  if first > last then first, last = 1, 0 end
  if #waiting == 0 then
    for tenant in pairs(tenants) do waiting[#waiting + 1] = tenant end
  end
  for _ = 1, math.min(#waiting, 100) do
    local tenant = table.remove(waiting)
    for _, what in ipairs(tenants[tenant] and { "connections", "subscriptions" } or {}) do tell(name, what, tenant) end
  end
end

function held.saved()
  return { clients = clients, tenants = tenants, known = known, loop = here, arrivals = table.move(arrivals, first, last, 1, {}) }
end

function held.load(saved)
  saved = saved or { clients = {}, tenants = {}, known = 0, loop = 0, arrivals = {} }
  clients, tenants, known, here, waiting = saved.clients, saved.tenants, saved.known, saved.loop, {}
  arrivals, first, last = saved.arrivals, 1, #saved.arrivals
end

return held
