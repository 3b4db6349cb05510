local function say(t, members, uid, id)
  local out = t:chat { id = id or "c1", payload = "a secret", sender = { uid = uid or "ann" }, members = members }
  t:eq(out.error, nil)
  t:eq(out.verdict, "pass")
  t:eq(out.payload, "a secret", "the message itself goes on")
  local told = {}
  for i = 2, #out.messages do told[#told + 1] = out.messages[i].filter.uid end
  return told, out
end

local function away(uid) return { uid = uid, online = false } end
local function here(uid) return { uid = uid, online = true } end

return {
  ["tells who is absent, on his devices"] = function(t)
    local told, out = say(t, { here "ann", away "bob", here "eve", away "joe" })
    t:eq(told, { "bob", "joe" })
    local notice = out.messages[2]
    t:eq(notice.kind, "broadcast")
    t:eq(notice.filter, { uid = "bob" })
    t:eq(notice.payload, "ann wrote in c1")
    t:eq(notice.format, "text")
    t:eq(#out.messages, 3, "the message, and one notice for each")
  end,

  ["tells nobody where all are there"] = function(t)
    t:eq(say(t, { here "ann", here "bob" }), {})
    t:eq(say(t, {}), {})
  end,

  ["tells neither the sender nor who has no uid"] = function(t)
    t:eq(say(t, { away "ann", away "", away "bob" }), { "bob" })
  end,

  ["tells a member of a chat once an interval"] = function(t)
    t:ok(t:settings { interval = 60 })
    local members = { here "ann", away "bob" }
    t:eq(say(t, members), { "bob" })
    t:advance(59)
    t:eq(say(t, members), {})
    t:eq(say(t, members, "eve"), {}, "whoever writes")
    t:eq(say(t, members, "ann", "c2"), { "bob" }, "another chat")
    t:eq(say(t, { here "ann", away "joe" }), { "joe" }, "another member")
    t:advance(1.5)
    t:eq(say(t, members), { "bob" })
  end,

  ["fills its template, whatever is in the names"] = function(t)
    t:ok(t:settings { text = "{chat}: {sender}, {sender}!" })
    local _, out = say(t, { away "bob" }, "100%1 {chat}", "a{b}%")
    t:eq(out.messages[2].payload, "a{b}%: 100%1 {chat}, 100%1 {chat}!")
    _, out = say(t, { away "bob" }, "", "c9")
    t:eq(out.messages[2].payload, "c9: somebody, somebody!")
    t:ok(t:settings { text = "You have mail" })
    _, out = say(t, { away "bob" })
    t:eq(out.messages[2].payload, "You have mail")
  end,

  ["tells a bounded number at once, and the others next time"] = function(t)
    local members = {}
    for i = 1, 120 do members[i] = away("m" .. i) end
    t:eq(#say(t, members), 50)
    t:eq(#say(t, members), 50)
    t:eq(#say(t, members), 20)
    t:eq(#say(t, members), 0)
  end,

  ["takes the longest names"] = function(t)
    local uid, id = ("u"):rep(256), ("c"):rep(256)
    t:eq(say(t, { away(uid) }, ("s"):rep(256), id), { uid })
    t:eq(say(t, { away(uid) }, ("s"):rep(256), id), {})
  end,

  ["is asked for the chats that it is told to"] = function(t)
    t:ok(t:settings { chats = "support/+" })
    t:eq(say(t, { away "bob" }, "ann", "support/1"), { "bob" })
    t:eq(t:chat { id = "friends", payload = "x", members = { away "bob" } }.verdict, "unmatched")
  end,

  ["tells the others, whatever one of them is called"] = function(t)
    for i, uid in ipairs { ("u"):rep(60000), "ÿþ", "a\0b", "{sender}%1", "+/#", " ", '"\\' } do
      local told = say(t, { away(uid), away("bob") }, uid .. "x", "c" .. i)
      t:eq(told[#told], "bob", uid:sub(1, 20))
    end
    t:eq(say(t, { away("bob") }, "ann", ("c"):rep(60000)), { "bob" })
  end,

  ["says what is wrong with its settings"] = function(t)
    local wrong = {
      { { text = "" }, 'chat-away.text is ""; a text of 1 to 1000 bytes' },
      { { text = 5 }, "chat-away.text is 5; in quotes it is a text" },
      { { text = "{payload}" }, "chat-away.text: has no {payload}" },
      { { text = "{sender} wrote {" }, "chat-away.text: has a brace" },
      { { interval = 0 }, "interval is 0; a duration" },
      { { interval = "10 minutes" }, 'interval is "10 minutes"; a duration' },
      { { chats = "a/#/b" }, 'chats is "a/#/b"; a topic filter' },
      { { every = 5 }, "unknown key every in" },
    }
    for _, case in ipairs(wrong) do
      local ok, why = t:settings(case[1])
      t:ok(not ok, "expected: " .. case[2])
      t:ok(why:find(case[2], 1, true), why)
    end
  end,
}
