local function guard(t, settings) t:ok(t:settings(settings)) end
local function say(t, text, uid, id) return t:chat { id = id or "c1", payload = text, sender = { uid = uid or "ann" } } end

local function passed(t, times, ...)
  local count = 0
  for _ = 1, times do if say(t, "hi", ...).verdict == "pass" then count = count + 1 end end
  return count
end

-- What a client may send in place of a value, as JSON.
local HOSTILE = {
  "null", "true", "-0", "0.1", "1e999", "-1e999", "1e-400", "9223372036854775808", ("9"):rep(4000), '""', '"\\u0000"', '"\\ud800"',
  '"\xff\xfe"', '"%s%1{x}+#/"', '"' .. ("x"):rep(60000) .. '"', "[]", "{}", "[null]", '[[["a"],{"a":null}],1]', '{"":{"":[]}}',
  '{"a":1,"a":{}}', ("["):rep(50) .. ("]"):rep(50), ("["):rep(5000), ('{"a":'):rep(40) .. "1" .. ("}"):rep(40),
  "[" .. ("null,"):rep(5000) .. "0]", "nan", "'x'", "1 2", "",
}

return {
  ["refuses listed words, whole and in any case"] = function(t)
    guard(t, { words = { list = { "heck", "Übel", "ХРЕН" } } })
    for _, text in ipairs { "heck", "Oh HECK!", "(heck)", "a-heck-b", "übel", "ÜBEL?", "хрен", "Хрен.", "хРеН", "heck_no" } do
      local out = say(t, text)
      t:eq(out.verdict, "reject", text)
      t:eq(out.why, "a word in it is not allowed here")
    end
    for _, text in ipairs { "check", "heckler", "übelste", "héck", "heckü", "éheck", "h e c k", "fine" } do t:eq(say(t, text).verdict, "pass", text) end
  end,

  ["keeps members with long names, and forgives nobody for want of memory"] = function(t)
    guard(t, { flood = { rate = 0.001, burst = 1 } })
    t:eq(passed(t, 2), 1)
    for i = 1, 2000 do t:eq(say(t, "hi", ("u"):rep(60000) .. i).error, nil) end
    t:eq(passed(t, 1), 0)
  end,

  ["finds them next to any punctuation, symbol or emoji"] = function(t)
    guard(t, { words = { list = { "darn", "übel" } } })
    for _, word in ipairs { "darn", "ÜBEL" } do
      for _, text in ipairs { "%s😀", "❤️%s❤️", "“%s”", "«%s»", "¡%s!", "%s…", "%s—really", "you\u{A0}%s", "_%s_", "%s→", "「%s」", "！%s？", "你%s坏", "\u{FEFF}%s", "a\1%s\1", "😀\n%s" } do
        t:eq(say(t, text:format(word)).verdict, "reject", text)
      end
    end
    guard(t, { words = { list = { "darn", "übel" }, action = "mask" } })
    t:eq(say(t, "“Darn”—übel, darné… _DARN_ 😀darn").payload, "“****”—****, darné… _****_ 😀****")
  end,

  ["finds words of scripts without spaces anywhere"] = function(t)
    guard(t, { words = { list = { "坏", "坏蛋", "蛋糕", "ばか", "바보" }, action = "mask" } })
    t:eq(say(t, "你坏，好").payload, "你*，好")
    t:eq(say(t, "大坏蛋糕了").payload, "大***了")
    t:eq(say(t, "おばかさん 바보야").payload, "お**さん **야")
    t:eq(say(t, "你好").verdict, "pass")
  end,

  ["knows the capitals of Latin, Greek and Cyrillic"] = function(t)
    guard(t, { words = { list = { "žluť", "λόγος", "ґанок", "ЁЛКИ", "đời", "ÿes" } } })
    for _, text in ipairs { "ŽLUŤ", "ΛΌΓΟΣ", "Λόγοσ", "ҐАНОК", "ёлки", "ĐỜI", "ŸES" } do t:eq(say(t, text).verdict, "reject", text) end
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

  ["looks at JSON that says it is text, and at numbers as text"] = function(t)
    guard(t, { words = { list = { "heck", "5" } } })
    t:eq(t:chat { payload = '{"text":"\\u0068eck"}', format = "text" }.verdict, "reject")
    t:eq(t:chat { payload = "5", format = "text" }.verdict, "reject")
    t:eq(t:chat { payload = '{"text":5}', format = "text" }.verdict, "pass")
  end,

  ["refuses what it can't look at"] = function(t)
    guard(t, { words = { list = { "heck" } } })
    t:eq(t:chat { payload = '{"text":"\\u0068eck","a":"\\ud83d"}', format = "json" }.why, "its JSON can't be read")
    t:eq(t:chat { payload = ("["):rep(60) .. '"heck"' .. ("]"):rep(60), format = "json" }.why, "a word in it is not allowed here")
    local large = ("heck, "):rep(150000) .. "1"
    for _ = 1, 120 do
      local out = say(t, large)
      t:eq(out.verdict, "reject", out.error)
    end
    t:eq(say(t, "fine").verdict, "pass", "the others go on")
  end,

  ["looks at 64 KiB within its budget"] = function(t)
    guard(t, { words = { list = { "heck", "darn", "坏蛋" } } })
    for _, text in ipairs { "hello world ", "привет МИР ", "你好，世界", "über Öl 😀 ", "a" } do
      local out = say(t, text:rep(65536 // #text))
      t:eq(out.verdict, "pass", text .. (out.error or ""))
    end
  end,

  ["finds the same with a long list"] = function(t)
    local list = { "heck", "übel", "坏蛋" }
    for i = 1, 1000 do list[#list + 1] = "word" .. i end
    guard(t, { words = { list = list, action = "mask" } })
    t:eq(say(t, "a Heck\1, “ÜBEL”坏蛋WORD1000_word7 word1001 heckword9 éword9").payload, "a ****\1, “****”**********_***** word1001 heckword9 éword9")
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

  ["looks at the length first"] = function(t)
    guard(t, { length = 2000, words = { list = { "heck" } } })
    for _, text in ipairs { "heck " .. ("x"):rep(2000), ("heck "):rep(400) .. "x", ("hello world "):rep(20000), "[" .. ("1,"):rep(100000) .. "1]" } do
      t:eq(say(t, text).why, "longer than 2000 characters")
    end
    t:eq(say(t, ("x"):rep(2000)).verdict, "pass")
    t:eq(t:chat { payload = { text = ("😀"):rep(2000) } }.verdict, "pass")
    t:eq(t:chat { payload = '{"text":"' .. ("\\ud83d\\ude00"):rep(2000) .. '"}', format = "json" }.verdict, "pass")
    t:eq(t:chat { payload = { [("k"):rep(30000)] = 1 } }.why, "longer than 2000 characters", "names are bounded too")
  end,

  ["is asked for the chats that it is told to, and nothing else"] = function(t)
    guard(t, { length = 1, chats = "support/+" })
    t:eq(say(t, "hi", "ann", "support/1").verdict, "reject")
    t:eq(say(t, "hi", "ann", "friends").verdict, "unmatched")
    t:eq(t:message { topic = "support/1", payload = "hi" }.verdict, "unmatched")
  end,

  ["lets no listed word through, whatever stands beside it"] = function(t)
    guard(t, { words = { list = { "heck" } }, length = 70000 })
    for i, value in ipairs(HOSTILE) do
      for _, shape in ipairs { '{"text":"heck","a":%s}', '[%s,"heck"]', '{"a":[%s],"b":{"c":["heck"]}}', "heck %s" } do
        local out = t:chat { id = "c1", payload = shape:gsub("%%s", function() return value end), format = i % 2 == 0 and "json" or "text", sender = { uid = "u" .. i } }
        t:ok(out.error == nil or out.verdict == "reject")
        t:eq(out.verdict, "reject", shape .. value:sub(1, 40))
      end
      local out = say(t, value .. " ")
      t:ok(out.error == nil or out.verdict == "reject")
    end
    t:eq(say(t, "fine").verdict, "pass", "the others go on")
  end,

  ["lets no member through that it has not seen"] = function(t)
    for _, settings in ipairs { { words = { list = { "darn" } } }, { length = 9 } } do
      t:ok(t:settings(settings))
      local function goes_out(payload)
        local out = t:chat { id = "c", payload = payload, format = "json", sender = { uid = "ann" } }
        return out.verdict == "pass" and payload or out.payload or out.why
      end
      for _, payload in ipairs {
        '{"text":"oh darn it","text":"x"}', '{"text":"oh d\\u0061rn it" , "te\\u0078t" : "x"}', '{"text":{"a\\\\":"oh darn it"},"text":"x"}',
      } do t:eq(goes_out(payload), '{"text":"x"}', payload) end
      for _, payload in ipairs { '{ "text":"x", "n":[{"a":1},{"a":2}] }', '["x"]' } do t:eq(goes_out(payload), payload) end
      t:eq(json.decode(goes_out('{"text":"a\\":b"}')), { text = 'a":b' })
    end
  end,

  ["says what is wrong with its settings"] = function(t)
    local wrong = {
      { {}, "nothing is set" },
      { { words = { "heck" } }, "chat-guard.words is a list; a table with action, list" },
      { { words = {} }, "chat-guard.words.list is missing" },
      { { words = { list = { "two words" } } }, "words.list[0]: 'two words' is not one word" },
      { { words = { list = { 5 } } }, "words.list[0] is 5; in quotes it is a text" },
      { { words = { list = { "a" }, action = "drop" } }, 'words.action is "drop"; one of reject, mask' },
      { { flood = 5 }, "chat-guard.flood is a number; a table with burst, rate" },
      { { flood = { rate = 0 } }, "flood.rate is 0; a number" },
      { { flood = { rate = 1, burst = 0.5 } }, "flood.burst is 0.5; a number from 1" },
      { { words = { list = { "“darn”" } } }, "is not one word" },
      { { words = { list = { "_" } } }, "is not one word" },
      { { length = 2.5 }, "length is 2.5; a whole number" },
      { { length = "long" }, 'length is "long"; a whole number' },
      { { length = 5, chats = "a/#/b" }, 'chats is "a/#/b"; a topic filter' },
      { { lenght = 5 }, "did you mean length?" },
    }
    for _, case in ipairs(wrong) do
      local ok, why = t:settings(case[1])
      t:ok(not ok, "expected: " .. case[2])
      t:ok(why:find(case[2], 1, true), why)
    end
  end,
}
