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

local token, claims_of = require "token", require "claims"

local set, secrets, ordered

function R.on_load(settings)
  set, secrets, ordered = settings, {}, {}
  for name, secret in pairs(settings.secrets) do
    if settings.encoding == "base64" then secret = base64.decode(secret) end
    if not secret or #secret < 32 then error("settings.secrets: one is no base64 of at least 32 bytes", 0) end
    secrets[name], ordered[#ordered + 1] = secret, secret
  end
  for name in pairs(settings.attributes or {}) do
    if #name > 64 then error(("settings.attributes: %s is no name of an attribute: at most 64 bytes"):format(name), 0) end
  end
  claims_of.load(settings)
end

-- What the token makes of the client; or nil and why it does not count.
local function verified(text, now)
  local claims, why = token.claims(text, secrets, ordered)
  if not claims then return nil, why end
  why = claims_of.refusal(claims, now)
  local client = not why and claims_of.client(claims)
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
  -- Without a user name the uid is the client's identifier.
  local name = set.username and conn.uid ~= "" and conn.uid ~= conn.client_id and conn.uid or nil
  local text = conn.props and conn.props[set.property] or name
  if not text then
    local may_go = set.required == "none" or set.required == "mqtt" and conn.protocol ~= "mqtt"
    return not may_go and refuse("missing") or nil
  end
  local client, why = verified(text, ctx.now)
  return client and conn:with(client) or refuse(why)
end

return R
