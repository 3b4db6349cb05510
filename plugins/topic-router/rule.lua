-- Sends messages to other topics: by topic, by fields of the payload, by templates. See README.md.
local R = {
  name = "topic-router", priority = 50,
  settings = {
    routes = list({
      topic = filter { doc = "which topics the route is for" },
      when = map(any, { optional = true, min = 1, doc = "fields of a JSON payload, and the value or list of values that each must have" }),
      to = any { doc = "a topic, or a list of topics, with `{2}` for a level and `{region}` for a field" },
    }, { min = 1, doc = "tried in order" }),
    apply = enum { "first", "all", default = "first", doc = "whether the first route that applies decides, or all of them" },
  },
}

local routes, first_only = {}, true

local function fail(where, text, ...)
  error(("settings.%s: " .. text):format(where, ...), 0)
end

local function path_of(name)
  local path = {}
  for key in name:gmatch("[^.]+") do path[#path + 1] = key end
  return path
end

-- "eu/{region}/{2}" as its parts: texts, field paths, and numbers of topic levels.
local function template(text, where)
  local parts, at, by_topic = {}, 1, true
  if type(text) ~= "string" or text == "" then fail(where, "must be a topic, like \"eu/{region}/orders\"") end
  while at <= #text do
    local open = text:find("{", at, true)
    local plain = text:sub(at, (open or 0) - 1)
    if plain:find("[+#\0]") then fail(where, "'%s' is no topic: it has + , # or a zero byte in it", text) end
    parts[#parts + 1] = { text = plain }
    if not open then break end
    local close = text:find("}", open, true) or fail(where, "'%s' has a { without a }", text)
    local name = text:sub(open + 1, close - 1)
    local path, level = path_of(name), math.tointeger(tonumber(name))
    if #path == 0 or level and level < 1 then fail(where, "'{%s}' names no field and no topic level (the first is {1})", name) end
    parts[#parts + 1] = level and { level = level } or { path = path }
    by_topic = by_topic and level ~= nil
    at = close + 1
  end
  return { parts = parts, by_topic = by_topic }
end

local function field(value, path)
  for _, name in ipairs(path) do
    if type(value) ~= "table" then return nil end
    local member = value[name]
    -- Of a list, its first member is 1.
    if member == nil then member = value[math.tointeger(tonumber(name))] end
    value = member
  end
  return value
end

local function level_of(topic, wanted)
  for level in (topic .. "/"):gmatch("([^/]*)/") do
    wanted = wanted - 1
    if wanted == 0 then return level end
  end
end

-- nil where a part is missing, is no single level of a topic, or is too long: then the route does not apply.
local function fill(target, topic, document)
  local out = {}
  for i, part in ipairs(target.parts) do
    local value = part.text
    if not value then
      value = part.level and level_of(topic, part.level) or part.path and field(document, part.path)
      if math.type(value) == "float" then value = math.tointeger(value) end
      -- Integers of more than 64 bits are userdata, of their digits.
      if math.type(value) == "integer" or type(value) == "userdata" and value ~= json.null then value = tostring(value) end
      if type(value) ~= "string" or value == "" or #value > 65535 or value:find("[/+#\0]") then return nil end
    end
    out[i] = value
  end
  return table.concat(out)
end

local function read_when(when, where)
  local conditions = {}
  for name, wanted in pairs(when or {}) do
    local accepted = {}
    for _, value in ipairs(type(wanted) == "table" and wanted or { wanted }) do
      if type(value) ~= "table" then accepted[value] = true end
    end
    if next(accepted) == nil then fail(where .. "." .. name, "must be a value or a list of values") end
    conditions[#conditions + 1] = { path = path_of(name), accepted = accepted }
  end
  return conditions
end

local function read_route(each, where)
  local result = { filter = each.topic, when = read_when(each.when, where .. ".when"), to = {} }
  result.by_topic = #result.when == 0
  for i, to in ipairs(type(each.to) == "table" and each.to or { each.to }) do
    result.to[i] = template(to, where .. ".to")
    result.by_topic = result.by_topic and result.to[i].by_topic
  end
  if #result.to == 0 then fail(where .. ".to", "must be a topic or a list of topics") end
  return result
end

R.match = function(settings)
  local filters = {}
  for i, each in ipairs(settings.routes) do filters[i] = each.topic end
  return { topic = filters }
end

function R.on_load(settings)
  first_only = settings.apply == "first"
  for i, each in ipairs(settings.routes) do routes[i] = read_route(each, ("routes[%d]"):format(i)) end
end

local function holds(each, document)
  for _, condition in ipairs(each.when) do
    local value = field(document, condition.path)
    if value == nil or not condition.accepted[value] then return false end
  end
  return true
end

function R.on_message(msg)
  local topic, targets, by_topic, document = msg.topic, {}, true, nil
  for _, each in ipairs(routes) do
    if match(topic, each.filter) then
      if by_topic and not each.by_topic then by_topic, document = false, msg:json() end
      if holds(each, document) then
        for _, to in ipairs(each.to) do
          local target = fill(to, topic, document)
          local fits, sent = pcall(route.to, target) -- it may be longer than limits.topic
          if target and fits then targets[#targets + 1] = sent end
        end
      end
      if first_only and #targets > 0 then break end
    end
  end
  local verdict = #targets > 1 and route.fanout(targets) or targets[1]
  -- Where nothing but the topic was looked at, the same holds for every message of it: the rule is not asked again.
  return by_topic and route.always(verdict) or verdict
end

return R
