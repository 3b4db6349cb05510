return {
  ["a reading in range goes on"] = function(t)
    t:eq(t:message { topic = "sensors/1/temperature", payload = { value = 21.5 } }.verdict, "pass")
  end,

  ["others are dropped, whatever they are"] = function(t)
    for _, payload in ipairs { '{"value":999}', '{"value":"21"}', "{}", "[]", "21", "not JSON" } do
      t:eq(t:message { topic = "sensors/1/temperature", payload = payload }.why, "out of range", payload)
    end
  end,
}
