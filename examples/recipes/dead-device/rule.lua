-- Devices with the tag `watched` that go without a word are counted and logged; the log's reader raises the alarm.
local R = {}

local gone = counter("watched_gone")

-- A client of MQTT that says goodbye, and one that is here again by another connection.
local EXPECTED = { DISCONNECT = true, ["session.replaced"] = true }

-- Hashed: a uid may be longer than a key.
local function key_of(conn) return "gone/" .. hash.sha256(conn.uid .. "\0" .. conn.device) end

local function is_watched(conn)
  for _, tag in ipairs(conn.tags) do
    if tag == "watched" then return true end
  end
  return false
end

function R.on_disconnect(conn, why)
  if EXPECTED[why] or not is_watched(conn) then return end
  gone:inc()
  shared.set(key_of(conn), why, 3600)
  log.warn("a watched device has gone", { uid = conn.uid, device = conn.device, why = why })
end

local function is_back(conn)
  local why = conn.uid ~= "" and shared.get(key_of(conn))
  if not why then return end
  shared.delete(key_of(conn))
  log.info("a watched device is back", { uid = conn.uid, device = conn.device, why = why })
end

function R.on_connect(conn) is_back(conn) end

-- A client of the exchange protocol says who it is here.
function R.on_register(conn) is_back(conn) end

return R
