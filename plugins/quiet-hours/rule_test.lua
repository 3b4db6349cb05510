-- Tests begin on Tuesday, 2023-11-14, 22:13:20 UTC.
local HOUR = 3600

local function quiet(t, settings) t:ok(t:settings(settings)) end

local function night(t, more)
  local settings = { windows = { { tags = { "customer" }, from = "22:00", to = "07:00" } } }
  for key, value in pairs(more or {}) do settings[key] = value end
  quiet(t, settings)
end

local function push(t, filter, payload) return t:broadcast { filter = filter, payload = payload or "hello" } end

-- What a client may send in place of a value, as JSON.
local HOSTILE = {
  "null", "true", "-0", "0.1", "1e999", "-1e999", "1e-400", "9223372036854775808", ("9"):rep(4000), '""', '"\\u0000"', '"\\ud800"',
  '"\xff\xfe"', '"%s%1{x}+#/"', '"' .. ("x"):rep(60000) .. '"', "[]", "{}", "[null]", '[[["a"],{"a":null}],1]', '{"":{"":[]}}',
  '{"a":1,"a":{}}', ("["):rep(50) .. ("]"):rep(50), ("["):rep(5000), ('{"a":'):rep(40) .. "1" .. ("}"):rep(40),
  "[" .. ("null,"):rep(5000) .. "0]", "nan", "'x'", "1 2", "",
}

