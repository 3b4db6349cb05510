local function send(t, key) return t:message { topic = "telemetry/a", payload = "1", key = key }.verdict end

return {
  ["the eleventh message of a key in a second is refused"] = function(t)
    for _ = 1, 10 do t:eq(send(t, "pump-1"), "pass") end
    t:eq(send(t, "pump-1"), "reject")
    t:eq(send(t, "pump-2"), "pass", "another key has a count of its own")
  end,

  ["a second later the key may send again"] = function(t)
    for _ = 1, 11 do send(t, "pump-1") end
    t:advance(1)
    t:eq(send(t, "pump-1"), "pass")
  end,

  ["what can't be counted is refused, until there is room again"] = function(t)
    local last
    for i = 1, 12000 do
      last = send(t, "made up " .. i)
      if last == "reject" then break end
    end
    t:eq({ last, send(t, "pump-1") }, { "reject", "reject" })
    t:eq(send(t, "made up 1"), "pass", "it is counted already")
    t:advance(3)
    t:eq(send(t, "pump-1"), "pass")
  end,

  ["a message without key counts for its topic"] = function(t)
    for _ = 1, 10 do send(t) end
    t:eq(send(t), "reject")
  end,
}
