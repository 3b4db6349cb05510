-- Clients use plain topics; inside, each tenant's topics stand under its name: `orders/1` of ada@acme is `acme/orders/1`.
local R = { priority = 90, on_error = "reject" }

local function tenant_of(conn)
  return conn and conn.uid:match("@([%w-]+)$")
end

local function is_inside(topic, tenant) return topic:sub(1, #tenant + 1) == tenant .. "/" end

function R.on_connect(conn, ctx)
  if not tenant_of(conn) then return route.reject("a uid is name@tenant") end
end

function R.on_subscribe(sub, ctx)
  local tenant = tenant_of(sub.sender)
  if not tenant then return route.reject("no tenant") end
  if not is_inside(sub.topic, tenant) then return sub:with { topic = tenant .. "/" .. sub.topic } end
end

function R.on_message(msg, ctx)
  local tenant = tenant_of(msg.sender)
  if not tenant then return route.reject("no tenant") end
  if not is_inside(msg.topic, tenant) then return route.to(tenant .. "/" .. msg.topic) end
end

return R
