-- Lets topic messages pass whose JSON fits a JSON Schema (draft 2020-12). See README.md.
-- The breaker: it fails by what one sends, and that must not close the topic to all.
local R = {
  name = "json-schema", priority = 82, on_error = "reject", breaker = { errors = 1000000 },
  settings = {
    schemas = list({
      topic = filter { default = "#", doc = "which topics" },
      schema = any { doc = "the schema: in YAML, as a text of JSON, or the name of a Lua file of this plugin that returns one" },
      action = enum { "reject", "drop", "pass", default = "reject", doc = "what becomes of a message that does not fit; `pass`: it is counted only" },
      unreadable = enum { "reject", "drop", "pass", default = "reject", doc = "what becomes of a payload that is no JSON" },
    }, { min = 1, max = 100, doc = "a message must fit all that are for its topic" }),
    tell = boolean { default = true, doc = "whether the sender is told the place and the keyword" },
    formats = enum { "refuse", "ignore", default = "refuse", doc = "what becomes of a schema with `format`, which is not checked" },
  },
}

local compile = require "schema"
local schemas, tell = {}, true
local counted = {}

local function count(keyword)
  counted[keyword] = counted[keyword] or counter("json_schema_total", { keyword = keyword })
  counted[keyword]:inc()
end

-- A schema as JSON has it: with lists that are marked as such.
local function read(given, where)
  if type(given) == "string" and given:find("^%a[%w_/.-]*$") and given ~= "true" and given ~= "false" then
    local found, made = pcall(require, given)
    if not found then error(("settings.%s: is neither JSON nor a file of this plugin: %s"):format(where, made), 0) end
    given = made
  end
  local value, why = json.decode(type(given) == "string" and given or json.encode(given))
  if value == nil then error(("settings.%s: is no JSON: %s"):format(where, why), 0) end
  return value
end

R.match = function(settings)
  local filters = {}
  for i, each in ipairs(settings.schemas) do filters[i] = each.topic end
  return { topic = filters }
end

function R.on_load(settings)
  tell = settings.tell
  for i, each in ipairs(settings.schemas) do
    local where = ("schemas[%d].schema"):format(i)
    local check, why = compile(read(each.schema, where), settings.formats == "ignore")
    if not check then error(("settings.%s: %s"):format(where, why), 0) end
    schemas[i] = { topic = each.topic, check = check, action = each.action, unreadable = each.unreadable }
  end
end

-- What becomes of a message; nothing where it passes.
local function decide(action, keyword, at)
  count(keyword)
  if action == "pass" then return nil end
  if keyword == "json" then return route[action]("it is no JSON") end
  if not tell then return route[action]("it does not fit its schema") end
  return route[action](("it does not fit its schema: %s at %s"):format(keyword, at == "" and "the top" or at))
end

function R.on_message(msg)
  -- What rules send on, and may have changed, has been looked at when it came.
  if msg.hops > 0 then return nil end
  local topic, document = msg.topic, msg:json()
  for _, each in ipairs(schemas) do
    if match(topic, each.topic) then
      local verdict
      if document == nil then
        verdict = decide(each.unreadable, "json", "")
      else
        local keyword, at = each.check(document)
        verdict = keyword and decide(each.action, keyword, at)
      end
      if verdict then return verdict end
    end
  end
end

return R
