local function say(t, text, uid)
  return t:chat { id = "c", members = { { uid = "ann" }, { uid = "bob" } }, payload = text, sender = { uid = uid or "ann" } }
end

return {
  ["unwanted words are starred out, in any case"] = function(t)
    t:eq(say(t, "Darn, a darn BLAST").payload, "****, a **** *****")
    t:eq(say(t, "fine").verdict, "pass")
  end,

  ["after three of them the member is silent, and others are not"] = function(t)
    for _ = 1, 3 do say(t, "darn") end
    t:eq(say(t, "hello").verdict, "reject")
    t:eq(say(t, "hello", "bob").verdict, "pass")
    t:advance(601)
    t:eq(say(t, "hello").verdict, "pass")
  end,

  ["it is silent for ten minutes from the third one on"] = function(t)
    say(t, "darn")
    t:advance(590)
    for _ = 1, 2 do say(t, "darn") end
    t:advance(590)
    t:eq(say(t, "hello").verdict, "reject")
    t:advance(11)
    t:eq(say(t, "hello").verdict, "pass")
    for _ = 1, 2 do say(t, "darn") end
    t:eq(say(t, "hello").verdict, "pass", "it begins anew")
  end,

  ["members without a uid are several"] = function(t)
    local function from(device, text) return t:chat({ id = "c", payload = text, sender = { uid = "", device = device } }).verdict end
    for _ = 1, 3 do from("d1", "darn") end
    t:eq({ from("d1", "hello"), from("d2", "hello") }, { "reject", "pass" })
  end,
}
