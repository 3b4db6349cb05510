return {
  ["a watched device that goes is logged, and again when it is back"] = function(t)
    t:connect { uid = "pump", tags = { "watched" } }
    local out = t:disconnect { uid = "pump", tags = { "watched" }, why = "connection lost" }
    t:eq(out.logs, { "a watched device has gone" })
    t:eq(t:connect { uid = "pump", tags = { "watched" } }.logs, { "a watched device is back" })
    t:eq(t:connect { uid = "pump", tags = { "watched" } }.logs, {})
  end,

  ["a device that says goodbye, or is taken over, has not gone without a word"] = function(t)
    for _, why in ipairs { "DISCONNECT", "session.replaced" } do
      t:eq(t:disconnect({ uid = "pump", tags = { "watched" }, why = why }).logs, {})
    end
  end,

  ["a device of the exchange protocol is back when it registers"] = function(t)
    t:disconnect { uid = "pump", device = "d1", tags = { "watched" }, why = "closed by the client" }
    t:eq(t:connect({ uid = "" }).logs, {})
    t:eq(t:register({ uid = "pump", device = "d1", tags = { "watched" } }).logs, { "a watched device is back" })
  end,

  ["a uid of any length may come and go"] = function(t)
    local device = { uid = ("u"):rep(60000), tags = { "watched" }, why = "connection lost" }
    t:eq(t:disconnect(device).logs, { "a watched device has gone" })
    device.why = nil
    t:eq({ t:connect(device).error, t:connect(device).verdict }, { nil, "accept" })
  end,

  ["other devices may come and go"] = function(t)
    t:eq(t:disconnect { uid = "phone", tags = { "gold" } }.logs, {})
  end,
}
