local waiting = require "waiting"

local function with(t, letter, more)
  letter.to = letter.to or "dead"
  local settings = { letters = { letter } }
  for name, value in pairs(more or {}) do settings[name] = value end
  t:ok(t:settings(settings))
end

local function lost(t, why, more)
  local message = { topic = "orders/1", payload = "x", why = why or "no subscriber", sender = { uid = "ada" }, props = {} }
  for name, value in pairs(more or {}) do message[name] = value end
  t:eq(t:undelivered(message).error, nil)
end

-- What the rule sends in some seconds.
local function sent(t, seconds) return t:advance(seconds or 1).messages end

local function prop(message, name)
  local found
  for _, pair in ipairs(message.props) do if pair.name == "dead-letter-" .. name then found = pair.value end end
  return found
end

-- A message that comes back undelivered, as it was sent.
local function again(t, message, why)
  lost(t, why, { topic = message.topic, payload = message.payload, props = message.props, sender = { uid = "" } })
end

return {
  ["sends what nobody got to a topic of its own, with what became of it"] = function(t)
    with(t, {})
    lost(t, "no subscriber", { key = "k", qos = 2, props = { region = "eu" }, content_type = "text/csv" })
    local out = sent(t)
    t:eq(#out, 1)
    local letter = out[1]
    t:eq({ letter.topic, letter.payload, letter.key, letter.qos, letter.content_type, letter.retain }, { "dead", "x", "k", 2, "text/csv", false })
    t:eq(letter.props[1], { name = "region", value = "eu" })
    t:eq({ prop(letter, "reason"), prop(letter, "topic"), prop(letter, "sender"), prop(letter, "attempts") }, { "no subscriber", "orders/1", "ada", "0" })
    t:ok(prop(letter, "at"):find("^%d+%-%d+%-%d+T"))
    t:eq(#sent(t), 0, "once")
  end,

  ["says nothing of bytes of which nothing was said"] = function(t)
    for _, retries in ipairs { 0, 1 } do
      with(t, { retries = retries, wait = "1s" })
      lost(t, "no subscriber", { payload = "\xff\xfe", format = "none" })
      local out = sent(t, 2)[1]
      t:eq({ out.payload, out.content_type, out.payload_format }, { "\xff\xfe" })
    end
  end,

  ["takes every reason that there is for a topic's message"] = function(t)
    for _, reason in ipairs { "no subscriber", "too many hops", "queue full", "gone", "session ended", "expired" } do
      with(t, { reasons = { reason } })
      lost(t, reason)
      lost(t, reason == "gone" and "expired" or "gone")
      local out = sent(t)
      t:eq({ #out, out[1] and prop(out[1], "reason") }, { 1, reason })
    end
  end,

  ["never in a loop: a dead letter that nobody gets is none again"] = function(t)
    with(t, { topic = "#", retries = 3 })
    lost(t, "queue full")
    local out = sent(t)
    for _ = 1, 3 do
      again(t, out[1])
      t:eq(#sent(t, 60), 0)
    end
    t:ok(t:settings { letters = { { topic = "a/#", to = "dead/a" }, { topic = "dead/#", to = "dead/all" } } })
    lost(t, "no subscriber", { topic = "dead/a" })
    lost(t, "no subscriber", { topic = "dead/all" })
    t:eq(#sent(t), 0)
  end,

  ["tries again what had no subscriber, ever later, and parks it then"] = function(t)
    with(t, { retries = 2, wait = "10s" })
    lost(t)
    t:eq(#sent(t, 9), 0)
    local out = sent(t, 2)
    t:eq({ #out, out[1].topic, out[1].payload, prop(out[1], "attempts"), prop(out[1], "sender") }, { 1, "orders/1", "x", "1", "ada" })
    again(t, out[1])
    t:eq(#sent(t, 19), 0, "twice as long")
    out = sent(t, 2)
    t:eq({ #out, prop(out[1], "attempts") }, { 1, "2" })
    again(t, out[1])
    out = sent(t)
    t:eq({ #out, out[1].topic, prop(out[1], "attempts"), prop(out[1], "sender") }, { 1, "dead", "2", "ada" })
  end,

  ["does not try again what others got"] = function(t)
    with(t, { retries = 5 })
    for _, why in ipairs { "queue full", "gone" } do
      lost(t, why, { payload = why })
      t:eq(sent(t)[1].topic, "dead")
    end
  end,

  ["takes the count of attempts for what it is: a client's word"] = function(t)
    with(t, { retries = 2 })
    for _, text in ipairs { "-5", "99999999999999999999", "x", "", "1.5", "nan", ("9"):rep(1000), "\0" } do
      lost(t, "no subscriber", { payload = text ~= "" and text or "e", props = { { name = "dead-letter-attempts", value = text } } })
    end
    local out = sent(t, 300)
    t:ok(#out > 0 and #out <= 8)
  end,

  ["makes one letter of a message that several did not get"] = function(t)
    with(t, {})
    for _ = 1, 50 do lost(t, "queue full", { id = 7 }) end
    lost(t, "queue full", { id = 8 })
    lost(t, "queue full", { id = 7, payload = "y" })
    t:eq(#sent(t), 3)
    for _ = 1, 3 do lost(t, "no subscriber", { id = 7 }) end
    t:eq(#sent(t), 3, "those are messages of their own")
  end,

  ["takes the reasons and topics that it is told to, each to its place"] = function(t)
    t:ok(t:settings { letters = { { topic = "orders/+", to = "dead/orders", reasons = { "queue full" } }, { topic = "+/1", to = "dead/rest" } } })
    lost(t, "queue full")
    lost(t, "no subscriber")
    lost(t, "no subscriber", { topic = "x/1" })
    local out = sent(t)
    t:eq(#out, 2)
    t:eq({ out[1].topic, out[2].topic }, { "dead/orders", "dead/rest" })
  end,

  ["leaves retained messages alone: they wait for who comes"] = function(t)
    with(t, { retries = 2 })
    lost(t, "no subscriber", { retain = true })
    t:eq(#sent(t, 60), 0)
    lost(t, "queue full", { retain = true })
    t:eq(sent(t)[1].retain, false)
  end,

  ["sends what is no JSON, or lacks a field, there at once"] = function(t)
    with(t, { topic = "orders/+", json = true, needs = { "order.id", "lines.1" } })
    local function reason(payload)
      local out = t:message { topic = "orders/1", payload = payload, retain = true, sender = { uid = "ada" } }
      t:eq(out.error, nil)
      if out.verdict == "pass" then return "pass" end
      t:eq({ out.verdict, out.topic, out.payload, out.retain }, { "route", "dead", payload, false })
      return prop(out, "reason")
    end
    t:eq(reason('{"order":{"id":1},"lines":[{}]}'), "pass")
    t:eq(reason('{"order":{"id":false},"lines":[0]}'), "pass")
    local odd = { "text", "\xff\xfe", '{"order":', ("["):rep(5000), ("x"):rep(60000), '"\xff"', ("["):rep(70) .. ("]"):rep(70) }
    for _, payload in ipairs(odd) do t:eq(reason(payload), "no JSON", payload:sub(1, 9)) end
    for _, payload in ipairs { "null", "5", "[]", "{}", '{"order":null}', '{"order":{"id":null}}', '{"order":[1]}' } do
      t:eq(reason(payload), "without order.id", payload)
    end
    t:eq(reason('{"order":{"id":1},"lines":[]}'), "without lines.1")
    t:eq(t:message({ topic = "dead", payload = "text" }).verdict, "unmatched")
    with(t, { topic = "orders/+", needs = { "years.2026" } })
    t:eq({ reason('{"years":{"2026":5}}'), reason('{"years":{}}') }, { "pass", "without years.2026" })
  end,

  ["puts it into an envelope for clients without properties"] = function(t)
    with(t, { envelope = true })
    lost(t, "no subscriber", { key = "k", payload = "text", props = { a = "b" } })
    lost(t, "gone", { payload = "\xff\0" })
    local out = sent(t)
    local first, second = json.decode(out[1].payload), json.decode(out[2].payload)
    t:eq({ out[1].topic, out[1].key, out[1].content_type }, { "dead", "k", "application/json" })
    t:eq({ first.reason, first.topic, first.key, first.payload, first.attempts, first.sender }, { "no subscriber", "orders/1", "k", "text", 0, "ada" })
    t:eq(second.sender, nil, "nobody knows whose message it is that was under way")
    t:eq(first.props[1], { name = "a", value = "b" })
    t:eq(base64.decode(second.payload_base64), "\xff\0")
    lost(t, "gone", { key = "k\xff" })
    local odd = json.decode(sent(t)[1].payload)
    t:eq({ odd.key, base64.decode(odd.key_base64) }, { nil, "k\xff" })
    with(t, { topic = "orders/+", json = true, envelope = true })
    out = t:message { topic = "orders/1", key = "\xff", payload = "text" }
    t:eq({ out.error, out.verdict, out.topic }, { nil, "route", "dead" }, "a key that is no text lets nothing through")
  end,

  ["refuses what is too large to be looked at"] = function(t)
    with(t, { topic = "orders/+", json = true })
    local out = t:message { topic = "orders/1", payload = "[" .. ("{},"):rep(60000) .. "1]" }
    t:ok(out.error)
    t:eq(out.verdict, "reject")
  end,

  ["puts an empty payload into an envelope, and does not try it again"] = function(t)
    with(t, { retries = 3 })
    lost(t, "no subscriber", { payload = "" })
    local out = sent(t)
    t:eq({ out[1].topic, json.decode(out[1].payload).payload }, { "dead", "" })
  end,

  ["does not make a message's life longer by trying again"] = function(t)
    with(t, { retries = 5, wait = "3s" })
    lost(t, "no subscriber", { expiry = 10 })
    local out = sent(t, 4)
    t:eq({ out[1].topic, out[1].expiry }, { "orders/1", 6 })
    lost(t, "no subscriber", { expiry = 1 })
    out = sent(t)
    t:eq({ out[1].topic, out[1].expiry, prop(out[1], "reason") }, { "dead", nil, "no subscriber" })
    lost(t, "no subscriber", { expiry = 3 })
    t:eq(sent(t)[1].topic, "dead", "it would have expired by then")
  end,

  ["makes letters of messages with as many properties as there may be, and of any topic and sender"] = function(t)
    with(t, { topic = "orders/+", json = true })
    local many = {}
    for i = 1, 1022 do many[i] = { name = "a" .. i, value = "b" } end
    local odd = { "a\nb", "\1", "\x7f", "\u{85}", "\u{FFFE}", "\u{1FFFF}", "\u{FDD0}" }
    for _, text in ipairs(odd) do
      local plain = text:gsub("[^\x20-\x7e]", "?")
      local message = { topic = "orders/" .. text, payload = "x", props = many, sender = { uid = text } }
      lost(t, "no subscriber", message)
      local out = sent(t)
      t:eq({ #out, #out[1].props, prop(out[1], "topic"), prop(out[1], "sender") }, { 1, 1024, "orders/" .. plain, plain }, text)
      out = t:message(message)
      t:eq({ out.error, out.topic, prop(out, "topic") }, { nil, "dead", "orders/" .. plain }, text)
    end
    with(t, { topic = "orders/+", retries = 1 })
    lost(t, "no subscriber", { topic = "orders/a\nb", props = many })
    local out = sent(t, 9)
    t:eq({ #out, out[1].topic }, { 1, "orders/a\nb" })
    lost(t, "gone", { topic = "orders/é" })
    t:eq(prop(sent(t)[1], "topic"), "orders/é")
  end,

  ["writes names that no property can have so that it can"] = function(t)
    with(t, { json = true })
    lost(t, "gone", { sender = { uid = "a\0b" } })
    local out = sent(t)
    t:eq({ prop(out[1], "topic"), prop(out[1], "attempts") }, { "orders/1", "0" })
    out = t:message { topic = "orders/1", payload = "text", sender = { uid = "a\0b" } }
    t:eq({ out.error, out.verdict, prop(out, "sender") }, { nil, "route", "a?b" })
  end,

  ["keeps so many, and counts what there was no room for"] = function(t)
    with(t, {}, { most = 100 })
    for i = 1, 150 do lost(t, "no subscriber", { payload = tostring(i) }) end
    local out = sent(t)
    t:eq({ #out, out[1].payload, out[100].payload }, { 100, "1", "100" })
    lost(t)
    t:eq(#sent(t), 1, "there is room again")
    with(t, {}, { bytes = "8KiB" })
    for _ = 1, 10 do lost(t, "no subscriber", { payload = ("x"):rep(1500) }) end
    t:eq(#sent(t), 4)
  end,

  ["keeps what a call could not send, and tries fewer: one that does not go alone is given up"] = function(t)
    waiting.load { most = 1000, bytes = 1000000 }
    for i = 1, 200 do waiting.add({ topic = "t", payload = tostring(i) }, 0) end
    local sent, given_up, sizes = {}, 0, {}
    for _ = 1, 30 do
      local found, is_given_up = waiting.due(0)
      given_up, sizes[#sizes + 1] = given_up + (is_given_up and 1 or 0), #found
      local odd = false
      for _, each in ipairs(found) do odd = odd or each.fields.payload == "70" end
      if not odd then
        for _, each in ipairs(found) do sent[#sent + 1] = tonumber(each.fields.payload) end
        waiting.went()
      end
    end
    t:eq({ #sent, sent[1], sent[70], sent[199], given_up }, { 199, 1, 71, 200, 1 })
    t:eq({ sizes[1], sizes[2], sizes[3], sizes[30] }, { 90, 45, 90, 0 })
  end,

  ["takes any payload"] = function(t)
    with(t, { retries = 1, wait = "1s" })
    local odd = { "\xff\xfe", "\0", "null", ("x"):rep(200000), '{"a":', ("["):rep(5000) }
    for _, payload in ipairs(odd) do lost(t, "no subscriber", { payload = payload }) end
    local out = sent(t, 5)
    for i, payload in ipairs(odd) do t:eq(out[i].payload == payload, true) end
  end,

  ["says what is wrong with its settings"] = function(t)
    for _, case in ipairs {
      { {}, "letters is missing" }, { { letters = { {} } }, "to is missing" }, { { letters = { { to = "dead/#" } } }, 'to is "dead/#"' },
      { { letters = { { to = "d", reasons = { "late" } } } }, 'is "late"' }, { { letters = { { to = "d", retries = 21 } } }, "retries is 21" },
      { { letters = { { to = "d", wait = "0s" } } }, "wait" }, { { letters = { { to = "d" } }, most = 0 }, "most is 0" },
    } do
      local ok, why = t:settings(case[1])
      t:ok(not ok and why:find(case[2], 1, true), tostring(why))
    end
  end,
}
