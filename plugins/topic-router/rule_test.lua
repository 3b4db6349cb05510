local function router(t, routes, apply) t:ok(t:settings { routes = routes, apply = apply }) end

-- What a client may send in place of a value, as JSON.
local HOSTILE = {
  "null", "true", "-0", "0.1", "1e999", "-1e999", "1e-400", "9223372036854775808", ("9"):rep(4000), '""', '"\\u0000"', '"\\ud800"',
  '"\xff\xfe"', '"%s%1{x}+#/"', '"' .. ("x"):rep(60000) .. '"', "[]", "{}", "[null]", '[[["a"],{"a":null}],1]', '{"":{"":[]}}',
  '{"a":1,"a":{}}', ("["):rep(50) .. ("]"):rep(50), ("["):rep(5000), ('{"a":'):rep(40) .. "1" .. ("}"):rep(40),
  "[" .. ("null,"):rep(5000) .. "0]", "nan", "'x'", "1 2", "",
}

return {
  ["sends a topic to another one"] = function(t)
    router(t, { { topic = "orders/+", to = "eu/orders" } })
    local out = t:message { topic = "orders/1", payload = "{}" }
    t:eq(out.verdict, "route")
    t:eq(out.topic, "eu/orders")
    t:eq(out.payload, "{}")
  end,

  ["tells the worker where a decision holds for the topic"] = function(t)
    router(t, { { topic = "orders/+", to = "eu/orders" }, { topic = "orders/7/#", when = { x = 1 }, to = "seven" } })
    t:eq(t:message { topic = "orders/1" }.always, true)
    t:eq(t:message { topic = "orders/7/1", payload = { x = 1 } }.always, nil)
    t:eq(t:message { topic = "orders/7/1", payload = { x = 2 } }.always, nil)
  end,

  ["looks no further than the route that decides"] = function(t)
    local routes = { { topic = "a/+", to = "one" }, { topic = "#", when = { x = 1 }, to = "two" } }
    router(t, routes)
    t:eq(t:message { topic = "a/b", payload = { x = 1 } }.always, true)
    router(t, routes, "all")
    t:eq(#t:message { topic = "a/b", payload = { x = 1 } }.messages, 2)
    t:eq(t:message { topic = "a/b", payload = { x = 1 } }.always, nil)
  end,

  ["is not asked for other topics"] = function(t)
    router(t, { { topic = "orders/+", to = "x" } })
    t:eq(t:message { topic = "payments/1" }.verdict, "unmatched")
  end,

  ["fills templates from the topic's levels"] = function(t)
    router(t, { { topic = "+/orders/#", to = "all/{1}/{3}" } })
    t:eq(t:message { topic = "eu/orders/17" }.topic, "all/eu/17")
    t:eq(t:message { topic = "us/orders/18" }.topic, "all/us/18")
    t:eq(t:message { topic = "eu/orders/17" }.topic, "all/eu/17", "again")
    t:eq(t:message { topic = "eu/orders" }.verdict, "pass", "the level is missing")
  end,

  ["fills templates from the payload, nested too"] = function(t)
    router(t, { { topic = "orders", to = "{customer.region}/orders/{id}" } })
    t:eq(t:message { topic = "orders", payload = { id = 7, customer = { region = "eu" } } }.topic, "eu/orders/7")
    router(t, { { topic = "orders", to = "{items.2.id}" } })
    for _, payload in ipairs { '{"items":[1,{"id":"x"}]}', '{"items":{"2":{"id":"x"}}}' } do
      t:eq(t:message({ topic = "orders", payload = payload }).topic, "x", payload)
    end
  end,

  ["passes a message on where a field is missing, no level, or no JSON"] = function(t)
    router(t, { { topic = "orders", to = "{region}/orders" } })
    for _, payload in ipairs { '{"id":1}', '{"region":"a/b"}', '{"region":"#"}', '{"region":""}', '{"region":{}}', "text", "[1]" } do
      t:eq(t:message { topic = "orders", payload = payload }.verdict, "pass", payload)
    end
  end,

  ["does not apply where a field is too long for a topic"] = function(t)
    router(t, { { topic = "orders", to = "d/{id}" }, { topic = "#", to = "rest" } })
    for _, length in ipairs { 1022, 1023, 66000 } do
      t:eq(t:message { topic = "orders", payload = { id = ("x"):rep(length) } }.topic, length == 1022 and "d/" .. ("x"):rep(1022) or "rest")
    end
    t:eq(t:message { topic = "orders", payload = { id = { ("x"):rep(60000) } } }.topic, "rest")
  end,

  ["takes whole numbers, however they are written"] = function(t)
    router(t, { { topic = "orders", to = "d/{id}" } })
    for text, level in pairs { ["7.0"] = "7", ["1e3"] = "1000", ["9223372036854775808"] = "9223372036854775808", ["-5"] = "-5" } do
      t:eq(t:message { topic = "orders", payload = '{"id":' .. text .. "}" }.topic, "d/" .. level)
    end
    for _, text in ipairs { "7.5", "null", "true" } do t:eq(t:message { topic = "orders", payload = '{"id":' .. text .. "}" }.verdict, "pass", text) end
  end,

  ["takes any letter of a level, and no wildcard, slash or zero byte"] = function(t)
    router(t, { { topic = "orders", to = "{region}/orders" }, { topic = "+/alarms", to = "audit/{1}" } })
    t:eq(t:message { topic = "orders", payload = { region = "nz%" } }.topic, "nz%/orders")
    t:eq(t:message { topic = "zone/alarms", payload = "x" }.topic, "audit/zone")
    for _, region in ipairs { "a/b", "a+", "#", "a\0b" } do
      t:eq(t:message { topic = "orders", payload = { region = region } }.verdict, "pass", region)
    end
  end,

  ["tells numbers, texts and truth values apart in conditions"] = function(t)
    router(t, { { topic = "a", when = { n = { 5, false } }, to = "b" } })
    t:eq(t:message { topic = "a", payload = '{"n":5}' }.topic, "b")
    t:eq(t:message { topic = "a", payload = '{"n":5.0}' }.topic, "b")
    t:eq(t:message { topic = "a", payload = '{"n":false}' }.topic, "b")
    t:eq(t:message { topic = "a", payload = '{"n":"5"}' }.verdict, "pass")
    t:eq(t:message { topic = "a", payload = '{"n":null}' }.verdict, "pass")
  end,

  ["takes only what its conditions hold for"] = function(t)
    router(t, { { topic = "orders", when = { region = { "eu", "uk" }, ["customer.gold"] = true }, to = "gold" } })
    t:eq(t:message { topic = "orders", payload = { region = "uk", customer = { gold = true } } }.topic, "gold")
    t:eq(t:message { topic = "orders", payload = { region = "us", customer = { gold = true } } }.verdict, "pass")
    t:eq(t:message { topic = "orders", payload = { region = "eu" } }.verdict, "pass")
  end,

  ["takes the first route that applies"] = function(t)
    router(t, { { topic = "a/#", when = { x = 1 }, to = "one" }, { topic = "a/b", to = "two" }, { topic = "#", to = "three" } })
    t:eq(t:message { topic = "a/b", payload = { x = 1 } }.topic, "one")
    t:eq(t:message { topic = "a/b", payload = { x = 2 } }.topic, "two")
    t:eq(t:message { topic = "a/c", payload = { x = 2 } }.topic, "three")
  end,

  ["takes all routes that apply, if told to"] = function(t)
    router(t, { { topic = "a/#", to = { "one", "two" } }, { topic = "a/b", to = "three/{2}" } }, "all")
    local out = t:message { topic = "a/b", payload = "x" }
    t:eq(out.verdict, "fanout")
    local topics = {}
    for i, message in ipairs(out.messages) do topics[i] = message.topic end
    t:eq(topics, { "one", "two", "three/b" })
  end,

  ["goes on, whatever a client sends in its fields"] = function(t)
    router(t, { { topic = "orders", when = { kind = "x" }, to = "x/{id}" }, { topic = "orders", to = { "d/{id}", "{customer.region}/{id}" } } }, "all")
    for i, value in ipairs(HOSTILE) do
      for _, shape in ipairs { "%s", '{"id":%s,"kind":"x"}', '{"id":"1","kind":%s}', '{"id":1,"customer":%s}', '{"id":1,"customer":{"region":%s}}' } do
        local out = t:message { topic = "orders", payload = shape:gsub("%%s", function() return value end) .. " ", sender = { uid = "u" .. i } }
        t:eq(out.error, nil, shape .. value:sub(1, 40))
        t:ok(#out.messages > 0 or out.verdict == "pass", out.verdict)
      end
    end
    t:eq(t:message { topic = "orders", payload = { id = 7 } }.topic, "d/7", "the others are served")
  end,

  ["says what is wrong with its settings"] = function(t)
    local wrong = {
      { {}, "topic-router.routes is missing" },
      { { routes = { {} } }, "routes[0].topic is missing; a topic filter" },
      { { routes = { { topic = "a/#/b", to = "x" } } }, 'routes[0].topic is "a/#/b"; a topic filter' },
      { { routes = { { topic = "a" } } }, "routes[0].to is missing" },
      { { routes = { { topic = "a", to = "x/{y" } } }, "has a { without a }" },
      { { routes = { { topic = "a", to = "x/{0}" } } }, "names no field and no topic level" },
      { { routes = { { topic = "a", to = "x/#" } } }, "routes[0].to: 'x/#' is no topic" },
      { { routes = { { topic = "a", to = { "x", "+/{1}" } } } }, "'+/{1}' is no topic" },
      { { routes = { { topic = "a", to = "x", If = {} } } }, "unknown key If in" },
      { { routes = { { topic = "a", to = "x", when = {} } } }, "routes[0].when has 0 entries; names with values of at least 1 entry" },
      { { routes = { { topic = "a", to = "x", when = { "eu" } } } }, "routes[0].when is a list; names with values" },
      { { routes = { { topic = "a", to = "x", when = { region = {} } } } }, "routes[0].when.region: must be a value or a list of values" },
      { { routes = { { topic = "a", to = "x" } }, aply = "all" }, "did you mean apply?" },
      { { routes = { { topic = "a", to = "x" } }, apply = "some" }, 'apply is "some"; one of first, all' },
    }
    for _, case in ipairs(wrong) do
      local ok, why = t:settings(case[1])
      t:ok(not ok, "expected: " .. case[2])
      t:ok(why:find(case[2], 1, true), why)
    end
  end,
}
