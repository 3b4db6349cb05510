local function send(t, uid, payload, more)
  local message = { topic = "a/1", payload = payload or "x", sender = { uid = uid, device = uid } }
  for name, value in pairs(more or {}) do message[name] = value end
  local out = t:message(message)
  t:eq(out.error, nil)
  return out.verdict, out
end

local function passed(t, times, ...)
  local count = 0
  for _ = 1, times do if send(t, ...) == "pass" then count = count + 1 end end
  return count
end

-- on_tick is called on the way, and a test may call it so often at once.
local function later(t, seconds)
  for _ = 1, seconds // 9000 do t:advance(9000) end
  t:advance(seconds % 9000)
end

local function with(t, plan, more)
  local settings = { default = plan }
  for name, value in pairs(more or {}) do settings[name] = value end
  t:ok(t:settings(settings))
  -- A new day: what other tests have counted is over.
  later(t, 86400)
end

local function connect(t, uid, device) return t:connect({ uid = uid, device = device, client_id = device }) end

local function client(uid, device) return { uid = uid, device = device, client_id = device } end

return {
  ["counts messages by the minute, hour and day, each from its full one on"] = function(t)
    for window, seconds in pairs { minute = 60, hour = 3600, day = 86400 } do
      with(t, { [window] = { messages = 5 } })
      t:eq(passed(t, 8, "ann"), 5, window)
      local _, out = send(t, "ann")
      t:eq({ out.verdict, out.why }, { "reject", "its tenant's quota is 5 messages a " .. window })
      t:eq(passed(t, 8, "bob"), 5, "each tenant by itself")
      later(t, seconds)
      t:eq(passed(t, 8, "ann"), 5, "it begins anew")
    end
  end,

  ["counts bytes of payload: a message that is too large costs nothing"] = function(t)
    with(t, { day = { bytes = 100 } })
    t:eq(send(t, "ann", ("x"):rep(90)), "pass")
    local _, out = send(t, "ann", ("x"):rep(11))
    t:eq(out.why, "its tenant's quota is 100 bytes a day")
    t:eq(send(t, "ann", ("x"):rep(10)), "pass")
    t:eq(send(t, "ann", "x"), "reject")
  end,

  ["counts nothing of what it refuses, in any window"] = function(t)
    with(t, { minute = { messages = 2 }, day = { messages = 5, bytes = 1000 } })
    t:eq(passed(t, 9, "ann"), 2)
    t:advance(60)
    t:eq(passed(t, 9, "ann"), 2)
    t:advance(60)
    t:eq(passed(t, 9, "ann"), 1, "five a day, of which none was wasted")
  end,

  ["finds the tenant in the uid, in the topic or in an attribute"] = function(t)
    with(t, { day = { messages = 2 } }, { separator = "@" })
    t:eq(passed(t, 2, "ann@acme") + passed(t, 2, "b@b@acme") + passed(t, 2, "c@other"), 4)
    t:eq(passed(t, 5, "nobody"), 5, "it has no tenant")
    t:eq(passed(t, 5, "nobody@"), 5, "it has no tenant")
    with(t, { day = { messages = 2 } }, { by = "topic", level = 2 })
    local function to(topic) return passed(t, 3, "ann", "x", { topic = topic }) end
    t:eq({ to("a/acme/1"), to("b/acme"), to("a/other"), to("a"), to("a//b") }, { 2, 0, 2, 3, 3 })
    t:ok(t:settings { default = { day = { messages = 2 } }, by = "attribute" })
    t:eq(passed(t, 5, "ann"), 5, "it has no tenant")
  end,

  ["takes a tenant's own plan, else the default, else none"] = function(t)
    with(t, { day = { messages = 1 } }, { tenants = { big = { day = { messages = 10 } }, free = {} } })
    t:eq({ passed(t, 20, "big"), passed(t, 20, "free"), passed(t, 20, "ann") }, { 10, 20, 1 })
    t:ok(t:settings { tenants = { big = { day = { messages = 0 } } } })
    t:eq({ passed(t, 20, "big"), passed(t, 20, "eve") }, { 0, 20 })
  end,

  ["refuses, drops, and refuses what has no tenant, where told to"] = function(t)
    with(t, { day = { messages = 0 } }, { action = "drop", unknown = "reject" })
    t:eq(send(t, "ann"), "drop")
    local _, out = send(t, "")
    t:eq({ out.verdict, out.why }, { "reject", "it belongs to no tenant" })
    t:eq(t:connect({ uid = "", client_id = "d1" }).verdict, "reject")
    t:eq(t:connect({ uid = "" }).verdict, "accept", "a client of the exchange protocol says so when it registers")
    t:eq(t:subscribe({ topic = "a", sender = { uid = "" } }).verdict, "reject")
  end,

  ["counts a message once, however often rules send it on, and none of the rules' own"] = function(t)
    with(t, { day = { messages = 1 } })
    t:eq(send(t, "ann"), "pass")
    t:eq(send(t, "ann", "x", { hops = 1 }), "pass")
    t:eq(send(t, "ann"), "reject")
  end,

  ["counts broadcasts and chats with the rest"] = function(t)
    with(t, { day = { messages = 3 } })
    t:eq(t:broadcast({ filter = {}, payload = "x", sender = { uid = "ann" } }).verdict, "pass")
    t:eq(t:chat({ id = "c", payload = "x", sender = { uid = "ann" } }).verdict, "pass")
    t:eq(passed(t, 5, "ann"), 1)
    t:eq(t:chat({ id = "c", payload = "x", sender = { uid = "ann" } }).verdict, "reject")
  end,

  ["logs once when a share of a quota is reached"] = function(t)
    with(t, { day = { messages = 10 } }, { warn_at = 0.5 })
    local lines = {}
    for _ = 1, 12 do
      local _, out = send(t, "ann")
      for _, line in ipairs(out.logs) do lines[#lines + 1] = line end
    end
    t:eq(#lines, 1)
    t:ok(lines[1]:find("a tenant is near its quota", 1, true), lines[1])
  end,

  ["logs nothing of what it refuses"] = function(t)
    with(t, { minute = { messages = 10, bytes = 100 } }, { warn_at = 0.8 })
    local lines = 0
    for i = 1, 30 do
      local _, out = send(t, "ann", ("x"):rep(i <= 7 and 1 or 99))
      lines = lines + #out.logs
    end
    t:eq(lines, 0)
  end,

  ["refuses connections beyond the quota, and takes others when clients go"] = function(t)
    with(t, { connections = 2 })
    t:eq({ connect(t, "ann", "d1").verdict, connect(t, "ann", "d2").verdict }, { "accept", "accept" })
    local out = connect(t, "ann", "d3")
    t:eq({ out.verdict, out.why }, { "reject", "its tenant has 2 connections" })
    t:eq(connect(t, "bob", "d4").verdict, "accept")
    t:disconnect(client("ann", "d1"))
    t:eq({ connect(t, "ann", "d3").verdict, connect(t, "ann", "d5").verdict }, { "accept", "reject" })
    t:disconnect(client("ann", "d9"))
    t:eq(connect(t, "ann", "d6").verdict, "reject", "one that was never here frees nothing")
  end,

  ["forgets after a minute whom another rule has refused, and counts who stays"] = function(t)
    with(t, { connections = 2 })
    connect(t, "ann", "d1")
    connect(t, "ann", "d2")
    send(t, "ann", "x", { sender = client("ann", "d1") })
    t:advance(120)
    t:eq(connect(t, "ann", "d3").verdict, "accept")
    t:eq(connect(t, "ann", "d4").verdict, "reject", "d1 has sent, and is there")
    local verdict, out = send(t, "ann", "x", { sender = client("ann", "d2") })
    t:eq({ verdict, out.why }, { "reject", "its tenant has 2 connections" }, "who was silent so long has lost its place")
  end,

  ["gives no place for good to a client that sends its will when it has gone"] = function(t)
    with(t, { connections = 1 })
    connect(t, "ann", "d1")
    send(t, "ann", "x", { sender = client("ann", "d1") })
    t:disconnect(client("ann", "d1"))
    local will = { topic = "a/1", payload = "gone", id = 77, sender = client("ann", "d1") }
    t:eq({ t:will(will).verdict, t:message(will).verdict }, { "pass", "pass" })
    t:eq(connect(t, "ann", "d2").verdict, "accept")
    with(t, { day = { messages = 2 } })
    t:eq({ t:will(will).verdict, t:message(will).verdict, passed(t, 2, "ann"), t:will(will).verdict }, { "pass", "pass", 1, "reject" })
  end,

  ["counts no more clients on trial than it may, and those when they do something"] = function(t)
    with(t, { connections = 20000 }, { remembered = 15000 })
    for i = 1, 10100 do connect(t, "u" .. i % 1000, "d" .. i) end
    send(t, "u5", "x", { sender = client("u5", "d10005") })
    t:advance(120)
    t:eq(connect(t, "u5", "d5").verdict, "accept")
  end,

  ["counts a client that registers by the uid that it registers"] = function(t)
    with(t, { connections = 1 })
    t:eq(t:connect({ uid = "", device = "d1" }).verdict, "accept")
    t:eq(t:register({ uid = "ann", device = "d1" }).verdict, "accept")
    t:eq(t:register({ uid = "ann", device = "d2" }).verdict, "reject")
    t:disconnect({ uid = "ann", device = "d1" })
    t:eq(t:register({ uid = "ann", device = "d2" }).verdict, "accept")
  end,

  ["counts subscriptions: the same one once, until it or its client goes"] = function(t)
    with(t, { subscriptions = 3 })
    local function subscribe(device, topic, group) return t:subscribe({ topic = topic, group = group, sender = client("ann", device) }).verdict end
    t:eq({ subscribe("d1", "a"), subscribe("d1", "a"), subscribe("d1", "a", "g"), subscribe("d2", "a") }, { "accept", "accept", "accept", "accept" })
    local out = t:subscribe({ topic = "b", sender = client("ann", "d2") })
    t:eq({ out.verdict, out.why }, { "reject", "its tenant has 3 subscriptions" })
    t:eq(subscribe("d1", "a"), "accept", "it has that one")
    t:unsubscribe({ topic = "a", sender = client("ann", "d1") })
    t:unsubscribe({ topic = "never", sender = client("ann", "d1") })
    t:eq({ subscribe("d2", "b"), subscribe("d2", "c") }, { "accept", "reject" })
    t:disconnect(client("ann", "d2"))
    t:eq({ subscribe("d1", "c"), subscribe("d1", "d"), subscribe("d1", "e") }, { "accept", "accept", "reject" })
  end,

  ["counts the subscriptions of a session that goes on: what is asked for again is one of them"] = function(t)
    with(t, { subscriptions = 3 })
    local function subscribe(device, topic) return t:subscribe({ topic = topic, sender = client("ann", device) }).verdict end
    local function resume(device, count)
      connect(t, "ann", device)
      return t:session({ event = "resumed", uid = "ann", client_id = device, connected = true, subscriptions = count }).closed
    end
    t:eq(resume("d1", 2), nil)
    t:advance(120)
    t:eq({ subscribe("d2", "x"), subscribe("d2", "y") }, { "accept", "reject" }, "it is there for good")
    t:eq({ subscribe("d1", "a"), subscribe("d1", "a"), subscribe("d1", "b"), subscribe("d1", "c") }, { "accept", "accept", "accept", "reject" })
    t:unsubscribe({ topic = "a", sender = client("ann", "d1") })
    t:eq({ subscribe("d1", "c"), subscribe("d1", "d") }, { "accept", "reject" })
    t:disconnect(client("ann", "d1"))
    t:eq({ resume("d3", 1), subscribe("d2", "y"), subscribe("d2", "z") }, { nil, "accept", "reject" })
    t:unsubscribe({ topic = "never seen", sender = client("ann", "d3") })
    t:eq(subscribe("d2", "z"), "accept", "it has come with the session")
  end,

  ["refuses a client whose session has more subscriptions than there is room for"] = function(t)
    with(t, { subscriptions = 3, connections = 2 })
    t:subscribe({ topic = "x", sender = client("ann", "d1") })
    local function resume(device, count)
      t:eq(connect(t, "ann", device).verdict, "accept")
      return t:session({ event = "resumed", uid = "ann", client_id = device, connected = true, subscriptions = count }).closed
    end
    t:eq(resume("d2", 3), "its tenant has 3 subscriptions")
    t:eq(resume("d3", 2), nil, "nothing is left of the other one")
    t:eq(connect(t, "ann", "d4").verdict, "reject")
    t:eq(t:session({ event = "resumed", uid = "ann", client_id = "d9", connected = true, subscriptions = 9 }).closed, nil, "it was not asked about")
    with(t, { connections = 2 })
    t:eq(resume("d5", 100), nil)
  end,

  ["refuses more tenants than it may count, and forgets none"] = function(t)
    with(t, { day = { messages = 5 } }, { remembered = 100 })
    for i = 1, 100 do t:eq(send(t, "t" .. i), "pass") end
    local _, out = send(t, "new")
    t:eq({ out.verdict, out.why }, { "reject", "too many tenants to count" })
    t:eq(passed(t, 9, "t1"), 4, "those that are counted are served, and counted on")
    later(t, 86400)
    t:eq(send(t, "new"), "pass")
  end,

  ["counts a tenant once, be all that it sends refused"] = function(t)
    with(t, { minute = { messages = 1000 }, day = { bytes = 10 } }, { remembered = 3 })
    for _ = 1, 50 do
      t:eq(send(t, "evil", ("x"):rep(11)), "reject")
      t:advance(61)
    end
    t:eq({ send(t, "good", "x"), send(t, "evil", "x"), send(t, "late", "x"), (send(t, "more", "x")) }, { "pass", "pass", "pass", "reject" })
  end,

  ["has room for the tenants that it names, whatever others there are"] = function(t)
    with(t, { day = { messages = 5 } }, { remembered = 100, tenants = { acme = { day = { messages = 2 } } } })
    for i = 1, 100 do send(t, "t" .. i) end
    t:eq({ send(t, "new"), passed(t, 3, "acme") }, { "reject", 2 })
    later(t, 86400)
    t:eq(passed(t, 3, "acme"), 2)
    for i = 1, 100 do t:eq(send(t, "t" .. i), "pass", "they take no room of the others") end
  end,

  ["takes any tenant and any payload"] = function(t)
    with(t, { day = { messages = 2, bytes = 1000000 } })
    local odd = { ("u"):rep(60000), ("u"):rep(60001), "é😀", "a\0b", "%1", " ", "nan", "sha256:x", "kept" }
    for _, uid in ipairs(odd) do t:eq(passed(t, 3, uid, ("\xff"):rep(1000)), 2, uid:sub(1, 20)) end
    for _, payload in ipairs { "null", "{", ("["):rep(5000), "\0", "x" } do t:eq(send(t, "p" .. payload, payload), "pass") end
    with(t, { subscriptions = 1 })
    t:eq(t:subscribe({ topic = ("t/"):rep(5000), sender = client("ann", "d1") }).verdict, "accept")
    t:eq(t:subscribe({ topic = ("t/"):rep(5001), sender = client("ann", "d1") }).verdict, "reject")
  end,

  ["says what is wrong with its settings"] = function(t)
    for _, case in ipairs {
      { {}, "there is neither a default nor a tenant's plan" }, { { default = { day = { messages = -1 } } }, "messages is -1" },
      { { default = { week = {} } }, "unknown key week" }, { { default = { day = { bytes = "5 apples" } } }, "bytes" },
      { { default = { connections = 5 }, by = "topic" }, "connections and subscriptions have no topic" },
      { { default = {}, warn_at = 2 }, "warn_at is 2" }, { { default = {}, by = "name" }, 'by is "name"' },
    } do
      local ok, why = t:settings(case[1])
      t:ok(not ok and why:find(case[2], 1, true), tostring(why))
    end
  end,
}
