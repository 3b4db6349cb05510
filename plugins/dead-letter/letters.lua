-- What a dead letter is made of, and which messages are not fit to go on.
local letters = {}

-- A message has at most 1,024 user properties; a dead letter has five of its own.
local MOST_PROPS = 1024 - 5

-- As a user property may have it, and JSON: a topic and a uid of the exchange protocol are any bytes.
function letters.plain(text)
  if #text <= 65535 and not text:find("[^\x20-\x7e]") then return text end
  if pcall(route.message, { payload = "-", props = { { name = "a", value = text } } }) then return text end
  return (text:sub(1, 65535):gsub("[^\x20-\x7e]", "?"))
end

-- How often it has been tried again. A client may write what it likes there: the worst is that its message is not.
function letters.attempts(props) return math.tointeger(tonumber((props["dead-letter-attempts"] or ""):sub(1, 3))) or 0 end

-- What `route.message` takes, of a message that is to go out as it was, with these properties besides. Where there is no room for them, the
-- last of its own are left out. A message that does not say what its payload is goes on without saying it.
function letters.fields(msg, props, more)
  for i = #props, MOST_PROPS + 1, -1 do props[i] = nil end
  for name, value in pairs(more) do props[name] = value end
  return {
    topic = msg.topic, payload = msg.payload, key = msg.key, qos = msg.qos, props = props,
    content_type = msg.content_type or false, payload_format = msg.payload_format or false,
    response_topic = msg.response_topic, correlation_data = msg.correlation_data,
  }
end

local function in_envelope(msg, about)
  local payload = msg.payload
  about.props = json.array {}
  for i, pair in ipairs(msg.props) do about.props[i] = { name = pair.name, value = pair.value } end
  -- Bytes that are not text stand in base64.
  for name, value in pairs { topic = msg.topic, key = msg.key, payload = payload } do
    if utf8.len(value) then about[name] = value else about[name .. "_base64"] = base64.encode(value) end
  end
  return { payload = json.encode(about), content_type = "application/json", qos = msg.qos, key = msg.key }
end

-- A dead letter: the message with what became of it. An empty payload needs an envelope: no message is made without one.
function letters.dead(msg, letter, reason, now)
  local props = msg.props
  local uid, attempts = msg.sender and msg.sender.uid or props["dead-letter-sender"], letters.attempts(props)
  uid = uid and uid ~= "" and letters.plain(uid) or nil
  local fields
  if letter.envelope or msg.payload == "" then
    fields = in_envelope(msg, { reason = reason, attempts = attempts, sender = uid, at = time.format(now) })
  else
    fields = letters.fields(msg, props, {
      ["dead-letter-reason"] = reason, ["dead-letter-topic"] = letters.plain(msg.topic), ["dead-letter-attempts"] = tostring(attempts),
      ["dead-letter-sender"] = uid, ["dead-letter-at"] = time.format(now),
    })
  end
  fields.topic = letter.to
  return fields
end

local function has(value, at)
  for _, name in ipairs(at) do
    if type(value) ~= "table" then return false end
    local member = value[name]
    -- Of a list, its first member is 1.
    if member == nil then member = value[math.tointeger(tonumber(name))] end
    value = member
  end
  return value ~= nil and value ~= json.null
end

-- Why a message is not fit to go on; nil: it is.
function letters.fault(msg, letter)
  if not letter.json and not letter.needs then return nil end
  local document = msg:json()
  if document == nil then return "no JSON" end
  for _, at in ipairs(letter.needs or {}) do
    if not has(document, at) then return "without " .. table.concat(at, ".") end
  end
end

return letters