return {
  ["leaves out devices with quiet tags, and no others"] = function(t)
    night(t)
    local out = push(t, {})
    t:eq(out.verdict, "replace")
    t:eq(out.filter, { filter_tags = { "customer" } })
    t:eq(out.payload, "hello")
  end,

  ["keeps the rest of the filter"] = function(t)
    night(t)
    t:eq(push(t, { uid = "u", match_tags = { "customer", "staff" }, filter_tags = { "x", "a" } }).filter,
      { uid = "u", match_tags = { "customer", "staff" }, filter_tags = { "a", "customer", "x" } })
    t:eq(push(t, { filter_tags = { "customer" } }).verdict, "pass", "it is left out already")
  end,

  ["drops what is for quiet tags only"] = function(t)
    night(t)
    local out = push(t, { match_tags = { "customer" } })
    t:eq(out.verdict, "drop")
    t:eq(out.why, "quiet hours until 07:00")
  end,

  ["names the end of the window that ends last, of several tags the first to be over"] = function(t)
    local function until_(windows, ...)
      quiet(t, { windows = windows })
      return push(t, { match_tags = { ... } }).why
    end
    local day, late, night = { tags = { "a" }, from = "00:00", to = "24:00" }, { tags = { "a" }, from = "22:00", to = "23:00" },
      { tags = { "a", "b" }, from = "22:00", to = "07:00" }
    t:eq(until_({ day, late }, "a"), "quiet hours until 24:00")
    t:eq(until_({ late, day }, "a"), "quiet hours until 24:00")
    t:eq(until_({ night, day, late }, "a"), "quiet hours until 07:00")
    t:eq(until_({ night }, "a", "b"), "quiet hours until 07:00")
    t:eq(until_({ night, { tags = { "c" }, from = "21:00", to = "23:30" } }, "a", "c", "b"), "quiet hours until 23:30")
    t:eq(until_({ night }, "a", "z", "b"), nil)
    t:advance(4 * HOUR) -- Wednesday, 02:13
    t:eq(until_({ night, { tags = { "a" }, from = "01:00", to = "03:00" } }, "a"), "quiet hours until 07:00")
  end,

  ["is over in time, and begins in time"] = function(t)
    night(t)
    t:advance(8 * HOUR + 46 * 60 + 39) -- 06:59:59
    t:eq(push(t, {}).verdict, "replace")
    t:advance(1)
    t:eq(push(t, {}).verdict, "pass")
    t:advance(15 * HOUR - 1) -- 21:59:59
    t:eq(push(t, {}).verdict, "pass")
    t:advance(1)
    t:eq(push(t, {}).verdict, "replace")
  end,

  ["takes windows within a day, to midnight too"] = function(t)
    quiet(t, { windows = { { tags = { "a" }, from = "12:00", to = "13:30" }, { tags = { "b" }, from = "22:00", to = "24:00" } } })
    t:eq(push(t, {}).filter.filter_tags, { "b" })
    t:advance(2 * HOUR) -- 00:13
    t:eq(push(t, {}).verdict, "pass")
    t:advance(12 * HOUR) -- 12:13
    t:eq(push(t, {}).filter.filter_tags, { "a" })
  end,

  ["goes by its own clock"] = function(t)
    night(t, { utc_offset = "-01:00" }) -- 21:13
    t:eq(push(t, {}).verdict, "pass")
    night(t, { utc_offset = "+08:30" }) -- 06:43
    t:eq(push(t, {}).verdict, "replace")
    night(t, { utc_offset = "+09:00" }) -- 07:13
    t:eq(push(t, {}).verdict, "pass")
  end,

  ["goes by the day on which a window begins"] = function(t)
    local function on(...) quiet(t, { windows = { { tags = { "a" }, from = "22:00", to = "07:00", days = { ... } } } }) end
    on("tue")
    t:eq(push(t, {}).verdict, "replace")
    on("mon", "wed")
    t:eq(push(t, {}).verdict, "pass")
    t:advance(4 * HOUR) -- Wednesday, 02:13
    on("tue")
    t:eq(push(t, {}).verdict, "replace", "Tuesday's window goes on")
    on("wed")
    t:eq(push(t, {}).verdict, "pass")
    t:advance(5 * 24 * HOUR) -- Monday, 02:13
    on("sun")
    t:eq(push(t, {}).verdict, "replace", "Sunday's, into Monday")
  end,

  ["lets urgent ones through: by a field of the payload"] = function(t)
    night(t, { urgent = { field = "meta.priority", values = { "urgent", 9 } } })
    t:eq(push(t, { match_tags = { "customer" } }, { meta = { priority = "urgent" } }).verdict, "pass")
    t:eq(push(t, {}, { meta = { priority = 9 } }).verdict, "pass")
    for _, payload in ipairs { '{"meta":{"priority":"low"}}', '{"meta":5}', '{"meta":null}', "{}", "urgent", "[1]", '"urgent"' } do
      t:eq(push(t, {}, payload).verdict, "replace", payload)
    end
    night(t, { urgent = { field = "flags.2" } })
    for _, payload in ipairs { '{"flags":[0,true]}', '{"flags":{"2":true}}' } do t:eq(push(t, {}, payload).verdict, "pass", payload) end
    night(t, { urgent = { field = "urgent" } })
    t:eq(push(t, {}, { urgent = true }).verdict, "pass")
    t:eq(push(t, {}, { urgent = false }).verdict, "replace")
    t:eq(push(t, {}, '{"urgent":null}').verdict, "replace")
  end,

  ["takes a payload over 32 KiB for not urgent"] = function(t)
    night(t, { urgent = { field = "priority" } })
    local padding = ("x"):rep(180000)
    t:eq(push(t, {}, { priority = "urgent", padding = "x" }).verdict, "pass")
    t:eq(push(t, {}, { priority = "urgent", padding = padding }).verdict, "replace")
    t:eq(push(t, { match_tags = { "customer" } }, "[" .. ("[],"):rep(60000) .. "1]").verdict, "drop")
  end,

  ["lets urgent ones through: by the value false"] = function(t)
    night(t, { urgent = { field = "silent", values = { false } } })
    t:eq(push(t, {}, { silent = false }).verdict, "pass")
    t:eq(push(t, {}, { silent = true }).verdict, "replace")
    t:eq(push(t, {}, {}).verdict, "replace")
  end,

  ["lets urgent ones through: by a tag of the filter"] = function(t)
    night(t, { urgent = { tag = "emergency" } })
    t:eq(push(t, { match_tags = { "customer", "emergency" } }).verdict, "pass")
    t:eq(push(t, { filter_tags = { "emergency" } }).verdict, "replace")
  end,

  ["refuses a filter that has no room"] = function(t)
    night(t)
    local tags = {}
    for i = 1, 256 do tags[i] = "t" .. i end
    t:eq(push(t, { filter_tags = tags }).verdict, "reject")
  end,

  ["is not asked for other messages"] = function(t)
    night(t)
    t:eq(t:message { topic = "a", payload = "x" }.verdict, "unmatched")
    t:eq(t:chat { payload = "x" }.verdict, "unmatched")
  end,

  ["lets nobody be woken by what a client sends"] = function(t)
    night(t, { urgent = { field = "alarm.level", values = { "high", 3, false } } })
    for _, value in ipairs(HOSTILE) do
      for _, shape in ipairs { "%s", '{"alarm":%s}', '{"alarm":{"level":%s}}' } do
        local out = push(t, {}, (shape:gsub("%%s", function() return value end)) .. " ")
        t:eq(out.error, nil, shape .. value:sub(1, 40))
        t:eq(out.filter, { filter_tags = { "customer" } }, shape .. value:sub(1, 40))
      end
    end
    t:eq(push(t, {}).verdict, "replace")
    t:eq(push(t, {}, { alarm = { level = "high" } }).verdict, "pass")
  end,

  ["says what is wrong with its settings"] = function(t)
    local function window(fields)
      local w = { tags = { "a" }, from = "22:00", to = "07:00" }
      for key, value in pairs(fields) do w[key] = value end
      return { windows = { w } }
    end
    local wrong = {
      { {}, "quiet-hours.windows is missing" },
      { { windows = { "night" } }, "windows[0] is a text; a table" },
      { window { tags = "a" }, "windows[0].tags is a text; a list of at least 1 element" },
      { window { tags = { 5 } }, "windows[0].tags[0] is 5; in quotes it is a text" },
      { window { from = 1320 }, "windows[0].from is 1320; in quotes it is a text" },
      { window { to = "25:00" }, "windows[0].to: '25:00' is no time" },
      { window { to = "07:60" }, 'windows[0].to is "07:60"; a text that matches' },
      { window { to = "22:00" }, "from and to are the same" },
      { window { from = "24:00", to = "00:00" }, "from and to are the same" },
      { window { days = { "monday" } }, 'windows[0].days[0] is "monday"; one of mon' },
      { window { days = {} }, "windows[0].days has 0 elements; a list of at least 1" },
      { window { zone = "CET" }, "unknown key zone in" },
      { { utc_offset = "CET", windows = window({}).windows }, 'utc_offset is "CET"; a text that matches' },
      { { urgent = {}, windows = window({}).windows }, "urgent: needs field or tag" },
      { { urgent = { field = 5 }, windows = window({}).windows }, "urgent.field is 5; in quotes it is a text" },
      { { urgent = { field = "a", values = "b" }, windows = window({}).windows }, "urgent.values is a text; a list" },
      { { hours = {} }, "unknown key hours in" },
    }
    for _, case in ipairs(wrong) do
      local ok, why = t:settings(case[1])
      t:ok(not ok, "expected: " .. case[2])
      t:ok(why:find(case[2], 1, true), why)
    end
  end,
}
