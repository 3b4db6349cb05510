-- Lets clients in by a JSON Web Token that HMAC-SHA-256 has signed (HS256), and makes its claims the client's. See README.md.
local R = {
  name = "jwt-auth", priority = 100,
  settings = {
    secrets = map(text { min = 32, max = 4096, secret = true }, { min = 1, max = 16,
      doc = "secrets by name: a token's `kid` says which; a token without one is tried with each" }),
    encoding = enum { "text", "base64", default = "text", doc = "what the secrets are: bytes as they stand, or base64 of them" },
    property = text { default = "token", doc = "the user property of CONNECT that has the token" },
    username = boolean { default = false, doc = "whether the token may come as the user name" },
    method = text { default = "JWT", doc = "the authentication method by which MQTT 5.0 may show it" },
    required = enum { "all", "mqtt", "none", default = "all", doc = "which clients are refused without a token" },
    issuers = list(text, { optional = true, min = 1, doc = "`iss` must be one of these; where it is not set, any" }),
    audiences = list(text, { optional = true, min = 1, doc = "`aud` must name one of these; where it is not set, a token with `aud` is refused" }),
    leeway = duration { default = "30s", max = "10m", doc = "by how much clocks may differ" },
    longest = duration { optional = true, min = "1s", doc = "a token that is good for longer is refused" },
    uid = path { default = "sub", doc = "the claim that is the uid: a text" },
    tags = path { optional = true, doc = "the claim with the tags: a list of texts, or one text with spaces between them" },
    alias = path { optional = true, doc = "the claim with the aliases, likewise" },
    attributes = map(path, { optional = true, max = 32, doc = "attributes that rules see as `conn.attributes`, and their claims" }),
  },
}

local token = require "token"

local set, secrets, ordered, issuers, audiences

local function to_set(names)
  local found = names and {}
  for _, name in ipairs(names or {}) do found[name] = true end
  return found
end

function R.on_load(settings)
  set, secrets, ordered = settings, {}, {}
  for name, secret in pairs(settings.secrets) do
    if settings.encoding == "base64" then secret = base64.decode(secret) end
    if not secret or #secret < 32 then error("settings.secrets: one is no base64 of at least 32 bytes", 0) end
    secrets[name], ordered[#ordered + 1] = secret, secret
  end
  issuers, audiences = to_set(settings.issuers), to_set(settings.audiences)
end

local function claim(claims, at)
  for _, name in ipairs(at) do
    if type(claims) ~= "table" then return nil end
    claims = claims[name]
  end
  return claims
end

local function is_time(value) return value == nil or math.type(value) ~= nil end

-- Why the claims do not count now; nil: they do.
local function refusal(claims, now)
  local early, late = now - set.leeway, now + set.leeway
  if not (is_time(claims.exp) and is_time(claims.nbf) and is_time(claims.iat)) then return "claims" end
  if not claims.exp or claims.exp <= early then return "expired" end
  if set.longest and claims.exp > late + set.longest then return "good for too long" end
  if (claims.nbf or 0) > late or (claims.iat or 0) > late then return "not valid yet" end
  if issuers and not issuers[claims.iss] then return "issuer" end
  if claims.aud == nil then return audiences and "audience" or nil end
  for _, name in ipairs(type(claims.aud) == "table" and claims.aud or { claims.aud }) do
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
  if type(found) ~= "table" then return nil end
  for key, each in pairs(found) do
    if math.type(key) ~= "integer" or not is_text(each) then return nil end
  end
  return found
end

-- What the claims make of the client; nil where one of them is of another type.
local function client_of(claims)
  local client = { uid = claim(claims, set.uid), expires_at = claims.exp + set.leeway, attributes = {} }
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

-- What the token makes of the client; or nil and why it does not count.
local function verified(text, now)
  local claims, why = token.claims(text, secrets, ordered)
  if not claims then return nil, why end
  why = refusal(claims, now)
  local client = not why and client_of(claims)
  return client or nil, why or "claims"
end

local refused = {}

local function refuse(why)
  refused[why] = refused[why] or counter("jwt_refused_total", { reason = why })
  refused[why]:inc()
  return route.reject("token: " .. why)
end

function R.on_auth(conn, data, ctx)
  if conn.auth_method ~= set.method then return end
  local client, why = verified(data, ctx.now)
  if not client then return refuse(why) end
  -- on_connect comes next, with the client's uid, and gives it the attributes. The time is this hook's to give: the next token replaces it.
  local expires_at = client.expires_at
  client.expires_at = nil
  if not kv.set("shown " .. conn.id, json.encode(client), 60) then return refuse("busy") end
  return conn:with { uid = client.uid, tags = client.tags, alias = client.alias, expires_at = expires_at }
end

function R.on_connect(conn, ctx)
  local shown = conn.auth_method == set.method and kv.get("shown " .. conn.id)
  if shown then
    kv.delete("shown " .. conn.id)
    return conn:with(json.decode(shown))
  end
  local text = conn.props and conn.props[set.property] or set.username and conn.uid ~= "" and conn.uid or nil
  if not text then
    local may_go = set.required == "none" or set.required == "mqtt" and conn.protocol ~= "mqtt"
    return not may_go and refuse("missing") or nil
  end
  local client, why = verified(text, ctx.now)
  return client and conn:with(client) or refuse(why)
end

return R
