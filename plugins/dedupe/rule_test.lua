local function with(t, stream, more)
  local settings = { streams = { stream or {} } }
  for name, value in pairs(more or {}) do settings[name] = value end
  t:ok(t:settings(settings))
end

local function send(t, payload, more)
  local message = { topic = "orders/1", payload = payload, sender = { uid = "ada" } }
  for name, value in pairs(more or {}) do message[name] = value end
  local out = t:message(message)
  t:eq(out.error, nil)
  return out.verdict
end

return {
  ["drops what has come within the window, and tells the sender nothing"] = function(t)
    with(t, { window = "10s" })
    t:eq({ send(t, "a"), send(t, "b"), send(t, "a"), send(t, "b") }, { "pass", "pass", "drop", "drop" })
    t:eq(t:message { topic = "orders/1", payload = "a" }.why, "it has come before")
  end,

  ["counts the window from the first on: one that keeps coming is let through again"] = function(t)
    with(t, { window = "10s" })
    t:eq(send(t, "a"), "pass")
    t:advance(6)
    t:eq(send(t, "a"), "drop")
    t:advance(5)
    t:eq(send(t, "a"), "pass")
    t:eq(send(t, "a"), "drop")
  end,

  ["knows messages by their payload, byte for byte"] = function(t)
    with(t)
    for _, payload in ipairs { '{"a":1}', '{"a": 1}', "a", "a\0", "\xff", "\xff\xfe", "null", ("x"):rep(200000), ("x"):rep(200001) } do
      t:eq(send(t, payload), "pass", payload:sub(1, 20))
      t:eq(send(t, payload), "drop", payload:sub(1, 20))
    end
  end,

  ["knows them by their key"] = function(t)
    with(t, { by = "key" })
    t:eq({ send(t, "a", { key = "1" }), send(t, "b", { key = "1" }), send(t, "b", { key = "2" }) }, { "pass", "drop", "pass" })
    t:eq({ send(t, "a"), send(t, "a") }, { "pass", "pass" })
    t:eq({ send(t, "a", { key = ("k"):rep(60000) }), send(t, "a", { key = ("k"):rep(60000) }) }, { "pass", "drop" })
  end,

  ["knows them by a user property"] = function(t)
    with(t, { by = "property", property = "Nats-Msg-Id" })
    local function id(text) return { props = { ["Nats-Msg-Id"] = text } } end
    t:eq({ send(t, "a", id "7"), send(t, "b", id "7"), send(t, "b", id "8"), send(t, "b") }, { "pass", "drop", "pass", "pass" })
  end,

  ["knows them by a field of their JSON, numbers and texts apart"] = function(t)
    with(t, { by = "field", field = "order.id" })
    local function field(json) return send(t, '{"order":{"id":' .. json .. "},\"at\":" .. math.random(1000000000) .. "}") end
    for _, value in ipairs { "1", '"1"', "true", '"true"', "1.5", "12345678901234567890123", '"12345678901234567890123"', '""', "false" } do
      t:eq({ field(value), field(value) }, { "pass", "drop" }, value)
    end
    t:eq({ field("1.0"), field("1e0") }, { "drop", "drop" }, "the same number as 1")
    for _, value in ipairs { "null", "{}", "[1]" } do t:eq({ field(value), field(value) }, { "pass", "pass" }, value) end
  end,

  ["finds a member of a list by its number"] = function(t)
    with(t, { by = "field", field = "items.2.sku" })
    t:eq({ send(t, '{"items":[{},{"sku":"a"}]}'), send(t, '{"items":[1,{"sku":"a"},3]}') }, { "pass", "drop" })
    t:eq({ send(t, '{"items":{"2":{"sku":false}}}'), send(t, '{"items":[1,{"sku":false}],"n":2}') }, { "pass", "drop" })
    with(t, { by = "field", field = "flags.1" })
    t:eq({ send(t, '{"flags":[false]}'), send(t, '{"flags":[false],"n":2}') }, { "pass", "drop" })
  end,

  ["refuses what has nothing to be known by where told to"] = function(t)
    with(t, { by = "field", missing = "reject" })
    local odd = {
      "text", "5", "null", "[]", "{}", '{"id":null}', '{"id":{}}', '{"id":"\xff"}', '{"id":1', '"id"', "\xff\xfe", ("["):rep(5000),
      ('{"id":'):rep(70) .. "1" .. ("}"):rep(70), ("x"):rep(60000),
    }
    for _, payload in ipairs(odd) do
      local out = t:message { topic = "orders/1", payload = payload }
      t:eq({ out.error, out.verdict, out.why }, { nil, "reject", "it has no field to know it by" }, payload:sub(1, 20))
    end
    with(t, { by = "key", missing = "reject" })
    t:eq(send(t, "a"), "reject")
  end,

  ["compares messages of one topic, of one sender, or all"] = function(t)
    local other, eve = { topic = "orders/2" }, { sender = { uid = "eve" } }
    with(t)
    t:eq({ send(t, "a"), send(t, "a", other), send(t, "a", eve) }, { "pass", "pass", "drop" })
    with(t, { among = "sender" })
    t:eq({ send(t, "b"), send(t, "b", other), send(t, "b", eve) }, { "pass", "drop", "pass" })
    local nameless = { sender = { uid = "", device = "d1" } }
    t:eq({ send(t, "b", nameless), send(t, "b", nameless) }, { "pass", "drop" }, "without a uid by its connection")
    with(t, { among = "stream" })
    t:eq({ send(t, "c"), send(t, "c", other), send(t, "c", eve) }, { "pass", "drop", "drop" })
  end,

  ["takes the first stream that has the topic"] = function(t)
    t:ok(t:settings { streams = { { topic = "orders/+", by = "key" }, { topic = "#", action = "reject" } } })
    t:eq({ send(t, "a"), send(t, "a") }, { "pass", "pass" })
    t:eq({ send(t, "a", { topic = "x" }), send(t, "a", { topic = "x" }) }, { "pass", "reject" })
    t:ok(t:settings { streams = { { topic = "orders/+" } } })
    t:eq(send(t, "a", { topic = "x" }), "unmatched")
  end,

  ["passes what other rules send on: it has been looked at"] = function(t)
    with(t, { among = "stream" })
    t:eq({ send(t, "a"), send(t, "a", { topic = "eu/orders", hops = 1 }) }, { "pass", "pass" })
  end,

  ["forgets what nobody got, so that it may be sent again"] = function(t)
    with(t, { by = "key" })
    local message = { topic = "orders/1", payload = "a", key = "1", sender = { uid = "ada" } }
    t:eq(send(t, "a", message), "pass")
    message.why = "queue full"
    t:undelivered(message)
    message.why = nil
    t:eq(send(t, "a", message), "drop", "some got it")
    message.why = "no subscriber"
    t:undelivered(message)
    t:undelivered(message)
    message.why = nil
    t:eq(send(t, "a", message), "pass")
  end,

  ["forgets what nobody got also where rules below have made another message of it"] = function(t)
    for _, by in ipairs { "payload", "key", "property", "field" } do
      with(t, { by = by, property = "id" })
      local sent = { id = 7, key = "1", props = { id = "1" } }
      t:eq(send(t, '{"id":1}', sent), "pass")
      t:undelivered { topic = "orders/1", payload = '{"id":2}', key = "2", props = { id = "2" }, id = 8, sender = { uid = "ada" }, why = "no subscriber" }
      t:eq(send(t, '{"id":1}', sent), "drop", "another message")
      t:undelivered { topic = "orders/1", payload = '{"id":2}', key = "2", props = { id = "2" }, id = 7, sender = { uid = "ada" }, why = "no subscriber" }
      t:eq(send(t, '{"id":1}', sent), "pass", by)
    end
  end,

  ["remembers a bounded number, and lets more pass, or refuses them"] = function(t)
    for _, store in ipairs { "worker", "loop" } do
      for _, full in ipairs { "pass", "reject" } do
        with(t, { window = "10s", by = "key" }, { most = 100, full = full, store = store })
        t:advance(100)
        for i = 1, 100 do t:eq(send(t, "a", { key = store .. full .. i }), "pass") end
        t:eq(send(t, "a", { key = "new" }), full)
        t:eq(send(t, "a", { key = store .. full .. "1" }), "drop", "those are not forgotten")
        t:advance(21)
        t:eq({ send(t, "a", { key = "new" }), send(t, "a", { key = "new" }) }, { "pass", "drop" })
      end
    end
  end,

  ["bounds what a loop remembers, whatever is asked for"] = function(t)
    with(t, { by = "key" }, { store = "loop", most = 90000, full = "reject" })
    local passed = 0
    for i = 1, 9500 do passed = passed + (send(t, "a", { key = tostring(i) }) == "pass" and 1 or 0) end
    t:eq(passed, 9000)
  end,

  ["says what is wrong with its settings"] = function(t)
    for _, case in ipairs {
      { {}, "streams is missing" },
      { { streams = {} }, "streams" },
      { { streams = { { by = "hash" } } }, 'by is "hash"; one of payload, key, property, field' },
      { { streams = { { window = "0s" } } }, "window" },
      { { streams = { { field = "a..b", by = "field" } } }, "a dotted path" },
      { { streams = { {} }, most = 0 }, "most is 0" },
      { { streams = { { topic = "a" }, { topic = "b" } }, most = 1 }, "settings.dedupe.most: is less than one for each of the 2 streams" },
      { { streams = { { action = "pass" } } }, 'action is "pass"' },
    } do
      local ok, why = t:settings(case[1])
      t:ok(not ok and why:find(case[2], 1, true), why)
    end
  end,
}
