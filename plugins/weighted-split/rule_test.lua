local function with(t, split, to)
  split.to, split.topic = to or { { topic = "a", weight = 70 }, { topic = "b", weight = 20 }, { topic = "c", weight = 10 } }, split.topic or "in/+"
  t:ok(t:settings { splits = { split } })
end

local function where(t, more)
  local message = { topic = "in/1", payload = "x", sender = { uid = "ada" } }
  for name, value in pairs(more or {}) do message[name] = value end
  local out = t:message(message)
  t:eq(out.error, nil)
  return out.verdict == "route" and out.topic or out.verdict
end

-- Where the messages of marks 1 to n go, and how many go to each destination.
local function spread(t, n)
  local places, counts = {}, {}
  for i = 1, n do
    local place = where(t, { key = "k" .. i })
    places[i], counts[place] = place, (counts[place] or 0) + 1
  end
  return places, counts
end

local function near(t, count, expected, what)
  t:ok(count and math.abs(count - expected) < 4 * math.sqrt(expected) + 1, ("%s: %s for %s"):format(what, count, expected))
end

return {
  ["divides by weights at random"] = function(t)
    with(t, {})
    local _, counts = spread(t, 4000)
    near(t, counts.a, 2800, "a")
    near(t, counts.b, 800, "b")
    near(t, counts.c, 400, "c")
  end,

  ["divides by weights, whatever their sum is"] = function(t)
    with(t, { by = "key" }, { { topic = "a", weight = 0.3 }, { topic = "b", weight = 0.1 } })
    local _, counts = spread(t, 4000)
    near(t, counts.a, 3000, "a")
    near(t, counts.b, 1000, "b")
  end,

  ["keeps together what has the same mark"] = function(t)
    local marks = {
      key = function(i) return { key = "k" .. i } end,
      uid = function(i) return { sender = { uid = "u" .. i } } end,
      topic = function(i) return { topic = "in/" .. i } end,
      field = function(i) return { payload = { id = i, at = math.random(1000000) } } end,
    }
    for by, message in pairs(marks) do
      with(t, { by = by })
      local used = {}
      for i = 1, 50 do
        local place = where(t, message(i))
        used[place] = true
        for _ = 1, 3 do t:eq(where(t, message(i)), place, by) end
      end
      t:eq(used, { a = true, b = true, c = true }, by)
    end
  end,

  ["moves few when a weight changes: only to the one that wins, or from the one that loses"] = function(t)
    with(t, { by = "key" })
    local before = spread(t, 3000)
    with(t, { by = "key" }, { { topic = "c", weight = 10 }, { topic = "a", weight = 70 }, { topic = "b", weight = 40 } })
    local after, moved = spread(t, 3000), 0
    for i, place in ipairs(before) do
      if after[i] ~= place then
        t:eq(after[i], "b", "nothing moves between others")
        moved = moved + 1
      end
    end
    near(t, moved, 3000 * (40 / 120 - 20 / 100), "moved")
    with(t, { by = "key" }, { { topic = "a", weight = 70 }, { topic = "b", weight = 20 }, { topic = "c", weight = 0 } })
    after = spread(t, 3000)
    for i, place in ipairs(before) do t:ok(place == "c" and after[i] ~= "c" or after[i] == place, "only those of c move") end
  end,

  ["sends nothing where the weight is 0"] = function(t)
    for _, by in ipairs { "random", "key" } do
      with(t, { by = by }, { { topic = "a", weight = 0 }, { topic = "b", weight = 1 }, { topic = "c", weight = 0 } })
      local _, counts = spread(t, 300)
      t:eq(counts, { b = 300 })
    end
  end,

  ["fills destinations in from the topic"] = function(t)
    with(t, { topic = "in/#" }, { { topic = "blue/{topic}", weight = 0 }, { topic = "green/{2}/{1}", weight = 1 } })
    t:eq(where(t, { topic = "in/7" }), "green/7/in")
    t:eq(where(t, { topic = "in/7/8" }), "green/7/in")
    t:eq(where(t, { topic = "in" }), "pass", "no second level")
    with(t, { topic = "in/#" }, { { topic = "blue/{topic}", weight = 1 } })
    t:eq(where(t, { topic = "in/7/8" }), "blue/in/7/8")
    t:eq(where(t, { topic = "in/%1/{2}" }), "blue/in/%1/{2}", "a sender's braces mean nothing")
  end,

  ["leaves the others where they are: one destination may be the topic itself"] = function(t)
    with(t, { by = "key", topic = "orders" }, { { topic = "orders", weight = 95 }, { topic = "orders-new", weight = 5 } })
    local counts = {}
    for i = 1, 2000 do
      local place = where(t, { topic = "orders", key = "k" .. i })
      counts[place] = (counts[place] or 0) + 1
    end
    near(t, counts["orders-new"], 100, "new")
    near(t, counts.pass, 1900, "passed")
  end,

  ["takes what has no mark at random, or lets it pass"] = function(t)
    local odd = {
      "text", "5", "null", "[]", '{"id":null}', '{"id":{}}', '{"id":"\xff"}', '{"id":1', "\xff\xfe", ("["):rep(5000),
      ('{"id":'):rep(70) .. "1" .. ("}"):rep(70), ("x"):rep(60000), '{"ID":1}',
    }
    for rest, expected in pairs { pass = { pass = true }, random = { a = true, b = true } } do
      with(t, { by = "field", rest = rest }, { { topic = "a", weight = 1 }, { topic = "b", weight = 1 } })
      local seen = {}
      for _, payload in ipairs(odd) do
        for _ = 1, 4 do seen[where(t, { payload = payload })] = true end
      end
      t:eq(seen, expected, rest)
    end
    with(t, { by = "key", rest = "pass" })
    t:eq(where(t), "pass")
    with(t, { by = "uid", rest = "pass" })
    t:eq(where(t, { sender = { uid = "" } }), "pass")
  end,

  ["takes 1 and 1.0 for one, and any field as a mark"] = function(t)
    with(t, { by = "field", field = "order.id", rest = "pass" })
    for _, pair in ipairs { { "1", "1.0" }, { '"ü"', '"\\u00fc"' }, { "12345678901234567890123", "12345678901234567890123" }, { "true", "true" }, { '""', '""' } } do
      local place = where(t, { payload = '{"order":{"id":' .. pair[1] .. "}}" })
      t:ok(place ~= "pass")
      t:eq(where(t, { payload = '{"order":{"id":' .. pair[2] .. '},"n":1}' }), place)
    end
    with(t, { by = "field", field = "items.2.id", rest = "pass" })
    local place = where(t, { payload = '{"items":[1,{"id":7}]}' })
    t:ok(place ~= "pass")
    t:eq(where(t, { payload = '{"items":{"2":{"id":7}}}' }), place)
    with(t, { by = "field", field = "order.id", rest = "pass" })
    local huge = ("k"):rep(60000)
    with(t, { by = "key" })
    t:eq(where(t, { key = huge }), where(t, { key = huge }))
  end,

  ["keeps a message's own properties, and takes the first split"] = function(t)
    t:ok(t:settings { splits = {
      { topic = "in/1", to = { { topic = "first", weight = 1 } } }, { topic = "in/+", to = { { topic = "second", weight = 1 } } },
    } })
    local out = t:message { topic = "in/1", payload = "x", key = "k", qos = 2, retain = true, props = { a = "b" } }
    t:eq({ out.topic, out.payload, out.key, out.qos, out.retain }, { "first", "x", "k", 2, true })
    t:eq(where(t, { topic = "in/2" }), "second")
    t:eq(where(t, { topic = "out" }), "unmatched")
  end,

  ["says what is wrong with its settings"] = function(t)
    local function split(to) return { splits = { { topic = "a", to = to } } } end
    for _, case in ipairs {
      { {}, "splits is missing" }, { split {}, "to" }, { split { { topic = "x", weight = 0 } }, "splits[0].to: the weights are 0" },
      { split { { topic = "x", weight = -1 } }, "weight is -1" }, { split { { topic = "x" } }, "weight is missing" },
      { split { { topic = "x/#", weight = 1 } }, "to[0].topic: 'x/#' is no topic" }, { split { { topic = "{0}", weight = 1 } }, "{0} is no level" },
      { split { { topic = "{name}", weight = 1 } }, "{name} is no level" }, { split { { topic = "a{", weight = 1 } }, "is no topic" },
      { split { { topic = "x", weight = 1 }, { topic = "x", weight = 2 } }, "'x' is there twice" },
      { { splits = { { topic = "a", by = "hash", to = { { topic = "x", weight = 1 } } } } }, 'by is "hash"' },
    } do
      local ok, why = t:settings(case[1])
      t:ok(not ok and why:find(case[2], 1, true), tostring(why))
    end
  end,
}
