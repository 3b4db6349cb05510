-- Keeps broadcasts from devices with certain tags in certain hours, except urgent ones. See README.md.
-- The breaker: it fails by what one sends, and that must not wake those who sleep.
local R = { name = "quiet-hours", priority = 70, match = { kind = "broadcast" }, breaker = { errors = 1000000 } }

local CLOCK = "^[012]%d:[0-5]%d$"
R.settings = {
  utc_offset = text { default = "+00:00", pattern = "^[+-][01]%d:[0-5]%d$", doc = "of the clock that windows are told by, such as \"+01:00\"" },
  windows = list({
    tags = list(text { min = 1 }, { min = 1, doc = "which devices are left alone" }),
    from = text { pattern = CLOCK, doc = "\"00:00\" to \"24:00\"" },
    to = text { pattern = CLOCK, doc = "the same; before `from` it is on the next day" },
    days = list(enum { "mon", "tue", "wed", "thu", "fri", "sat", "sun" }, { optional = true, min = 1, doc = "on which a window begins; all where it is not set" }),
  }, { min = 1, doc = "when, and for whom" }),
  urgent = table({
    field = path { optional = true, doc = "a field of the payload that says so" },
    values = list(any, { optional = true, min = 1, doc = "values of it that are urgent; where it is not set, all but false and null" }),
    tag = text { optional = true, min = 1, doc = "a tag in `match_tags` that says so" },
  }, { optional = true, doc = "what goes through all the same" }),
}

local windows, urgent, offset = {}, {}, 0
local DAY, MAX_TAGS, MAX_FILTER, MAX_JSON = 86400, 64, 256, 32768
local DAYS = { mon = 0, tue = 1, wed = 2, thu = 3, fri = 4, sat = 5, sun = 6 }
local narrowed = counter("quiet_hours_total", { how = "narrowed" })
local dropped = counter("quiet_hours_total", { how = "dropped" })

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

-- Minutes of "07:30".
local function minutes(text) return tonumber(text:sub(-5, -4)) * 60 + tonumber(text:sub(-2)) end

local function read_time(text, where)
  local time = minutes(text)
  if time > 24 * 60 then fail(where, "'%s' is no time from \"00:00\" to \"24:00\"", text) end
  return time
end

local function read_window(window, where)
  local from, to, days = read_time(window.from, where .. ".from"), read_time(window.to, where .. ".to"), {}
  -- One that ends when it begins is never open, except a whole day.
  if (from - to) % (24 * 60) == 0 and from >= to then fail(where, "from and to are the same; a whole day is from \"00:00\" to \"24:00\"") end
  for _, day in ipairs(window.days or {}) do days[DAYS[day]] = true end
  return { tags = window.tags, from = from, to = to, ends = window.to, days = window.days and days }
end

local function read_urgent(value)
  if not value then return {} end
  if not value.field and not value.tag then fail("urgent", "needs field or tag") end
  local values = {}
  for _, each in ipairs(value.values or {}) do values[each] = true end
  return { field = value.field, tag = value.tag, values = value.values and values }
end

function R.on_load(settings)
  if minutes(settings.utc_offset) > 14 * 60 + 59 then fail("utc_offset", "'%s' is no offset that any country has", settings.utc_offset) end
  offset = minutes(settings.utc_offset) * (settings.utc_offset:sub(1, 1) == "-" and -60 or 60)
  urgent = read_urgent(settings.urgent)
  local count = 0
  for i, window in ipairs(settings.windows) do
    windows[i] = read_window(window, ("windows[%d]"):format(i))
    count = count + #window.tags
  end
  if count > MAX_TAGS then fail("windows", "have %d tags together: at most %d", count, MAX_TAGS) end
end

-- Minutes from midnight to when the window ends that is open at this minute; nil: none is.
local function ends_at(window, day, minute)
  local function begins(on) return not window.days or window.days[on % 7] end
  if window.from < window.to then return minute >= window.from and minute < window.to and begins(day) and window.to or nil end
  -- Over midnight: the morning belongs to the day before.
  if minute >= window.from and begins(day) then return window.to + 24 * 60 end
  return minute < window.to and begins(day - 1) and window.to or nil
end

-- Which tags are to be left alone now, with the window that ends last and when.
local function quiet_tags(now)
  local seconds, tags = math.floor(now + offset), {}
  -- 1970 began on a Thursday.
  local day, minute = seconds // DAY + 3, seconds % DAY // 60
  for _, window in ipairs(windows) do
    local at = ends_at(window, day, minute)
    for _, tag in ipairs(at and window.tags or {}) do
      if not tags[tag] or at > tags[tag].at then tags[tag] = { at = at, ends = window.ends } end
    end
  end
  return tags
end

local function contains(list, value)
  for _, each in ipairs(list or {}) do if each == value then return true end end
  return false
end

local function is_urgent(push, filter)
  if urgent.tag and contains(filter.match_tags, urgent.tag) then return true end
  if not urgent.field then return false end
  if #push.payload > MAX_JSON then return false end -- it may take more than the rule's budget to read
  local value = push:json()
  for _, name in ipairs(urgent.field) do
    if type(value) ~= "table" then return false end
    local member = value[name]
    -- Of a list, its first member is 1.
    if member == nil then member = value[math.tointeger(tonumber(name))] end
    value = member
  end
  if value == nil or value == json.null then return false end
  return urgent.values and urgent.values[value] == true or not urgent.values and value ~= false
end

function R.on_broadcast(push, ctx)
  local quiet = quiet_tags(ctx.now)
  if not next(quiet) then return end
  local filter = push.filter
  if is_urgent(push, filter) then return end
  -- Where all its tags are quiet: until the first of them is not.
  local first, all = nil, true
  for _, tag in ipairs(filter.match_tags or {}) do
    all = all and quiet[tag] ~= nil
    if all and not (first and first.at <= quiet[tag].at) then first = quiet[tag] end
  end
  if first and all then
    dropped:inc()
    return route.drop("quiet hours until " .. first.ends)
  end
  local left_out = filter.filter_tags or {}
  local before = #left_out
  for tag in pairs(quiet) do if not contains(left_out, tag) then left_out[#left_out + 1] = tag end end
  if #left_out == before then return end
  if #left_out > MAX_FILTER then return route.reject(("filter_tags has no room for quiet hours: at most %d with them"):format(MAX_FILTER)) end
  table.sort(left_out)
  filter.filter_tags = left_out
  narrowed:inc()
  return push:with { filter = filter }
end

return R
