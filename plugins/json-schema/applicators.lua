-- The keywords of JSON Schema that look into objects and lists. `build(schema, place)` makes a check of a schema in the keyword; `whole` is
-- the schema that the keyword stands in.
local words, values = require "keywords", require "values"
local keywords, kind, need, sorted, escaped = words.all, values.kind, words.need, words.sorted, words.escaped
local build_names, build_list = words.build_names, words.build_list

keywords["properties"] = function(given, build)
  local built = build_names(given, build)
  return function(value)
    if kind(value) ~= "object" then return end
    for _, each in ipairs(built) do
      local member = value[each.name]
      if member ~= nil then
        local keyword, at = each.check(member)
        if keyword then return keyword, escaped(each.name) .. at end
      end
    end
  end
end

keywords["patternProperties"] = function(given, build)
  local built = build_names(given, build)
  for _, each in ipairs(built) do words.pattern(each.name) end
  return function(value)
    if kind(value) ~= "object" then return end
    for name, member in pairs(value) do
      for _, each in ipairs(built) do
        local keyword, at
        if re.test(name, each.name) then keyword, at = each.check(member) end
        if keyword then return keyword, "/*" .. at end
      end
    end
  end
end

keywords["additionalProperties"] = function(given, build, whole)
  local check, known = build(given, ""), need(whole.properties or {}, "object", "beside properties with names and schemas")
  local patterns = sorted(need(whole.patternProperties or {}, "object", "beside patternProperties with patterns and schemas"))
  local function is_known(name)
    if known[name] ~= nil then return true end
    for _, pattern in ipairs(patterns) do if re.test(name, pattern) then return true end end
  end
  return function(value)
    if kind(value) ~= "object" then return end
    for name, member in pairs(value) do
      if not is_known(name) then
        local keyword, at = check(member)
        if keyword then return keyword == "false" and "additionalProperties" or keyword, "/*" .. at end
      end
    end
  end
end

keywords["propertyNames"] = function(given, build)
  local check = build(given, "")
  return function(value)
    for name in pairs(kind(value) == "object" and value or {}) do if check(name) then return "propertyNames", "" end end
  end
end

keywords["items"] = function(given, build, whole)
  local check, first = build(given, ""), #(whole.prefixItems or {}) + 1
  return function(value)
    if kind(value) ~= "array" then return end
    for i = first, #value do
      local keyword, at = check(value[i])
      if keyword then return keyword == "false" and "items" or keyword, "/" .. i - 1 .. at end
    end
  end
end

keywords["prefixItems"] = function(given, build)
  local built = build_list(given, build)
  return function(value)
    if kind(value) ~= "array" then return end
    for i = 1, math.min(#value, #built) do
      local keyword, at = built[i](value[i])
      if keyword then return keyword, "/" .. i - 1 .. at end
    end
  end
end

keywords["contains"] = function(given, build, whole)
  local check, least, most = build(given, ""), whole.minContains or 1, whole.maxContains
  return function(value)
    if kind(value) ~= "array" then return end
    local found = 0
    for _, each in ipairs(value) do if not check(each) then found = found + 1 end end
    if values.compare(found, least) < 0 then return "contains", "" end
    if most and values.compare(found, most) > 0 then return "maxContains", "" end
  end
end

return keywords
