local NOW, SECRET, OTHER = 1700000000, ("s"):rep(32), ("o"):rep(32)

local function url(bytes) return (base64.encode(bytes):gsub("+", "-"):gsub("/", "_"):gsub("=", "")) end

local function bytes_of(hex) return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)) end

local function signed(head, body, secret)
  local text = url(head) .. "." .. url(body)
  return text .. "." .. url(bytes_of(hash.hmac(secret or SECRET, text)))
end

-- A token with these claims besides a uid and a time; `false` takes one away.
local function token(claims, secret, header)
  local all = { sub = "ada", exp = NOW + 600 }
  for name, value in pairs(claims or {}) do
    if value == false then all[name] = nil else all[name] = value end
  end
  return signed(json.encode(header or { alg = "HS256", typ = "JWT" }), json.encode(all), secret)
end

local function connect(t, text, more)
  local client = { device = "d1", client_id = "d1", props = { token = text } }
  for name, value in pairs(more or {}) do client[name] = value end
  return t:connect(client)
end

local function with(t, more)
  local settings = { secrets = { a = SECRET } }
  for name, value in pairs(more or {}) do settings[name] = value end
  t:ok(t:settings(settings))
end

local function refused(t, text, why, what)
  local out = connect(t, text)
  t:eq(out.error, nil, what)
  t:eq({ out.verdict, out.why }, { "reject", why }, what)
end

