-- Devices with the tag `watched` that go without a word are counted and logged; the log's reader raises the alarm.
local R = { tick = 60 }

local gone = counter("watched_gone")

local function is_watched(conn)
  for _, tag in ipairs(conn.tags) do
    if tag == "watched" then return true end
  end
  return false
end

function R.on_disconnect(conn, why)
  if not is_watched(conn) then return end
  gone:inc()
  shared.set("gone/" .. conn.uid, why, 3600)
  log.warn("a watched device has gone", { uid = conn.uid, device = conn.device, why = why })
end

function R.on_connect(conn, ctx)
  local why = shared.get("gone/" .. conn.uid)
  if not why then return end
  shared.delete("gone/" .. conn.uid)
  log.info("a watched device is back", { uid = conn.uid, why = why })
end

return R
