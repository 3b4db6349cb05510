-- So many messages, bytes, connections and subscriptions for each tenant. See README.md.
local window = {
  messages = integer { min = 0, optional = true, doc = "messages" }, bytes = size { min = 0, optional = true, doc = "bytes of payload" },
}

-- What a tenant may have.
local plan = {
  minute = table(window, { optional = true, doc = "in each minute" }), hour = table(window, { optional = true, doc = "in each hour" }),
  day = table(window, { optional = true, doc = "in each day, from 00:00 UTC" }),
  connections = integer { min = 0, optional = true, doc = "connections at a time" },
  subscriptions = integer { min = 0, optional = true, doc = "subscriptions at a time" },
}

local R = {
  name = "tenant-quota", priority = 85, tick = 1, on_error = "reject", breaker = { errors = 1000000 },
  settings = {
    by = enum { "uid", "topic", "attribute", default = "uid", doc = "where the tenant stands" },
    separator = text { optional = true, min = 1, max = 8, doc = "for `by: uid`: the tenant is what comes after the last one of it" },
    level = integer { default = 1, min = 1, max = 128, doc = "for `by: topic`: which level" },
    attribute = text { default = "tenant", min = 1, doc = "for `by: attribute`: which of `conn.attributes`" },
    default = table(plan, { optional = true, doc = "of tenants that have no plan of their own; where it is not set, they have no limits" }),
    tenants = map(table(plan), { optional = true, max = 10000, doc = "plans by tenant" }),
    action = enum { "reject", "drop", default = "reject", doc = "what becomes of messages over a quota; a client or a subscription is refused" },
    unknown = enum { "pass", "reject", default = "pass", doc = "what becomes of what has no tenant" },
    warn_at = number { default = 0.8, min = 0.01, max = 1, doc = "the share of a quota that is logged when it is reached" },
    remembered = integer { default = 10000, min = 1, max = 15000, doc = "tenants that are counted in a window; what more of them send is refused" },
  },
}

local windows, held, whose = require "windows", require "held", require "tenant"
local refusal, places = require "refusal", require "places"
local short, count, refuse = whose.short, refusal.count, refusal.refuse
local set, name, reads_bytes, current = nil, R.name, {}, nil

function R.on_load(settings, saved)
  set = settings
  held.load(saved)
  local plans = { default = settings.default }
  for tenant, each in pairs(settings.tenants or {}) do plans["tenants." .. tenant] = each end
  if next(plans) == nil then error("settings.default: there is neither a default nor a tenant's plan", 0) end
  for where, each in pairs(plans) do
    for _, window in ipairs { "minute", "hour", "day" } do reads_bytes[each] = reads_bytes[each] or each[window] and each[window].bytes end
    if set.by == "topic" and (each.connections or each.subscriptions) then
      error(("settings.%s: connections and subscriptions have no topic to tell their tenant: by is uid or attribute"):format(where), 0)
    end
  end
end

function R.on_unload() return held.saved() end

local function tenant_of(conn, topic) return whose.of(conn, topic, set) end

local function plan_of(tenant) return set.tenants and set.tenants[tenant] or set.default end

local function unknown()
  return set.unknown == "reject" and refuse("reject", "unknown", "it belongs to no tenant") or nil
end

local function client(conn, stays, ctx)
  local tenant = tenant_of(conn)
  -- A client of the exchange protocol says who it is when it registers.
  if not tenant then return (stays or conn.protocol == "mqtt") and set.by ~= "topic" and unknown() or nil end
  local plan = plan_of(tenant)
  return plan and places.enter(name, conn, short(tenant), plan, stays, ctx)
end

function R.on_connect(conn, ctx)
  local tenant = tenant_of(conn)
  local plan, refused = tenant and plan_of(tenant), client(conn, false, ctx)
  if not refused and plan and plan.subscriptions and conn.client_id then held.expect(conn, plan.subscriptions) end
  return refused
end

function R.on_session(event, session, ctx)
  if event == "resumed" then places.resume(name, session, ctx) end
end

function R.on_register(conn, ctx) return client(conn, true, ctx) end

function R.on_disconnect(conn) held.leave(name, conn.id) end

function R.on_tick(ctx) held.tick(name, ctx) end

local function topic_of(sub) return short(sub.topic .. "\0" .. sub.group .. "\0" .. (sub.key or "")) end

function R.on_subscribe(sub, ctx)
  local conn, tenant = sub.sender, tenant_of(sub.sender, sub.topic)
  if not tenant then return unknown() end
  local plan, topic = plan_of(tenant), topic_of(sub)
  local refused = plan and set.by ~= "topic" and places.enter(name, conn, short(tenant), plan, true, ctx)
  if refused or not plan or not plan.subscriptions or held.subscribed(conn.id, topic) then return refused or nil end
  if held.count(name, "subscriptions", short(tenant), ctx) >= plan.subscriptions then
    return refuse("reject", "subscriptions", ("its tenant has %d subscriptions"):format(plan.subscriptions))
  end
  return not held.subscribe(name, conn.id, topic) and refuse("reject", "full", "too many tenants to count") or nil
end

function R.on_unsubscribe(sub) held.unsubscribe(name, sub.sender.id, topic_of(sub)) end

local function warn(window, what, sum, limit)
  count("warned")
  log.warn("a tenant is near its quota", { tenant = current, window = window, of = what, used = sum, quota = limit })
end

local function charge(msg, sender, is_will, ctx)
  local tenant = tenant_of(sender, msg.topic)
  if not tenant then return unknown() end
  local plan = plan_of(tenant)
  if not plan then return nil end
  -- A will comes when its client has gone, and needs no place.
  local refused = not is_will and set.by ~= "topic" and places.enter(name, sender, short(tenant), plan, held.has(sender.id, short(tenant)), ctx)
  if refused then return refused end
  current = tenant
  local bytes = reads_bytes[plan] and #msg.payload or 0
  local window, what, most = windows.charge(name, short(tenant), plan, plan ~= set.default, bytes, ctx, warn)
  if window == "full" then return refuse(set.action, "full", "too many tenants to count") end
  return window and refuse(set.action, what, ("its tenant's quota is %d %s a %s"):format(most, what, window)) or nil
end

-- The will that has just been counted: as a message it comes next.
local will

function R.on_will(msg, conn, ctx)
  will = msg.id
  return charge(msg, conn, true, ctx)
end

local function message(msg, ctx)
  local sender, is_counted = msg.sender, will == msg.id
  will = nil
  -- What rules send of their own, or send on, has been counted or is nobody's.
  if is_counted or not sender or msg.hops > 0 then return nil end
  return charge(msg, sender, false, ctx)
end

R.on_message, R.on_broadcast, R.on_chat = message, message, function(msg, _, ctx) return message(msg, ctx) end

return R
