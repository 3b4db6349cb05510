local function reading(t, payload)
  t:ok(t:settings { limits = { temperature = 80 } })
  return t:message { topic = "telemetry/s1", payload = payload }
end

return {
  ["a reading goes to its site"] = function(t)
    local out = reading(t, { site = "north", kind = "temperature", value = 80 })
    t:eq(out.verdict, "route")
    t:eq(out.topic, "sites/north/s1")
  end,

  ["a value above its limit raises an alarm besides"] = function(t)
    local out = reading(t, { site = "north", kind = "temperature", value = 80.5 })
    t:eq(out.verdict, "fanout")
    t:eq(#out.messages, 2)
    t:eq(out.messages[1].topic, "sites/north/s1")
    t:eq(out.messages[2].topic, "alarms/north/s1")
    t:eq(json.decode(out.messages[2].payload), { kind = "temperature", limit = 80, value = 80.5 })
  end,

  ["a kind without a limit raises none"] = function(t)
    t:eq(reading(t, { site = "north", kind = "humidity", value = 1e9 }).verdict, "route")
  end,

  ["what is no reading is rejected"] = function(t)
    for _, payload in ipairs { "no JSON", "1", '{"value":1}', '{"site":"a/b","value":1}', '{"site":"+","value":1}', '{"site":"a","value":"1"}' } do
      t:eq(reading(t, payload).verdict, "reject", payload)
    end
  end,

  ["other topics are left alone"] = function(t)
    t:eq(t:message { topic = "state/s1", payload = "online" }.verdict, "unmatched")
  end,

  ["a limit is a number"] = function(t)
    local ok, why = t:settings { limits = { temperature = "hot" } }
    t:ok(not ok)
    t:ok(why:find('alarms.limits.temperature is "hot"; a number', 1, true), why)
  end,
}
