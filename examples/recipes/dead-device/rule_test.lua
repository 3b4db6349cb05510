return {
  ["a watched device that goes is logged, and again when it is back"] = function(t)
    t:connect { uid = "pump", tags = { "watched" } }
    local out = t:disconnect { uid = "pump", tags = { "watched" }, why = "connection lost" }
    t:eq(out.logs, { "a watched device has gone" })
    t:eq(t:connect { uid = "pump", tags = { "watched" } }.logs, { "a watched device is back" })
    t:eq(t:connect { uid = "pump", tags = { "watched" } }.logs, {})
  end,

  ["other devices may come and go"] = function(t)
    t:eq(t:disconnect { uid = "phone", tags = { "gold" } }.logs, {})
  end,
}
