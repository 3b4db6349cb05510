-- Keeps broadcasts from devices with certain tags in certain hours, except urgent ones. See README.md.
-- The breaker: it fails by what one sends, and that must not wake those who sleep.
local R = { name = "quiet-hours", priority = 70, match = { kind = "broadcast" }, breaker = { errors = 1000000 } }

local windows, urgent, offset = {}, {}, 0
local DAY, MAX_TAGS, MAX_FILTER, MAX_JSON = 86400, 64, 256, 32768
local DAYS = { mon = 0, tue = 1, wed = 2, thu = 3, fri = 4, sat = 5, sun = 6 }
local narrowed = counter("quiet_hours_total", { how = "narrowed" })
local dropped = counter("quiet_hours_total", { how = "dropped" })

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

local function check_keys(value, where, known)
  if type(value) ~= "table" then fail(where, "must be a table with %s", table.concat(known, ", ")) end
  local names = {}
  for _, name in ipairs(known) do names[name] = true end
  for key in pairs(value) do if not names[key] then fail(where, "unknown key '%s': there are %s", key, table.concat(known, ", ")) end end
end

local function read_offset(value)
  local sign, hours, minutes = tostring(value):match("^([+-])(%d%d):(%d%d)$")
  if not sign or tonumber(hours) > 14 or tonumber(minutes) > 59 then fail("utc_offset", "must be like \"+01:00\"") end
  return (tonumber(hours) * 60 + tonumber(minutes)) * (sign == "-" and -60 or 60)
end

-- Minutes since midnight.
local function read_time(value, where)
  local hours, minutes = tostring(value):match("^(%d%d):(%d%d)$")
  local time = hours and tonumber(hours) * 60 + tonumber(minutes)
  if not time or tonumber(minutes) > 59 or time > 24 * 60 then fail(where, "must be a time from \"00:00\" to \"24:00\", in quotes") end
  return time
end

local function read_days(list, where)
  local days = {}
  if list ~= nil and (type(list) ~= "table" or #list == 0) then fail(where, "must be a list of mon, tue, wed, thu, fri, sat, sun") end
  for _, day in ipairs(list or {}) do
    if not DAYS[day] then fail(where, "'%s' is none of mon, tue, wed, thu, fri, sat, sun", tostring(day)) end
    days[DAYS[day]] = true
  end
  return list and days
end

local function read_window(window, where)
  check_keys(window, where, { "tags", "from", "to", "days" })
  if type(window.tags) ~= "table" or #window.tags == 0 then fail(where .. ".tags", "must be a list of at least one tag") end
  for _, tag in ipairs(window.tags) do
    if type(tag) ~= "string" or tag == "" then fail(where .. ".tags", "must be a list of texts") end
  end
  local from, to = read_time(window.from, where .. ".from"), read_time(window.to, where .. ".to")
  if from == to then fail(where, "from and to are the same; a whole day is from \"00:00\" to \"24:00\"") end
  return { tags = window.tags, from = from, to = to, ends = window.to, days = read_days(window.days, where .. ".days") }
end

local function read_urgent(value)
  if value == nil then return {} end
  check_keys(value, "urgent", { "field", "values", "tag" })
  if not value.field and not value.tag then fail("urgent", "needs field or tag") end
  for _, key in ipairs { "field", "tag" } do
    if value[key] ~= nil and (type(value[key]) ~= "string" or value[key] == "") then fail("urgent." .. key, "must be a text") end
  end
  if value.values == nil then return { field = value.field, tag = value.tag } end
  if type(value.values) ~= "table" or #value.values == 0 then fail("urgent.values", "must be a list of values") end
  local values = {}
  for _, each in ipairs(value.values) do values[each] = true end
  return { field = value.field, tag = value.tag, values = values }
end

function R.on_load(settings)
  check_keys(settings, "quiet-hours", { "utc_offset", "windows", "urgent" })
  offset = read_offset(settings.utc_offset or "+00:00")
  urgent = read_urgent(settings.urgent)
  local list, count = settings.windows, 0
  if type(list) ~= "table" or #list == 0 then fail("windows", "must be a list of at least one window") end
  for i, window in ipairs(list) do
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
  for key in urgent.field:gmatch("[^.]+") do if type(value) == "table" then value = value[key] else return false end end
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
