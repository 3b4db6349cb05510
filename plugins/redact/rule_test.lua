local function redacted(t, settings, payload, topic)
  t:ok(t:settings { redactions = settings })
  local out = t:message { topic = topic or "orders/1", payload = payload }
  return json.decode(out.payload), out
end

-- What a client may send in place of a value, as JSON.
local HOSTILE = {
  "null", "true", "-0", "0.1", "1e999", "-1e999", "1e-400", "9223372036854775808", ("9"):rep(4000), '""', '"\\u0000"', '"\\ud800"',
  '"\xff\xfe"', '"%s%1{x}+#/"', '"' .. ("x"):rep(60000) .. '"', "[]", "{}", "[null]", '[[["a"],{"a":null}],1]', '{"":{"":[]}}',
  '{"a":1,"a":{}}', ("["):rep(50) .. ("]"):rep(50), ("["):rep(5000), ('{"a":'):rep(40) .. "1" .. ("}"):rep(40),
  "[" .. ("null,"):rep(5000) .. "0]", "nan", "'x'", "1 2", "",
}

return {
  ["refuses a field that is to be masked and hashed"] = function(t)
    local ok, why = t:settings { redactions = { { mask = { "a", "b" }, hash = { "b" }, salt = "a long salt" } } }
    t:ok(not ok)
    t:ok(why:find("'b' is in mask too", 1, true), why)
  end,

  ["hashes all digits of a number"] = function(t)
    t:ok(t:settings { redactions = { { hash = { "n" }, salt = "a long salt" } } })
    local function digest(text) return t:message { topic = "t", payload = '{"n":' .. text .. "}" }.payload end
    t:ok(digest("0.1234567890123456") ~= digest("0.1234567890123457"))
    t:eq(digest("0.1"), digest("0.10"))
  end,

  ["removes fields"] = function(t)
    local order, out = redacted(t, { { remove = { "card", "customer.mail" } } }, { id = 1, card = "4111", customer = { mail = "a@b", name = "Ann" } })
    t:eq(out.verdict, "replace")
    t:eq(order, { id = 1, customer = { name = "Ann" } })
  end,

  ["leaves a message alone that has none of the fields"] = function(t)
    local _, out = redacted(t, { { remove = { "card.number" } } }, '{"b":1, "a":2, "card":"none"}')
    t:eq(out.verdict, "pass")
    t:eq(out.payload, '{"b":1, "a":2, "card":"none"}')
  end,

  ["masks all but the last four characters, and short values whole"] = function(t)
    local order = redacted(t, { { mask = { "card", "pin", "name", "amount" } } },
      { card = "4111111111111111", pin = "1234", name = "Zoë Müller", amount = 12345678 })
    t:eq(order, { card = "************1111", pin = "****", name = "******ller", amount = "****" })
  end,

  ["hashes with the salt: the same value the same way, nothing to look up"] = function(t)
    local first = redacted(t, { { hash = { "uid" }, salt = "pepper and salt" } }, { uid = "u1" })
    local again = redacted(t, { { hash = { "uid" }, salt = "pepper and salt" } }, { uid = "u1" })
    local other = redacted(t, { { hash = { "uid" }, salt = "another salt" } }, { uid = "u1" })
    t:eq(first.uid, "sha256:" .. hash.hmac("pepper and salt", "u1"))
    t:eq(first, again)
    t:ok(first.uid ~= other.uid)
  end,

  ["goes through lists and objects by *"] = function(t)
    local order = redacted(t, { { remove = { "items.*.cost" }, mask = { "cards.*" } } },
      { items = { { sku = "a", cost = 1 }, { sku = "b" }, { sku = "c", cost = 3 } }, cards = { visa = "4111111111111111", other = 5 } })
    t:eq(order.items, { { sku = "a" }, { sku = "b" }, { sku = "c" } })
    t:eq(order.cards, { visa = "************1111", other = "****" })
  end,

  ["takes members out of lists and leaves lists"] = function(t)
    local _, out = redacted(t, { { remove = { "notes.*", "items.1" } } }, { notes = { "x", "y", "z" }, items = { "first", "second" } })
    t:eq(out.payload, '{"items":["second"],"notes":[]}')
  end,

  ["touches only its topics"] = function(t)
    local settings = { { topic = "orders/+", remove = { "a" } }, { topic = "+/1", remove = { "b" } } }
    local both = redacted(t, settings, { a = 1, b = 2, c = 3 }, "orders/1")
    t:eq(both, { c = 3 })
    local one = redacted(t, settings, { a = 1, b = 2, c = 3 }, "orders/2")
    t:eq(one, { b = 2, c = 3 })
    local _, none = redacted(t, settings, { a = 1 }, "other/2")
    t:eq(none.verdict, "unmatched")
  end,

  ["takes a name on the way for every member of a list, a list of documents too"] = function(t)
    local settings = { { remove = { "card.cvc" }, mask = { "*.pin" } } }
    local list = redacted(t, settings, '[{"card":{"cvc":1}},{"card":[{"cvc":2},[{"cvc":3,"n":4}]]},{"a":{"pin":5}},{"pin":6}]')
    t:eq(list, { { card = {} }, { card = { {}, { { n = 4 } } } }, { a = { pin = "****" } }, { pin = "****" } })
    local _, out = redacted(t, { { remove = { "*" } } }, '[{"a":1}]')
    t:eq(out.payload, "[]")
  end,

  ["changes nothing more when a message comes again, sent on to another topic"] = function(t)
    local settings = { { mask = { "card", "pin", "n" }, hash = { "uid", "ids" }, salt = "pepper and salt" } }
    local _, first = redacted(t, settings, { card = "4111111111111111", pin = "12", n = 5, uid = "u1", ids = { 1, 2 } })
    local _, again = redacted(t, settings, first.payload, "eu/orders")
    t:eq(again.payload, first.payload)
    local lookalike = redacted(t, settings, { uid = "sha256:" .. ("g"):rep(64) })
    t:ok(lookalike.uid ~= "sha256:" .. ("g"):rep(64), "no digest")
  end,

  ["leaves null alone, which hides nothing"] = function(t)
    local _, out = redacted(t, { { mask = { "a" }, hash = { "b" }, salt = "pepper and salt" } }, '{"a":null,"b":null}')
    t:eq(out.payload, '{"a":null,"b":null}')
  end,

  ["sees what a member of the same name hides"] = function(t)
    local hidden = {
      '{"card":{"cvc":4111},"card":5}', '{"card":{"cvc":4111},"card":{}}', '{"card":{"cvc":4111,"cvc":4111}}',
      '{"card":{"c\\u0076c":4111},"card":5}', '{"card":{"\\u0063v\\u0063" : 4111},"card":5}', '{"card":{"cvc":4111},"c\\u0061rd":[]}',
      '[{"card":[{"cvc":4111}],"card":null}]',
    }
    for _, payload in ipairs(hidden) do
      local _, out = redacted(t, { { remove = { "card.cvc" } } }, payload)
      t:ok(not out.payload:find("4111", 1, true), payload)
    end
    for _, path in ipairs { "*", "a.*", 'a."', "a/b", "items.1" } do
      local _, out = redacted(t, { { remove = { path } } }, '{"a":[4111],"a":{"\\"":4111},"a":5,"a\\/b":4111,"a/b":5,"items":[4111],"items":5}')
      t:ok(out.verdict == "replace", path)
    end
  end,

  ["leaves texts with \\u in them alone"] = function(t)
    local _, out = redacted(t, { { remove = { "card" } } }, '{"text":"gr\\u00fc\\u00dfe: \\"x\\"", "a":1}')
    t:eq(out.verdict, "pass")
  end,

  ["refuses JSON that can't be read"] = function(t)
    t:ok(t:settings { redactions = { { remove = { "card" } } } })
    local broken = {
      '{"card":1,"a":"\\ud83d"}', '{"card":1,"a":1e999}', '{"card":1,"a":' .. ("1"):rep(600) .. "}", '\xEF\xBB\xBF{"card":1}', '{"card":1,}',
      '{"card":1/**/}', "{'card':1}", '{"card":1,"a":"\t"}', '{"card":1}\n{"card":1}', '{"card":1}\0', "{card:1}",
      '{"card":1,"a":' .. ("["):rep(64) .. ("]"):rep(64) .. "}", ' \n\t{"card":1', '[{"card":1}',
    }
    for _, payload in ipairs(broken) do
      local out = t:message { topic = "x", payload = payload }
      t:eq(out.verdict, "reject", payload)
      t:ok(out.why:find("^its JSON can't be redacted: .* at byte %d+$"), out.why)
    end
    t:eq(t:message { topic = "x", payload = '// note\n{"card":1}', format = "json" }.verdict, "reject", "it says that it is JSON")
  end,

  ["drops it or lets it pass, if told to"] = function(t)
    for _, verdict in ipairs { "drop", "pass" } do
      t:ok(t:settings { redactions = { { remove = { "card" } } }, unreadable = verdict })
      t:eq(t:message { topic = "x", payload = '{"card":1,}' }.verdict, verdict)
    end
  end,

  ["refuses what it fails on, and goes on with the rest"] = function(t)
    t:ok(t:settings { redactions = { { remove = { "card" } } } })
    local large = "[" .. ('{"a":[]},'):rep(100000) .. "1]"
    for _ = 1, 120 do
      local out = t:message { topic = "x", payload = large }
      t:eq(out.verdict, "reject")
      t:eq(out.why, "rule redact failed")
      t:ok(out.error)
    end
    t:eq(t:message { topic = "x", payload = '{"card":1}' }.payload, "{}")
  end,

  ["passes on what is no JSON object"] = function(t)
    t:ok(t:settings { redactions = { { remove = { "a" } } } })
    for _, payload in ipairs { "plain text", "[1,2]", "5", "null", "你好[a]", '"a"' } do
      t:eq(t:message { topic = "x", payload = payload }.verdict, "pass", payload)
    end
  end,

  ["lets no secret out, whatever stands beside it, above it or in its place"] = function(t)
    local secret = "4111-secret-1111"
    t:ok(t:settings { redactions = { { remove = { "card.number", "cards.*.number", "cards.2" }, mask = { "name" }, hash = { "uid" }, salt = "salt of mine" } } })
    for i, value in ipairs(HOSTILE) do
      for _, shape in ipairs {
        '{"card":{"number":"S"},"name":%s,"uid":%s}', '{"cards":[{"number":"S"},%s,{"number":"S","a":%s}]}', '{"a":%s,"card":{"number":"S"}}',
        '{"card":%s,"card":{"number":"S"}}', '{"card":{"number":"S"},"card":%s}', '[%s,{"card":{"number":"S"}}]', '[[{"cards":[{"number":"S"}]}],%s]',
        '{"card":[%s,{"number":"S"}]}', '{"card":{"number":{"deep":["S",%s]}}}', "%s",
      } do
        local payload = shape:gsub("S", secret):gsub("%%s", function() return value end) .. " "
        local out = t:message { topic = "t", payload = payload, format = i % 2 == 0 and "json" or "text", sender = { uid = "u" .. i } }
        local name = shape .. value:sub(1, 40)
        t:ok(out.error == nil or out.verdict == "reject", name)
        if out.verdict ~= "reject" then t:ok(not out.payload:find(secret, 1, true), name) end
      end
    end
    t:eq(json.decode(t:message { topic = "t", payload = { card = { number = secret, a = 1 } } }.payload), { card = { a = 1 } }, "the others are served")
  end,

  ["says what is wrong with its settings"] = function(t)
    local wrong = {
      { {}, "rules.settings.redact.redactions is missing" },
      { { redactions = { {} } }, "redact.redactions[0]: names no field" },
      { { redactions = { { remove = "a" } } }, "redactions[0].remove is a text; a list, each a dotted path" },
      { { redactions = { { remove = { "a..b" } } } }, 'remove[0] is "a..b"; a dotted path' },
      { { redactions = { { remove = { "a.0" } } } }, 'remove[0] is "a.0"; a dotted path' },
      { { redactions = { { mask = { 1 } } } }, "mask[0] is 1; in quotes it is a text; a dotted path" },
      { { redactions = { { hash = { "a" } } } }, "redactions[0].salt: is needed" },
      { { redactions = { { hash = { "a" }, salt = "short" } } }, "redactions[0].salt does not fit; it is secret and not shown" },
      { { redactions = { { remove = { "a" }, topic = "#/a" } } }, 'redactions[0].topic is "#/a"; a topic filter' },
      { { redactions = { { delete = { "a" } } } }, "unknown key delete in rules.settings.redact.redactions[0]; it has hash, mask" },
      { { redactions = { "card" } }, "redactions[0] is a text; a table with hash" },
      { { redactions = { { remove = { "a" } } }, unreadable = "mask" }, 'redact.unreadable is "mask"; did you mean pass? one of reject, drop, pass' },
      { { redactions = { { remove = { "a" } } }, redaction = {} }, "did you mean redactions?" },
    }
    for _, case in ipairs(wrong) do
      local ok, why = t:settings(case[1])
      t:ok(not ok, "expected: " .. case[2])
      t:ok(why:find(case[2], 1, true), why)
    end
  end,
}
