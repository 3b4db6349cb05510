-- The keywords of JSON Schema. Each takes its value in the schema and gives a function that tells what is wrong with a value of JSON: nothing,
-- or the keyword and the place, a JSON pointer from that value on. Names that only the payload knows are told as *.
local values = require "values"
local kind, compare = values.kind, values.compare

local keywords = {}

local function wrong(text) error(text, 0) end

local function need(value, wanted, text)
  if kind(value) ~= wanted then wrong("must be " .. text) end
  return value
end

local function count(value)
  if kind(value) ~= "number" or not values.is_integer(value) or compare(value, 0) < 0 then wrong("must be a whole number, at least 0") end
  return value
end

local function sorted(object)
  local names = {}
  for name in pairs(object) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function escaped(name) return "/" .. name:gsub("~", "~0"):gsub("/", "~1") end

local function pattern(text)
  local ok, why = pcall(re.test, "", need(text, "string", "a regular expression"))
  if not ok then wrong("is a regular expression that this worker's `re` does not know: " .. tostring(why)) end
  return text
end

local function names(list)
  local seen = {}
  for _, name in ipairs(need(list, "array", "a list of names")) do
    if type(name) ~= "string" or seen[name] then wrong("must be a list of different names") end
    seen[name] = true
  end
  return list
end

local TYPES = { null = true, boolean = true, object = true, array = true, number = true, string = true, integer = true }

keywords["type"] = function(given)
  local wanted = {}
  for _, name in ipairs(names(kind(given) == "string" and json.array { given } or given)) do
    if not TYPES[name] then wrong("must be null, boolean, object, array, number, integer or string, or a list of them") end
    wanted[name] = true
  end
  return function(value)
    local found = kind(value)
    if not wanted[found] and not (found == "number" and wanted.integer and values.is_integer(value)) then return "type", "" end
  end
end

keywords["enum"] = function(given)
  local known = {}
  for _, each in ipairs(need(given, "array", "a list")) do known[values.written(each)] = true end
  return function(value) if not known[values.written(value)] then return "enum", "" end end
end

keywords["const"] = function(given)
  local known = values.written(given)
  return function(value) if values.written(value) ~= known then return "const", "" end end
end

-- A keyword that holds of values of one kind: `fails` tells of a value, and what was given, whether it does not.
local function simple(name, of, read, fails)
  keywords[name] = function(given)
    local limit = read(given)
    return function(value) if kind(value) == of and fails(value, limit) then return name, "" end end
  end
end

local function number(value) return need(value, "number", "a number") end

local function size(object)
  local found = 0
  for _ in pairs(object) do found = found + 1 end
  return found
end

simple("minimum", "number", number, function(value, limit) return compare(value, limit) < 0 end)
simple("maximum", "number", number, function(value, limit) return compare(value, limit) > 0 end)
simple("exclusiveMinimum", "number", number, function(value, limit) return compare(value, limit) <= 0 end)
simple("exclusiveMaximum", "number", number, function(value, limit) return compare(value, limit) >= 0 end)
simple("multipleOf", "number", function(value)
  if compare(number(value), 0) <= 0 then wrong("must be more than 0") end
  return values.divisor(value) or wrong("must have at most 17 digits")
end, function(value, of) return not values.is_multiple(value, of) end)
simple("minLength", "string", count, function(value, limit) return compare(values.length(value), limit) < 0 end)
simple("maxLength", "string", count, function(value, limit) return compare(values.length(value), limit) > 0 end)
simple("pattern", "string", pattern, function(value, text) return not re.test(value, text) end)
simple("minItems", "array", count, function(value, limit) return compare(#value, limit) < 0 end)
simple("maxItems", "array", count, function(value, limit) return compare(#value, limit) > 0 end)
simple("minProperties", "object", count, function(value, limit) return compare(size(value), limit) < 0 end)
simple("maxProperties", "object", count, function(value, limit) return compare(size(value), limit) > 0 end)
simple("required", "object", names, function(value, wanted)
  for _, name in ipairs(wanted) do if value[name] == nil then return true end end
end)
simple("uniqueItems", "array", function(value) return need(value, "boolean", "true or false") end, function(value, unique)
  local seen = {}
  for _, each in ipairs(unique and value or {}) do
    local text = values.written(each)
    if seen[text] then return true end
    seen[text] = true
  end
end)
simple("dependentRequired", "object", function(given)
  for _, list in pairs(need(given, "object", "names with lists of names")) do names(list) end
  return given
end, function(value, given)
  for name, wanted in pairs(given) do
    for _, other in ipairs(value[name] ~= nil and wanted or {}) do if value[other] == nil then return true end end
  end
end)

-- Read by `contains`.
keywords["minContains"] = function(given) count(given) end
keywords["maxContains"] = keywords["minContains"]

-- The schemas in a keyword, as checks by name, and as a list of checks.
local function build_names(given, build, here)
  local built = {}
  for i, name in ipairs(sorted(need(given, "object", "names with schemas"))) do
    built[i] = { name = name, check = build(given[name], escaped(name), here) }
  end
  return built
end

local function build_list(given, build, here)
  local built = {}
  for i, each in ipairs(need(given, "array", "a list of schemas")) do built[i] = build(each, "/" .. i - 1, here) end
  if #built == 0 then error("must have at least one schema", 0) end
  return built
end

return { all = keywords, need = need, sorted = sorted, escaped = escaped, pattern = pattern, build_names = build_names, build_list = build_list }
