-- The keywords of JSON Schema that look at the same value by other schemas: what they build is told so (`true`), since a schema that leads
-- back to itself this way would never end.
local words, kind = require "keywords", require "values".kind
local keywords, build_names, build_list = words.all, words.build_names, words.build_list

keywords["allOf"] = function(given, build)
  local built = build_list(given, build, true)
  return function(value)
    for _, check in ipairs(built) do
      local keyword, at = check(value)
      if keyword then return keyword, at end
    end
  end
end

local function fitting(name, least, most)
  keywords[name] = function(given, build)
    local built = build_list(given, build, true)
    return function(value)
      local fit = 0
      for _, check in ipairs(built) do
        if not check(value) then fit = fit + 1 end
        if fit > most or fit == least and most > #built then break end
      end
      if fit < least or fit > most then return name, "" end
    end
  end
end
fitting("anyOf", 1, math.huge)
fitting("oneOf", 1, 1)

keywords["not"] = function(given, build)
  local check = build(given, "", true)
  return function(value) if not check(value) then return "not", "" end end
end

keywords["if"] = function(given, build, whole)
  local check = build(given, "", true)
  local fits = whole["then"] ~= nil and build(whole["then"], "/then", true)
  local fails = whole["else"] ~= nil and build(whole["else"], "/else", true)
  return function(value)
    local follow = fits
    if check(value) then follow = fails end
    if follow then return follow(value) end
  end
end

-- Read by `if`; alone they say nothing.
for _, name in ipairs { "then", "else" } do keywords[name] = function(given, build) build(given, "") end end

-- Schemas for references.
for _, name in ipairs { "$defs", "definitions" } do keywords[name] = function(given, build) build_names(given, build) end end

keywords["dependentSchemas"] = function(given, build)
  local built = build_names(given, build, true)
  return function(value)
    for _, each in ipairs(kind(value) == "object" and built or {}) do
      if value[each.name] ~= nil then
        local keyword, at = each.check(value)
        if keyword then return keyword, at end
      end
    end
  end
end

return keywords
