-- What two messages have in common if they are one.

-- A field as a text that tells numbers and texts apart, and not 1 and 1.0; nil for what is no plain value.
local function text_of(value)
  if type(value) == "string" then return "text " .. value end
  if math.type(value) == "float" then value = math.tointeger(value) or value end
  local plain = type(value) == "number" or type(value) == "boolean" or type(value) == "userdata" and value ~= json.null
  return plain and tostring(value) or nil
end

local function field(msg, path)
  local value = msg:json()
  for _, name in ipairs(path) do
    if type(value) ~= "table" then return nil end
    local member = value[name]
    -- Of a list, its first member is 1.
    if member == nil then member = value[math.tointeger(tonumber(name))] end
    value = member
  end
  return text_of(value)
end

-- What a message is known by; nil where it has nothing such.
return function(msg, stream)
  if stream.by == "payload" then return msg.payload end
  if stream.by == "key" then return msg.key end
  if stream.by == "property" then return msg.props[stream.property] end
  return field(msg, stream.field)
end
