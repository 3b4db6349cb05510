-- Whether the claims of a token count, and what they make of the client.
local of = {}

-- The end of the year 9999: a token that says later is good until then.
local LAST = 253402300799

local set, issuers, audiences

local function to_set(names)
  local found = names and {}
  for _, name in ipairs(names or {}) do found[name] = true end
  return found
end

function of.load(settings)
  set, issuers, audiences = settings, to_set(settings.issuers), to_set(settings.audiences)
end

local function claim(claims, at)
  for _, name in ipairs(at) do
    if type(claims) ~= "table" then return nil end
    local member = claims[name]
    -- Of a list, its first member is 1.
    if member == nil then member = claims[math.tointeger(tonumber(name))] end
    claims = member
  end
  return claims
end

local function is_time(value) return value == nil or math.type(value) ~= nil end

-- Lists of JSON have a mark.
local function is_list(value) return type(value) == "table" and getmetatable(value) ~= nil end

-- Texts in a list, or one text, as a list; nil where it is something else.
local function all_texts(value)
  if type(value) == "string" then return { value } end
  if not is_list(value) then return nil end
  for _, each in ipairs(value) do if type(each) ~= "string" then return nil end end
  return value
end

-- Why the claims do not count now; nil: they do.
function of.refusal(claims, now)
  local early, late = now - set.leeway, now + set.leeway
  if not (is_time(claims.exp) and is_time(claims.nbf) and is_time(claims.iat)) then return "claims" end
  if not claims.exp or claims.exp <= early then return "expired" end
  if set.longest and claims.exp > late + set.longest then return "good for too long" end
  if (claims.nbf or 0) > late or (claims.iat or 0) > late then return "not valid yet" end
  if issuers and not issuers[claims.iss] then return "issuer" end
  if claims.iss ~= nil and type(claims.iss) ~= "string" then return "claims" end
  if claims.aud == nil then return audiences and "audience" or nil end
  for _, name in ipairs(all_texts(claims.aud) or {}) do
    if audiences and audiences[name] then return nil end
  end
  return "audience"
end

local function is_text(value) return type(value) == "string" and value ~= "" and not value:find("%c") end

-- A claim as a list of texts, empty where it is missing; nil where it is something else.
local function texts(value)
  local found = {}
  if type(value) == "string" then
    for word in value:gmatch("[^ ]+") do found[#found + 1] = word end
  elseif value ~= nil then
    found = value
  end
  if value ~= nil and type(value) ~= "string" and not is_list(value) or #found > 256 then return nil end
  for _, each in ipairs(found) do if not is_text(each) or #each > 1024 then return nil end end
  return found
end

-- What the claims make of the client; nil where one of them is of another type.
function of.client(claims)
  local client = { uid = claim(claims, set.uid), expires_at = math.min(claims.exp, LAST) + set.leeway, attributes = {} }
  if not is_text(client.uid) or #client.uid > 1024 then return nil end
  for _, kind in ipairs { "tags", "alias" } do
    if set[kind] then client[kind] = texts(claim(claims, set[kind])) end
    if set[kind] and not client[kind] then return nil end
  end
  for name, at in pairs(set.attributes or {}) do
    local value = claim(claims, at)
    if math.type(value) or type(value) == "boolean" then value = tostring(value) end
    if value ~= nil and not (is_text(value) and #value <= 512) then return nil end
    client.attributes[name] = value
  end
  return client
end

return of
