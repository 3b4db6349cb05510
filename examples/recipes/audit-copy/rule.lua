-- Every payment goes on, and a copy without cards' numbers goes to the audit. A payment that no copy can be made of does not go on.
local R = { match = { topic = "payments/#" }, on_error = "reject", grants = { publish = { "audit/payments" } } }

local function without_cards(value)
  if type(value) ~= "table" then return value end
  value.card = nil
  for _, each in pairs(value) do without_cards(each) end
  return value
end

-- Topics and uids of the exchange protocol may be any bytes, which JSON does not take.
local function text(bytes) return bytes and (utf8.len(bytes) and bytes or base64.encode(bytes)) end

function R.on_message(msg, ctx)
  local payment = msg:json()
  local copy = { topic = text(msg.topic), sender = text(msg.sender and msg.sender.uid), at = time.format(ctx.now) }
  if type(payment) == "table" then copy.payment = without_cards(payment) end
  return route.fanout { msg, msg:with { topic = "audit/payments", payload = json.encode(copy) } }
end

return R