return {
  ["lets a client in as its token says, until the token ends"] = function(t)
    with(t)
    local out = connect(t, token())
    t:eq(out.verdict, "replace")
    t:eq(out.uid, "ada")
    t:eq(out.expires_at, NOW + 600 + 30)
  end,

  ["takes a token that another implementation has signed"] = function(t)
    with(t)
    -- Python: hmac.new(b"s" * 32, head + b"." + body, "sha256")
    t:eq(connect(t, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJleHAiOjE3MDAwMDA2MDB9.-4EGrHsP48RypK_1WY62bhduOpN_knpGijwxEws-P4Y").uid, "ada")
  end,

  ["takes no algorithm but its own"] = function(t)
    with(t)
    for _, alg in ipairs { "none", "None", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "", 5 } do
      refused(t, token({}, nil, { alg = alg }), "token: algorithm", tostring(alg))
    end
    refused(t, token({}, nil, { typ = "JWT" }), "token: algorithm")
    refused(t, token({}, nil, { alg = "HS256", crit = { "b64" }, b64 = false }), "token: algorithm")
    refused(t, url('{"alg":"none"}') .. "." .. url('{"sub":"ada","exp":1700000600}') .. ".", "token: malformed")
    refused(t, url('{"alg":"none"}') .. "." .. url('{"sub":"ada","exp":1700000600}') .. ".AA", "token: algorithm")
  end,

  ["refuses another's signature, and a token that was changed"] = function(t)
    with(t)
    refused(t, token({}, OTHER), "token: signature")
    local head, body, tail = token():match("(.*)%.(.*)%.(.*)")
    refused(t, head .. "." .. url('{"sub":"root","exp":1700000600}') .. "." .. tail, "token: signature")
    refused(t, head .. "." .. body .. "." .. tail:sub(1, 20), "token: signature", "half a signature")
  end,

  ["reads base64url strictly: one token has one text"] = function(t)
    with(t)
    local head, body, tail = token():match("(.*)%.(.*)%.(.*)")
    local last = tail:sub(-1)
    local loose = tail:sub(1, -2) .. string.char(last:byte() + 1)
    for _, text in ipairs {
      head .. "." .. body .. "." .. tail .. "=", head .. "." .. body .. "." .. tail .. "\n", " " .. head .. "." .. body .. "." .. tail,
      head .. "." .. body .. "." .. loose, head .. "." .. body .. "." .. tail .. ".x", head .. "." .. body, "x", "..", "a.b.c", "+/.+/.+/", "",
    } do
      if text ~= "" then refused(t, text, "token: malformed", text) end
    end
    refused(t, "", "token: malformed")
  end,

  ["knows secrets by their names, so that they can be changed one after the other"] = function(t)
    with(t, { secrets = { old = SECRET, new = OTHER } })
    t:eq(connect(t, token({}, SECRET, { alg = "HS256", kid = "old" })).uid, "ada")
    t:eq(connect(t, token({}, OTHER, { alg = "HS256", kid = "new" })).uid, "ada")
    refused(t, token({}, OTHER, { alg = "HS256", kid = "old" }), "token: signature")
    refused(t, token({}, OTHER, { alg = "HS256", kid = "older" }), "token: key")
    for _, kid in ipairs { 5, { "old" }, true, json.null } do
      refused(t, token({}, SECRET, { alg = "HS256", kid = kid }), "token: key")
    end
    t:eq(connect(t, token({}, OTHER)).uid, "ada", "without a name each is tried")
    with(t, { secrets = { new = OTHER } })
    refused(t, token({}, SECRET), "token: signature", "the old one is gone")
  end,

  ["takes secrets in base64"] = function(t)
    with(t, { encoding = "base64", secrets = { a = base64.encode(("\0\xff"):rep(16)) } })
    t:eq(connect(t, token({}, ("\0\xff"):rep(16))).uid, "ada")
    for _, wrong in ipairs { base64.encode(("x"):rep(31)), ("!"):rep(40) } do
      local ok, why = t:settings { encoding = "base64", secrets = { a = wrong } }
      t:ok(not ok and why:find("no base64 of at least 32 bytes", 1, true), why)
      t:ok(not why:find(wrong, 1, true), "a secret is not shown")
    end
  end,

  ["looks at the times, give or take the leeway"] = function(t)
    with(t, { leeway = "10s" })
    t:eq(connect(t, token { exp = NOW - 9 }).uid, "ada")
    refused(t, token { exp = NOW - 10 }, "token: expired")
    refused(t, token { exp = false }, "token: expired")
    t:eq(connect(t, token { nbf = NOW + 10, iat = NOW + 10 }).uid, "ada")
    refused(t, token { nbf = NOW + 11 }, "token: not valid yet")
    refused(t, token { iat = NOW + 11 }, "token: not valid yet")
    t:advance(611)
    refused(t, token(), "token: expired")
    with(t, { longest = "1h" })
    refused(t, token { exp = NOW + 7200 }, "token: good for too long")
  end,

  ["looks at issuer and audience"] = function(t)
    with(t)
    refused(t, token { aud = "others" }, "token: audience", "it is meant for somebody else")
    with(t, { issuers = { "https://id.example.org" }, audiences = { "shunt", "eu" } })
    t:eq(connect(t, token { iss = "https://id.example.org", aud = "shunt" }).uid, "ada")
    t:eq(connect(t, token { iss = "https://id.example.org", aud = { "x", "eu" } }).uid, "ada")
    for _, claims in ipairs { { aud = "eu" }, { iss = "other", aud = "eu" }, { iss = 5, aud = "eu" }, { iss = { "https://id.example.org" }, aud = "eu" } } do
      refused(t, token(claims), "token: issuer")
    end
    for _, aud in ipairs { "Shunt", "", { "x" }, json.array {}, 5, json.null, { shunt = true }, false } do
      refused(t, token { iss = "https://id.example.org", aud = aud }, "token: audience")
    end
  end,

  ["makes claims the uid, tags, aliases and attributes"] = function(t)
    with(t, { uid = "user.name", tags = "roles", alias = "scope", attributes = { tenant = "org.id", admin = "admin", plan = "plan" } })
    local out = connect(t, token { user = { name = "bob" }, roles = { "gold", "eu" }, scope = "read  write", org = { id = 7 }, admin = true },
      { tags = { "forged" }, alias = { "forged" } })
    t:eq({ out.uid, out.tags, out.alias }, { "bob", { "gold", "eu" }, { "read", "write" } })
    t:eq(out.attributes, { tenant = "7", admin = "true" })
    out = connect(t, token { user = { name = "bob" } }, { tags = { "forged" }, alias = { "forged" } })
    t:eq({ out.tags, out.alias }, { {}, {} }, "none in the token, none at all")
  end,

  ["refuses claims of another type"] = function(t)
    with(t, { tags = "roles", attributes = { tenant = "org" } })
    local odd = { 5, true, json.null, {}, json.array {}, { "a", 5 }, { a = "b" }, { { "a" } }, "a\0b", "", 1.5 }
    for i, value in ipairs(odd) do
      refused(t, token { sub = value }, "token: claims", "sub " .. i)
      if i < 4 or i == 11 or i == 6 then refused(t, token { roles = value }, "token: claims", "roles " .. i) end
      if i > 2 and i < 11 then refused(t, token { org = value }, "token: claims", "org " .. i) end
      for _, name in ipairs { "exp", "nbf", "iat" } do
        if not math.type(value) then refused(t, token { [name] = value }, "token: claims", name .. i) end
      end
    end
    refused(t, token { sub = false }, "token: claims")
    refused(t, token { sub = ("x"):rep(1025) }, "token: claims")
    refused(t, signed('{"alg":"HS256"}', '{"sub":"ada","exp":99999999999999999999999}'), "token: claims")
  end,

  ["takes the token as the user name where told to"] = function(t)
    with(t, { username = true })
    t:eq(t:connect({ uid = token(), client_id = "d1", version = "3.1.1" }).uid, "ada")
    t:eq(t:connect({ uid = "ada", client_id = "d1", version = "3.1.1" }).why, "token: malformed")
    with(t)
    t:eq(t:connect({ uid = token(), client_id = "d1", version = "3.1.1" }).why, "token: missing")
  end,

  ["lets in without a token whom it is told to"] = function(t)
    local function verdicts()
      return { t:connect({ uid = "bob" }).verdict, t:connect({ uid = "bob", client_id = "d1" }).verdict, connect(t, "x").verdict }
    end
    with(t)
    t:eq(verdicts(), { "reject", "reject", "reject" })
    with(t, { required = "mqtt" })
    t:eq(verdicts(), { "accept", "reject", "reject" })
    with(t, { required = "none" })
    t:eq(verdicts(), { "accept", "accept", "reject" }, "a wrong token is worse than none")
  end,

  ["takes it by MQTT 5.0's authentication, attributes too"] = function(t)
    with(t, { attributes = { tenant = "org" } })
    local client = { method = "JWT", data = token { org = "acme" }, client_id = "d1", device = "d1" }
    local out = t:auth(client)
    t:eq({ out.verdict, out.uid, out.expires_at }, { "accept", "ada", NOW + 630 })
    local shown = { auth_method = "JWT", client_id = "d1", device = "d1" }
    out = t:connect(shown)
    t:eq({ out.uid, out.attributes, out.expires_at }, { "ada", { tenant = "acme" } }, "the time is on_auth's: the next token replaces it")
    t:eq(t:connect(shown).why, "token: missing", "what was shown counts once")
    client.data = token({ org = "acme" }, OTHER)
    out = t:auth(client)
    t:eq({ out.verdict, out.why }, { "reject", "token: signature" })
    client.method = "SCRAM"
    t:eq(t:auth(client).verdict, "pass", "another rule may know it")
    for _, data in ipairs { "", ("x"):rep(60000), "\xff\0.\xfe.x", "a.b.c" } do
      out = t:auth { method = "JWT", data = data, client_id = "d1" }
      t:eq({ out.verdict, out.error }, { "reject", nil })
    end
  end,

  ["refuses what is no token, whatever it is"] = function(t)
    with(t)
    local deep = signed('{"alg":"HS256"}', '{"sub":' .. ("["):rep(500) .. ("]"):rep(500) .. "}")
    refused(t, deep, "token: malformed", "JSON that is too deep")
    refused(t, signed(("{\"alg\":"):rep(100) .. "1" .. ("}"):rep(100), "{}"), "token: malformed")
    refused(t, signed("[]", "{}"), "token: malformed")
    refused(t, signed('{"alg":"HS256"}', '"\xff"'), "token: malformed")
    refused(t, signed('{"alg":"HS256"}', "null"), "token: malformed")
    refused(t, signed('{"alg":"HS256"}', '{"sub":"ada","exp":1e999}'), "token: malformed")
    refused(t, ("a"):rep(8193), "token: too long")
    refused(t, ("a."):rep(4000), "token: malformed")
    t:eq(connect(t, token { padding = ("x"):rep(5500) }).uid, "ada")
    t:eq(connect(t, token { padding = ("x"):rep(6500) }).why, "token: too long")
  end,

  ["takes claims of the right types alone"] = function(t)
    with(t, { audiences = { "shunt" }, tags = "roles", uid = "emails.1", attributes = { year = "years.2026" } })
    local function with_claims(claims)
      claims.emails, claims.aud = claims.emails or { "ada" }, claims.aud or "shunt"
      return token(claims)
    end
    local out = connect(t, with_claims { years = { ["2026"] = "now" }, roles = { "a" }, aud = { "other", "shunt" } })
    t:eq({ out.uid, out.tags, out.attributes }, { "ada", { "a" }, { year = "now" } })
    local many = {}
    for i = 1, 257 do many[i] = "r" .. i end
    for _, claims in ipairs {
      { iss = 5 }, { iss = json.array {} }, { roles = { a = "b" } }, { roles = many },
      { roles = { ("r"):rep(1025) } }, { roles = json.decode("{}") }, { emails = { 5 } }, { exp = "soon" },
    } do refused(t, with_claims(claims), "token: claims", json.encode(claims):sub(1, 60)) end
    for _, aud in ipairs { { "shunt", 5 }, 5, { shunt = "shunt" } } do refused(t, with_claims { aud = aud }, "token: audience") end
    for _, exp in ipairs { math.maxinteger, 1e300 } do t:eq(connect(t, with_claims { exp = exp }).expires_at, 253402300799 + 30) end
  end,

  ["takes a user name for a token, and a client's identifier for none"] = function(t)
    with(t, { username = true, required = "none" })
    t:eq(connect(t, nil, { uid = "d1" }).verdict, "accept", "it has no user name")
    t:eq(connect(t, nil, { uid = token() }).uid, "ada")
    t:eq(connect(t, nil, { uid = token(), client_id = token() }).verdict, "accept")
    with(t, { username = true })
    t:eq(connect(t, nil, { uid = token(), client_id = token() }).why, "token: missing")
  end,

  ["says what is wrong with its settings"] = function(t)
    for _, case in ipairs {
      { {}, "secrets is missing" },
      { { secrets = {} }, "secrets" },
      { { secrets = { a = "short" } }, "secrets.a does not fit; it is secret and not shown" },
      { { secrets = { a = SECRET }, leeway = "1h" }, "leeway" },
      { { secrets = { a = SECRET }, attributes = { [("n"):rep(65)] = "n" } }, "is no name of an attribute" },
      { { secrets = { a = SECRET }, algorithms = { "none" } }, "unknown key algorithms" },
    } do
      local ok, why = t:settings(case[1])
      t:ok(not ok and why:find(case[2], 1, true), why)
    end
  end,
}
