-- What is asked, and what the answers say.
local answers = {}

-- The address to ask; nil where the client has not said what stands in it, or something that nobody can be asked about: "." and ".." would
-- lead to another place, even in codes.
function answers.address(template, conn)
  local missing = false
  local url = template:gsub("{(.-)}", function(name)
    local value = conn[name]
    missing = missing or not value or value == "" or #value > 256 or value:find("^%.%.?$") ~= nil
    return missing and "" or (value:gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
  end)
  return not missing and url or nil
end

local function field(value, at)
  for _, name in ipairs(at) do
    if type(value) ~= "table" then return nil end
    local member = value[name]
    -- Of a list, its first member is 1.
    if member == nil then member = value[math.tointeger(tonumber(name))] end
    value = member
  end
  return value
end

-- Whether a text may be a user property: UTF-8 without control characters.
local function is_plain(text) return (pcall(route.message, { payload = "-", props = { { name = "a", value = text } } })) end

-- What the answer says of the client: attributes that are texts, numbers or truth values, and tags.
function answers.read(document, set)
  local found = { attributes = {}, tags = nil }
  for name, at in pairs(set.attributes) do
    local value = field(document, at)
    if math.type(value) or type(value) == "boolean" then value = tostring(value) end
    if type(value) == "string" and #value <= 512 and is_plain(value) then found.attributes[name] = value end
  end
  local tags = set.tags and field(document, set.tags)
  if type(tags) ~= "table" then return found end
  found.tags = {}
  for _, tag in ipairs(tags) do
    local is_tag = type(tag) == "string" and tag ~= "" and #tag <= 256 and #found.tags < 32 and is_plain(tag)
    if is_tag then found.tags[#found.tags + 1] = tag end
  end
  return found
end

return answers
