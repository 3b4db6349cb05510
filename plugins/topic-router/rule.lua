-- Sends messages to other topics: by topic, by fields of the payload, by templates. See README.md.
local R = { name = "topic-router", priority = 50 }

local routes, first_only = {}, true
local cache, cached, CACHE_LIMIT = {}, 0, 10000

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

-- "eu/{region}/{2}" as its parts: texts, field paths, and numbers of topic levels.
local function template(text, where)
  local parts, at, by_topic = {}, 1, true
  if type(text) ~= "string" or text == "" then fail(where, "must be a topic, like \"eu/{region}/orders\"") end
  while at <= #text do
    local open = text:find("{", at, true)
    parts[#parts + 1] = { text = text:sub(at, (open or 0) - 1) }
    if not open then break end
    local close = text:find("}", open, true) or fail(where, "'%s' has a { without a }", text)
    local name = text:sub(open + 1, close - 1)
    local level = math.tointeger(tonumber(name))
    if name == "" or level and level < 1 then fail(where, "'{%s}' names no field and no topic level (the first is {1})", name) end
    local path = {}
    for key in name:gmatch("[^.]+") do path[#path + 1] = key end
    parts[#parts + 1] = level and { level = level } or { path = path }
    by_topic = by_topic and level ~= nil
    at = close + 1
  end
  return { parts = parts, by_topic = by_topic }
end

local function field(value, path)
  for _, key in ipairs(path) do
    if type(value) ~= "table" then return nil end
    value = value[key]
  end
  return value
end

-- nil where a part is missing, or is no single level of a topic: then the route does not apply.
local function fill(target, levels, order)
  local out = {}
  for i, part in ipairs(target.parts) do
    local value = part.text or part.level and levels[part.level] or part.path and field(order, part.path)
    if math.type(value) == "integer" then value = tostring(value) end
    if type(value) ~= "string" or not part.text and (value == "" or value:find("[/+#%z]")) then return nil end
    out[i] = value
  end
  return table.concat(out)
end

local function read_route(route, where)
  if type(route) ~= "table" then fail(where, "must be a table with topic and to") end
  for key in pairs(route) do
    if key ~= "topic" and key ~= "to" and key ~= "when" then fail(where, "unknown key '%s': there are topic, when, to", key) end
  end
  local valid = type(route.topic) == "string" and pcall(match, "x", route.topic)
  if not valid then fail(where .. ".topic", "must be a topic filter, like \"orders/+\"") end
  local result = { filter = route.topic, when = {}, to = {}, by_topic = true }
  for i, to in ipairs(type(route.to) == "table" and route.to or { route.to }) do
    result.to[i] = template(to, where .. ".to")
    result.by_topic = result.by_topic and result.to[i].by_topic
  end
  if #result.to == 0 then fail(where .. ".to", "must be a topic or a list of topics") end
  if route.when ~= nil and type(route.when) ~= "table" then fail(where .. ".when", "must be a table of fields and values") end
  for name, wanted in pairs(route.when or {}) do
    local path, accepted = {}, {}
    for key in tostring(name):gmatch("[^.]+") do path[#path + 1] = key end
    for _, value in ipairs(type(wanted) == "table" and wanted or { wanted }) do accepted[value] = true end
    result.when[#result.when + 1] = { path = path, accepted = accepted }
    result.by_topic = false
  end
  return result
end

R.match = function(settings)
  local filters = {}
  for i, route in ipairs(settings.routes) do filters[i] = route.topic end
  return { topic = filters }
end

function R.on_load(settings)
  if type(settings.routes) ~= "table" or #settings.routes == 0 then fail("routes", "must be a list of at least one route") end
  if settings.apply ~= nil and settings.apply ~= "first" and settings.apply ~= "all" then fail("apply", "must be first or all") end
  first_only = settings.apply ~= "all"
  for i, route in ipairs(settings.routes) do routes[i] = read_route(route, ("routes[%d]"):format(i)) end
end

local function holds(route, order)
  for _, condition in ipairs(route.when) do
    local value = field(order, condition.path)
    if value == nil or not condition.accepted[value] then return false end
  end
  return true
end

local function decide(candidates, levels, order)
  local targets = {}
  for _, candidate in ipairs(candidates) do
    local before = #targets
    if holds(candidate, order) then
      for _, to in ipairs(candidate.to) do
        local topic = fill(to, levels, order)
        if topic then targets[#targets + 1] = route.to(topic) end
      end
    end
    if first_only and #targets > before then break end
  end
  if #targets > 1 then return route.fanout(targets) end
  return targets[1]
end

-- What a topic comes to: a verdict where its routes look at the topic only, else the routes to try.
local function prepare(topic)
  local entry = { candidates = {}, levels = {} }
  local by_topic = true
  for level in (topic .. "/"):gmatch("([^/]*)/") do entry.levels[#entry.levels + 1] = level end
  for _, candidate in ipairs(routes) do
    if match(topic, candidate.filter) then
      entry.candidates[#entry.candidates + 1] = candidate
      by_topic = by_topic and candidate.by_topic
    end
  end
  -- The same for every message of the topic: the rule is not asked again.
  if by_topic then entry = { verdict = route.always(decide(entry.candidates, entry.levels)) } end
  if cached >= CACHE_LIMIT then cache, cached = {}, 0 end
  cache[topic], cached = entry, cached + 1
  return entry
end

function R.on_message(msg)
  local topic = msg.topic
  local entry = cache[topic] or prepare(topic)
  if entry.verdict then return entry.verdict end
  local order = msg:json()
  return decide(entry.candidates, entry.levels, type(order) == "table" and order or {})
end

return R
