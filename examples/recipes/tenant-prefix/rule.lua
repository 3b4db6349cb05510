-- Clients publish and subscribe by plain topics; inside, each tenant's stand under its name: `orders/1` of ada@acme is `acme/orders/1`.
local R = { priority = 90, on_error = "reject" }

local function tenant_of(conn)
  return conn and conn.uid:match("@([%w-]+)$")
end

local function is_inside(topic, tenant) return topic:sub(1, #tenant + 1) == tenant .. "/" end

local function named(conn)
  if not tenant_of(conn) then return route.reject("a uid is name@tenant") end
end

local function inside(msg, conn)
  local tenant = tenant_of(conn)
  if not tenant then return route.reject("no tenant") end
  if not is_inside(msg.topic, tenant) then return route.to(tenant .. "/" .. msg.topic) end
end

-- A client of the exchange protocol says who it is when it registers.
function R.on_connect(conn, ctx)
  if conn.protocol == "mqtt" then return named(conn) end
end

function R.on_register(conn, ctx) return named(conn) end

function R.on_subscribe(sub, ctx)
  local tenant = tenant_of(sub.sender)
  if not tenant then return route.reject("no tenant") end
  if not is_inside(sub.topic, tenant) then return sub:with { topic = tenant .. "/" .. sub.topic } end
end

function R.on_will(msg, conn, ctx) return inside(msg, conn) end

-- What has no sender is a rule's own, or a will that has been looked at.
function R.on_message(msg, ctx)
  if msg.sender then return inside(msg, msg.sender) end
end

return R
