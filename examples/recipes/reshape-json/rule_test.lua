return {
  ["the new shape goes to the new topic"] = function(t)
    local out = t:message { topic = "v1/readings", payload = { d = "pump", t = 21.5, h = 40 } }
    t:eq(out.topic, "v2/readings")
    local new = json.decode(out.payload)
    t:eq(new.device, "pump")
    t:eq(new.readings, { { name = "temperature", value = 21.5 }, { name = "humidity", value = 40 } })
  end,

  ["what is not a number is left out, an empty list stays a list"] = function(t)
    local out = t:message { topic = "v1/readings", payload = { d = "pump", t = "warm" } }
    t:ok(out.payload:find('"readings":[]', 1, true))
  end,

  ["without a device's name it is refused"] = function(t)
    t:eq(t:message { topic = "v1/readings", payload = "{}" }.verdict, "reject")
  end,
}
