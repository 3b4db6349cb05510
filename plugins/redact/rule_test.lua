local function redacted(t, settings, payload, topic)
  t:ok(t:settings { redactions = settings })
  local out = t:message { topic = topic or "orders/1", payload = payload }
  return json.decode(out.payload), out
end

return {
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
    t:eq(first.uid, hash.hmac("pepper and salt", "u1"))
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

  ["passes on what is no JSON"] = function(t)
    t:settings { redactions = { { remove = { "a" } } } }
    t:eq(t:message { topic = "x", payload = "plain text" }.verdict, "pass")
    t:eq(t:message { topic = "x", payload = "[1,2]" }.verdict, "pass")
  end,

  ["says what is wrong with its settings"] = function(t)
    local wrong = {
      { {}, "settings.redactions: must be a list" },
      { { redactions = { {} } }, "settings.redactions[1]: names no field" },
      { { redactions = { { remove = "a" } } }, "remove: must be a list of dotted paths" },
      { { redactions = { { remove = { "a..b" } } } }, "remove[1]: 'a..b' has an empty part" },
      { { redactions = { { mask = { 1 } } } }, "mask[1]: must be a dotted path" },
      { { redactions = { { hash = { "a" } } } }, "salt: must be a text of at least 8 characters" },
      { { redactions = { { remove = { "a" }, topic = "#/a" } } }, "topic: must be a topic filter" },
      { { redactions = { { delete = { "a" } } } }, "unknown key 'delete'" },
    }
    for _, case in ipairs(wrong) do
      local ok, why = t:settings(case[1])
      t:ok(not ok, "expected: " .. case[2])
      t:ok(why:find(case[2], 1, true), why)
    end
  end,
}
