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
}
