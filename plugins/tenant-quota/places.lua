-- Whether there is room for a client and its subscriptions.
local held, whose, refusal = require "held", require "tenant", require "refusal"
local refuse = refusal.refuse
local places = {}

-- A client's place among its tenant's connections; nothing where it has one, or needs none.
function places.enter(name, conn, tenant, plan, stays, ctx)
  if not plan.connections and not plan.subscriptions then return nil end
  local id, most, more = conn.id, plan.connections, plan.subscriptions
  if not held.has(id, tenant) then
    local full = most and held.count(name, "connections", tenant, ctx) >= most and not whose.takes_over(conn)
    if full then return refuse("reject", "connections", ("its tenant has %d connections"):format(most)) end
    local brings = more and held.subscriptions(id) or 0
    full = brings > 0 and held.count(name, "subscriptions", tenant, ctx) + brings > more
    if full then return refuse("reject", "subscriptions", ("its tenant has %d subscriptions"):format(more)) end
  end
  return not held.enter(name, id, tenant, stays, ctx) and refuse("reject", "full", "too many tenants to count") or nil
end

-- A client that comes back to a session brings its subscriptions along. One that is closed here is refused, and its session stays.
function places.resume(name, session, ctx)
  local conn, most = held.resume(name, session.client_id, session.subscriptions, ctx)
  if not conn then return end
  refusal.count("subscriptions")
  conn:close(("its tenant has %d subscriptions"):format(most))
end

return places
