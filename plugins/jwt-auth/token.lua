-- Reads a JSON Web Token: its parts, its algorithm, its signature. What the claims say is the rule's affair.
local token = {}

local MAX_BYTES = 8192

-- Base64url without padding, and only as an encoder writes it: one token has one text.
local function decoded(text)
  local plain = text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" }) .. ("="):rep(-#text % 4)
  local bytes = base64.decode(plain)
  return bytes and base64.encode(bytes) == plain and bytes or nil
end

local function object(text)
  local bytes = decoded(text)
  local value = bytes and bytes:find("^%s*{") and json.decode(bytes)
  return type(value) == "table" and value or nil
end

-- Of two texts of 64 characters; takes as long wherever the first difference is.
local function same(one, other)
  local differs = 0
  for i = 1, 64 do differs = differs | one:byte(i) ~ other:byte(i) end
  return differs == 0
end

local function is_signed(signed, signature, candidates)
  if #signature ~= 32 then return false end
  local hex, found = ("%02x"):rep(32):format(signature:byte(1, 32)), false
  for _, secret in ipairs(candidates) do found = same(hash.hmac(secret, signed), hex) or found end
  return found
end

-- The claims of a token that one of the secrets has signed; or nil and why it does not count.
function token.claims(text, secrets, ordered)
  if #text > MAX_BYTES then return nil, "too long" end
  local head, body, tail = text:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
  local header, claims, signature = head and object(head), body and object(body), tail and decoded(tail)
  if not (header and claims and signature) then return nil, "malformed" end
  -- The algorithm is ours to say: a token that names another one, or has what we are not to ignore, does not count.
  if header.alg ~= "HS256" or header.crit ~= nil then return nil, "algorithm" end
  local candidates = header.kid == nil and ordered or { type(header.kid) == "string" and secrets[header.kid] or nil }
  if #candidates == 0 then return nil, "key" end
  if not is_signed(head .. "." .. body, signature, candidates) then return nil, "signature" end
  return claims
end

return token
