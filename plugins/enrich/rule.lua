-- Asks a service of your own about each client by HTTP, and adds what it says to the client's messages. See README.md.
-- A message that it fails on is refused, since a client may have written there what the service is to say. The breaker: it fails by what one
-- sends, and that must not close the topic to all.
local R = {
  name = "enrich", priority = 75, on_error = "reject", breaker = { errors = 1000000 },
  settings = {
    url = text { pattern = "^https?://[^/]+/", doc = "what is asked, with `{uid}`, `{device}` and `{client_id}` for the client's" },
    headers = map(text { secret = true }, { optional = true, max = 16, doc = "headers of the request" }),
    timeout = duration { default = "2s", min = "10ms", max = "30s", doc = "how long an answer may take" },
    cache = duration { default = "60s", min = "0s", max = "1h", doc = "how long an answer is kept; 0s: not" },
    attributes = map(path, { min = 1, max = 32, doc = "what is taken of the answer's JSON: attributes by name, and their paths" }),
    tags = path { optional = true, doc = "a list of texts in the answer that becomes the client's tags" },
    topics = list(filter, { optional = true, max = 100, doc = "the topics whose messages get the attributes; where it is not set, none" }),
    add = enum { "properties", "payload", default = "properties", doc = "where they go: user properties, or a field of a JSON payload" },
    prefix = text { default = "", max = 64, doc = "what stands before the names of these properties" },
    field = text { default = "client", min = 1, doc = "the field of the payload that gets them, as an object" },
    unknown = enum { "pass", "reject", default = "pass", doc = "what becomes of a client whom the service does not know: 404, or 410" },
    unreadable = enum { "reject", "drop", "pass", default = "reject",
      doc = "what becomes of a payload that is no JSON, for `add: payload`; another reader may find a field in it" },
    down = enum { "pass", "reject", default = "pass", doc = "what becomes of one where there is no answer, or none that counts" },
  },
}

local answers = require "answers"
local set
local counted = {}

local function count(what)
  counted[what] = counted[what] or counter("enrich_total", { what = what })
  counted[what]:inc()
end

R.match = function(settings) return { kind = "topic", topic = settings.topics or { "$none" } } end

function R.on_load(settings)
  set = settings
  for name in settings.url:gmatch("{(.-)}") do
    if name ~= "uid" and name ~= "device" and name ~= "client_id" then
      error(("settings.url: {%s} means nothing; there are {uid}, {device} and {client_id}"):format(name), 0)
    end
  end
  for name in pairs(settings.attributes) do
    if #name > 64 or name:find("%c") then error(("settings.attributes: %s is no name of an attribute: at most 64 bytes"):format(name), 0) end
  end
end

local function unknown()
  count("unknown")
  return nil, set.unknown == "reject" and "it is not known" or nil
end

-- Asks about a client. Gives what is known of it; or nil, and why it is refused, if it is.
local function ask(conn)
  local url = answers.address(set.url, conn)
  if not url then return unknown() end
  local answer, why = http.get(url, { headers = set.headers, timeout = set.timeout, cache = set.cache > 0 and set.cache or nil })
  local status = answer and answer.status
  if status == 404 or status == 410 then return unknown() end
  local document = status == 200 and answer:json()
  if type(document) == "table" and getmetatable(document) == nil then
    count("answered")
    return answers.read(document, set)
  end
  count("down")
  log.warn("a client could not be asked about", { status = status, why = why or "the answer does not count" })
  return nil, set.down == "reject" and "it can't be asked about now; try again" or nil
end

function R.on_connect(conn)
  -- A client of the exchange protocol says who it is when it registers.
  if conn.protocol ~= "mqtt" and not answers.address(set.url, conn) then return nil end
  local known, why = ask(conn)
  if why then return route.reject(why) end
  -- Attributes that an earlier rule has given stay.
  local attributes = conn.attributes
  for name in pairs(set.attributes) do attributes[name] = known and known.attributes[name] end
  return conn:with { attributes = attributes, tags = known and known.tags }
end

local function remember(conn, known)
  if not kv.set("client " .. conn.id, json.encode(known.attributes), 86400) then count("full") end
end

-- A client that has no name when it connects says it here. No attributes can be set then: what is known of it waits in `kv`.
function R.on_register(conn)
  if conn.protocol == "mqtt" and next(conn.attributes) then return nil end
  local known, why = ask(conn)
  if why then return route.reject(why) end
  remember(conn, known or { attributes = {} })
  return known and known.tags and conn:with { tags = known.tags } or nil
end

function R.on_disconnect(conn) kv.delete("client " .. conn.id) end

local function attributes_of(sender)
  local kept = kv.get("client " .. sender.id)
  return kept and json.decode(kept) or sender.attributes
end

local function enriched(msg, known)
  if set.add == "payload" then
    local document = msg:json()
    if document == nil then
      count("unreadable")
      return set.unreadable ~= "pass" and route[set.unreadable]("it is no JSON") or nil
    end
    if type(document) ~= "table" or getmetatable(document) ~= nil then return nil end
    document[set.field] = {}
    for name in pairs(set.attributes) do document[set.field][name] = known[name] end
    return msg:with { payload = json.encode(document) }
  end
  -- What a client has written under these names goes: it is the service that speaks there.
  local props = {}
  for _, pair in ipairs(msg.props) do
    local name = pair.name:sub(1, #set.prefix) == set.prefix and pair.name:sub(#set.prefix + 1)
    if not (name and set.attributes[name]) then props[#props + 1] = pair end
  end
  for name in pairs(set.attributes) do
    if known[name] then props[#props + 1] = { name = set.prefix .. name, value = known[name] } end
  end
  return msg:with { props = props }
end

function R.on_will(msg, conn) return enriched(msg, conn.attributes) end

function R.on_message(msg)
  -- What rules send on may come from a topic that is not among `topics`. Without a sender it is a rule's own, or a will that has been given them.
  return msg.sender and enriched(msg, attributes_of(msg.sender)) or nil
end

return R
