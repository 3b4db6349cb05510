local function send(t, uid, topic, device)
  return t:message { topic = topic or "chat/1", payload = "hi", sender = { uid = uid, device = device } }.verdict
end

local function sent(t, times, ...)
  local passed = 0
  for _ = 1, times do if send(t, ...) == "pass" then passed = passed + 1 end end
  return passed
end

return {
  ["lets a burst pass, then refuses"] = function(t)
    t:settings { limits = { { rate = 2, burst = 5 } } }
    t:eq(sent(t, 20, "ann"), 5)
    t:eq(send(t, "ann"), "reject")
    t:eq(t:message { topic = "x", payload = "y", sender = { uid = "ann" } }.why, "over 2 messages a second")
  end,

  ["refills at its rate, up to the burst"] = function(t)
    t:settings { limits = { { rate = 2, burst = 4 } } }
    t:eq(sent(t, 9, "ann"), 4)
    t:advance(1)
    t:eq(sent(t, 9, "ann"), 2)
    t:advance(0.25)
    t:eq(sent(t, 9, "ann"), 0)
    t:advance(0.25)
    t:eq(sent(t, 9, "ann"), 1, "halves add up")
    t:advance(3600)
    t:eq(sent(t, 9, "ann"), 4)
  end,

  ["counts each sender by itself: by uid, else by connection"] = function(t)
    t:settings { limits = { { rate = 1, burst = 2 } } }
    t:eq(sent(t, 5, "ann", nil, "phone"), 2)
    t:eq(sent(t, 5, "ann", nil, "laptop"), 0, "one uid on two devices")
    t:eq(sent(t, 5, "bob"), 2)
    t:eq(sent(t, 5, "", nil, "d1"), 2)
    t:eq(sent(t, 5, "", nil, "d2"), 2)
  end,

  ["counts by address where told to: neither a uid nor a connection evades it"] = function(t)
    t:ok(t:settings { limits = { { rate = 1, burst = 3, by = "address" } } })
    local function from(address, uid)
      return t:message { topic = "x", payload = "y", sender = { uid = uid, device = uid, address = address } }.verdict
    end
    local passed = 0
    for i = 1, 50 do if from("10.0.0.1:" .. 1000 + i, "u" .. i) == "pass" then passed = passed + 1 end end
    t:eq(passed, 3)
    t:eq(from("10.0.0.2:1000", "u1"), "pass")
    t:eq(from("[::1]:1000", "u1"), "pass")
  end,

  ["counts by connection where told to: another uid does not evade it"] = function(t)
    t:ok(t:settings { limits = { { rate = 1, burst = 2, by = "connection" } } })
    t:eq(sent(t, 5, "", nil, "d1"), 2)
    local ok, why = t:settings { limits = { { rate = 1, by = "name" } } }
    t:ok(not ok and why:find('is "name"; one of uid, connection, address', 1, true), why)
  end,

  ["counts a message once, however often rules send it on"] = function(t)
    t:ok(t:settings { limits = { { rate = 1, burst = 2 } } })
    local passed = 0
    for hops = 0, 8 do
      local out = t:message { topic = "x", payload = "y", hops = hops, sender = { uid = "ann" } }
      passed = passed + (out.verdict == "pass" and 1 or 0)
    end
    t:eq({ passed, sent(t, 5, "ann") }, { 9, 1 })
  end,

  ["counts a will once, and by its uid where its client's address is gone"] = function(t)
    for _, by in ipairs { "uid", "address" } do
      t:ok(t:settings { limits = { { rate = 1, burst = 1, by = by } } })
      local verdicts = {}
      for i, uid in ipairs { "ann", "ann", "bob" } do
        local will = { topic = "x", payload = "y", id = i, sender = { uid = uid, device = "d" .. i, address = "" } }
        verdicts[i] = t:will(will).verdict .. " " .. t:message(will).verdict
      end
      t:eq(verdicts, { "pass pass", "reject pass", "pass pass" }, by)
      t:eq(send(t, "bob"), by == "uid" and "reject" or "pass")
    end
  end,

  ["limits the topics that it is told to"] = function(t)
    t:settings { limits = { { topic = "chat/#", rate = 1, burst = 1 }, { topic = "+/hot", rate = 1, burst = 3 } } }
    t:eq(sent(t, 5, "ann", "chat/1"), 1)
    t:eq(sent(t, 5, "ann", "orders/hot"), 3)
    t:eq(send(t, "ann", "orders/1"), "unmatched")
  end,

  ["drops instead of rejecting where told to"] = function(t)
    t:settings { limits = { { rate = 1, action = "drop" } } }
    t:eq(send(t, "ann"), "pass")
    t:eq(send(t, "ann"), "drop")
  end,

  ["keeps a bounded number of senders, and none is forgiven by it at once"] = function(t)
    t:settings { limits = { { rate = 0.001, burst = 1 } } }
    t:eq(send(t, "ann"), "pass")
    for i = 1, 10500 do send(t, "sender" .. i) end
    t:eq(send(t, "ann"), "reject")
  end,

  ["keeps as many senders with long names, and forgives nobody for want of memory"] = function(t)
    t:settings { limits = { { rate = 0.001, burst = 1 } } }
    t:eq(send(t, "ann"), "pass")
    for i = 1, 2000 do t:eq(t:message({ topic = "t", payload = "x", sender = { uid = ("u"):rep(60000) .. i } }).error, nil) end
    t:eq(send(t, "ann"), "reject")
  end,

  ["keeps the buckets of two limits on one topic apart"] = function(t)
    t:ok(t:settings { limits = { { topic = "a", rate = 10, burst = 10 }, { topic = "a", rate = 1, burst = 12 } } })
    t:eq(sent(t, 20, "ann", "a"), 10)
    t:advance(1)
    t:eq(sent(t, 20, "ann", "a"), 3, "two were left and one has come")
  end,

  ["shares its memory between its limits"] = function(t)
    t:ok(t:settings { limits = { { topic = "a", rate = 0.001, burst = 1 }, { topic = "b", rate = 1 } } })
    t:eq(send(t, "ann", "a"), "pass")
    for i = 1, 9000 do send(t, "sender" .. i, "a") end
    t:eq(send(t, "ann", "a"), "reject")
    for i = 9001, 20000 do send(t, "sender" .. i, "a") end
    t:eq(send(t, "ann", "a"), "pass")
  end,

  ["limits whom it should, and nobody else, whatever they are called"] = function(t)
    t:ok(t:settings { limits = { { topic = "#", rate = 1, burst = 2, by = "uid" } } })
    for _, uid in ipairs { ("u"):rep(60000), "ÿþ", "a\0b", "%1", "+/#", " ", "uid a", "nan" } do
      local verdicts = {}
      for i = 1, 3 do
        local out = t:message { topic = ("t/"):rep(i * 100) .. "ÿ", payload = ("x"):rep(60000), sender = { uid = uid } }
        t:eq(out.error, nil)
        verdicts[i] = out.verdict
      end
      t:eq(verdicts, { "pass", "pass", "reject" }, uid:sub(1, 20))
    end
    t:eq(t:message { topic = "t", payload = "x", sender = { uid = "ann" } }.verdict, "pass")
  end,

  ["says what is wrong with its settings"] = function(t)
    local wrong = {
      { {}, "rate-limit.limits is missing" },
      { { limits = { {} } }, "limits[0].rate is missing; a number" },
      { { limits = { { rate = -1 } } }, "rate is -1; a number" },
      { { limits = { { rate = "5" } } }, 'rate is "5"; a number' },
      { { limits = { { rate = 5, burst = 0.5 } } }, "burst is 0.5; a number from 1" },
      { { limits = { { rate = 5, topic = "a/#/b" } } }, 'topic is "a/#/b"; a topic filter' },
      { { limits = { { rate = 5, action = "kick" } } }, 'action is "kick"; one of reject, drop' },
      { { limits = { { rate = 5, per = "uid" } } }, "unknown key per in" },
      { { limits = { 5 } }, "limits[0] is a number; a table with action" },
      { { limits = { { rate = 5 } }, action = "drop" }, "unknown key action in rules.settings.rate-limit; it has limits" },
    }
    for _, case in ipairs(wrong) do
      local ok, why = t:settings(case[1])
      t:ok(not ok, "expected: " .. case[2])
      t:ok(why:find(case[2], 1, true), why)
    end
  end,
}
