-- Makes a check of a JSON Schema (draft 2020-12). What it does not know is refused, so that no schema promises more than it keeps.
local keywords, values, sorted = require "logic", require "values", require "keywords".sorted
require "applicators"

local DRAFT = "https://json-schema.org/draft/2020-12/schema"
local NOTES = { "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "contentEncoding",
  "contentMediaType", "contentSchema" }

local function wrong(at, text) error({ at = at, text = text }, 0) end

local function nothing() end

-- What is built when the whole document is known: references lead anywhere.
local function later(compiler, entry, at, ref)
  local hold = { at = at, ref = ref, from = entry }
  compiler.pending[#compiler.pending + 1] = hold
  return function(value) return hold.to.check(value) end
end

-- Keywords about the document itself. Each may give a check.
local ABOUT = {
  ["$schema"] = function(_, _, at, given)
    if given ~= DRAFT and given ~= DRAFT .. "#" then wrong(at, "is another draft; this is " .. DRAFT) end
  end,
  ["$id"] = function(_, _, at) if at ~= "/$id" then wrong(at, "is known at the top only") end end,
  ["$anchor"] = function(compiler, entry, at, given)
    if type(given) ~= "string" or compiler.anchors[given] then wrong(at, "must be a name that no other schema has") end
    compiler.anchors[given] = entry
  end,
  ["$ref"] = function(compiler, entry, at, given)
    if type(given) ~= "string" or given:sub(1, 1) ~= "#" then wrong(at, "must begin with #: other documents are not read") end
    return later(compiler, entry, at, given)
  end,
}
for _, name in ipairs(NOTES) do ABOUT[name] = nothing end

local build

local function build_keyword(compiler, entry, name, node, at)
  local given, place = node[name], at .. "/" .. name
  if ABOUT[name] then return ABOUT[name](compiler, entry, place, given) end
  if name == "format" and compiler.ignores_format or name:find("^x%-") then return nil end
  if not keywords[name] then
    wrong(place, "is not known here" .. (name == "format" and "; formats: ignore takes it for a note" or ""))
  end
  local function build_part(part, below, here)
    local known = build(compiler, part, place .. below)
    if here then entry.here[#entry.here + 1] = known end
    return function(value) return known.check(value) end
  end
  local ok, check = pcall(keywords[name], given, build_part, node)
  if not ok then wrong(type(check) == "table" and check.at or place, type(check) == "table" and check.text or check) end
  return check
end

local function together(checks)
  if #checks == 1 then return checks[1] end
  return function(value)
    for i = 1, #checks do
      local keyword, at = checks[i](value)
      if keyword then return keyword, at end
    end
  end
end

-- The entry of a schema: its check, and those of the schemas that look at the same value.
function build(compiler, node, at)
  if node == true then return { check = nothing, here = {} } end
  if node == false then return { check = function() return "false", "" end, here = {} } end
  if values.kind(node) ~= "object" then wrong(at, "must be a schema: an object, true or false") end
  if compiler.entries[node] then return compiler.entries[node] end
  local entry, names, checks = { at = at, here = {} }, sorted(node), {}
  compiler.entries[node] = entry
  table.sort(names, function(one, other) return one ~= other and (one == "type" or other ~= "type" and one < other) end)
  for _, name in ipairs(names) do checks[#checks + 1] = build_keyword(compiler, entry, name, node, at) end
  entry.check = together(checks)
  return entry
end

-- Where a reference leads: "#", "#/$defs/price" or "#anchor".
local function target(compiler, hold)
  local name = hold.ref:sub(2):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  if name ~= "" and name:sub(1, 1) ~= "/" then return compiler.anchors[name] or wrong(hold.at, "leads to no $anchor") end
  local node = compiler.root
  for part in name:gmatch("/([^/]*)") do
    part = part:gsub("~1", "/"):gsub("~0", "~")
    if type(node) == "table" then
      if values.kind(node) == "array" then node = node[(math.tointeger(tonumber(part)) or -1) + 1] else node = node[part] end
    else
      node = nil
    end
  end
  if node == nil then wrong(hold.at, "leads nowhere") end
  return build(compiler, node, name)
end

-- A schema that leads to itself, and to the same value, would never end.
local function refuse_cycles(entry, state)
  if state[entry] == "open" then wrong(entry.at, "leads back to itself without looking at another value") end
  if state[entry] then return end
  state[entry] = "open"
  for _, other in ipairs(entry.here) do refuse_cycles(other, state) end
  state[entry] = "done"
end

local function compile(root, ignores_format)
  local compiler = { root = root, entries = {}, anchors = {}, pending = {}, ignores_format = ignores_format }
  local top, done = build(compiler, root, ""), 0
  while done < #compiler.pending do
    done = done + 1
    local hold = compiler.pending[done]
    hold.to = target(compiler, hold)
    hold.from.here[#hold.from.here + 1] = hold.to
  end
  local state = {}
  refuse_cycles(top, state)
  for _, entry in pairs(compiler.entries) do refuse_cycles(entry, state) end
  return top.check
end

-- The check of a schema; or nil and what is wrong with it.
return function(root, ignores_format)
  local ok, check = pcall(compile, root, ignores_format)
  if ok then return check end
  if type(check) ~= "table" then error(check, 0) end
  return nil, ("%s %s"):format(check.at == "" and "it" or check.at, check.text)
end
