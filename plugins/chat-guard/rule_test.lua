local function guard(t, settings) t:ok(t:settings(settings)) end
local function say(t, text, uid, id) return t:chat { id = id or "c1", payload = text, sender = { uid = uid or "ann" } } end

local function passed(t, times, ...)
  local count = 0
  for _ = 1, times do if say(t, "hi", ...).verdict == "pass" then count = count + 1 end end
  return count
end

return {
  ["refuses listed words, whole and in any case"] = function(t)
    guard(t, { words = { list = { "heck", "Übel", "ХРЕН" } } })
    for _, text in ipairs { "heck", "Oh HECK!", "(heck)", "a-heck-b", "übel", "ÜBEL?", "хрен", "Хрен." } do
      local out = say(t, text)
      t:eq(out.verdict, "reject", text)
      t:eq(out.why, "a word in it is not allowed here")
    end
    for _, text in ipairs { "check", "heckler", "übelste", "heck_no", "h e c k", "fine" } do t:eq(say(t, text).verdict, "pass", text) end
  end,

  ["masks them character by character, if told to"] = function(t)
    guard(t, { words = { list = { "heck", "übel" }, action = "mask" } })
    local out = say(t, "What the Heck, wie ÜBEL! check")
    t:eq(out.verdict, "replace")
    t:eq(out.payload, "What the ****, wie ****! check")
    t:eq(say(t, "nothing here").verdict, "pass")
  end,

  ["looks at the text values of JSON, however they are written"] = function(t)
    guard(t, { words = { list = { "heck" }, action = "mask" } })
    local out = t:chat { payload = '{"text":"oh \\u0068eck\\nheck","heck":1,"more":["HECK",true]}', format = "json", sender = { uid = "a" } }
    t:eq(json.decode(out.payload), { text = "oh ****\n****", heck = 1, more = { "****", true } })
    t:eq(t:chat { payload = "heck {", format = "json" }.payload, "**** {", "it is no JSON")
    t:eq(t:chat { payload = '"heck"', format = "json" }.payload, '"****"')
  end,

  ["refuses what it can't look at"] = function(t)
    guard(t, { words = { list = { "heck" } } })
    local out = t:chat { payload = ("["):rep(30) .. '"heck"' .. ("]"):rep(30), format = "json" }
    t:eq(out.verdict, "reject")
    t:eq(out.why, "rule chat-guard failed")
    t:ok(out.error:find("nested too deeply"))
  end,

  ["limits each member of each chat"] = function(t)
    guard(t, { flood = { rate = 2, burst = 4 } })
    t:eq(passed(t, 9, "ann"), 4)
    t:eq(say(t, "hi", "ann").why, "over 2 messages a second")
    t:eq(passed(t, 9, "bob"), 4)
    t:eq(passed(t, 9, "ann", "c2"), 4)
    t:advance(1)
    t:eq(passed(t, 9, "ann"), 2)
    t:advance(3600)
    t:eq(passed(t, 9, "ann"), 4)
  end,

  ["remembers a bounded number of members, and forgives none of them by it at once"] = function(t)
    guard(t, { flood = { rate = 0.001, burst = 1 } })
    t:eq(passed(t, 2, "ann"), 1)
    for i = 1, 10500 do say(t, "hi", "member" .. i) end
    t:eq(passed(t, 2, "ann"), 0)
  end,

  ["limits the length, in characters"] = function(t)
    guard(t, { length = 5 })
    t:eq(say(t, "äöüßé").verdict, "pass")
    local out = say(t, "äöüßéx")
    t:eq(out.verdict, "reject")
    t:eq(out.why, "longer than 5 characters")
    t:eq(t:chat { payload = { a = "abc", b = "de", number = 123456789 } }.verdict, "pass")
    t:eq(t:chat { payload = { a = "abc", b = "def" } }.verdict, "reject")
  end,

  ["is asked for the chats that it is told to, and nothing else"] = function(t)
    guard(t, { length = 1, chats = "support/+" })
    t:eq(say(t, "hi", "ann", "support/1").verdict, "reject")
    t:eq(say(t, "hi", "ann", "friends").verdict, "unmatched")
    t:eq(t:message { topic = "support/1", payload = "hi" }.verdict, "unmatched")
  end,

  ["says what is wrong with its settings"] = function(t)
    local wrong = {
      { {}, "sets nothing" },
      { { words = { "heck" } }, "settings.words: unknown key '1'" },
      { { words = {} }, "settings.words.list: must be a list" },
      { { words = { list = { "two words" } } }, "settings.words.list[1]: must be one word" },
      { { words = { list = { 5 } } }, "settings.words.list[1]: must be one word" },
      { { words = { list = { "a" }, action = "drop" } }, "settings.words.action: must be reject or mask" },
      { { flood = 5 }, "settings.flood: must be a table" },
      { { flood = { rate = 0 } }, "settings.flood.rate: must be a number over 0" },
      { { flood = { rate = 1, burst = 0.5 } }, "settings.flood.burst: must be at least 1" },
      { { length = "long" }, "settings.length: must be a number over 0" },
      { { length = 5, chats = "a/#/b" }, "settings.chats: must be a filter" },
      { { lenght = 5 }, "unknown key 'lenght'" },
    }
    for _, case in ipairs(wrong) do
      local ok, why = t:settings(case[1])
      t:ok(not ok, "expected: " .. case[2])
      t:ok(why:find(case[2], 1, true), why)
    end
  end,
}
