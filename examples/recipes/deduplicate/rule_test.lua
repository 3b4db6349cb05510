local function send(t, payload, topic) return t:message { topic = topic or "events/a", payload = payload }.verdict end

return {
  ["the second of two messages with one id is dropped"] = function(t)
    t:eq(send(t, { id = "7", n = 1 }), "pass")
    t:eq(send(t, { id = "7", n = 2 }), "drop")
    t:eq(send(t, { id = "8" }), "pass")
  end,

  ["without an id the payload counts, and topics are apart"] = function(t)
    t:eq(send(t, "open"), "pass")
    t:eq(send(t, "open"), "drop")
    t:eq(send(t, "open", "events/b"), "pass")
  end,

  ["what nobody got may come again"] = function(t)
    send(t, "open")
    t:undelivered { topic = "events/a", payload = "open", why = "queue full" }
    t:eq(send(t, "open"), "drop", "some got it")
    t:undelivered { topic = "events/a", payload = "open", why = "no subscriber" }
    t:eq(send(t, "open"), "pass")
  end,

  ["after a minute it may come again"] = function(t)
    send(t, "open")
    t:advance(61)
    t:eq(send(t, "open"), "pass")
  end,
}
