-- Every payment goes on, and a copy without the card's number goes to the audit.
local R = { match = { topic = "payments/#" } }

function R.on_message(msg, ctx)
  local payment = msg:json()
  local copy = { topic = msg.topic, sender = msg.sender and msg.sender.uid, at = time.format(ctx.now) }
  if type(payment) == "table" then
    payment.card = nil
    copy.payment = payment
  end
  return route.fanout { msg, msg:with { topic = "audit/payments", payload = json.encode(copy) } }
end

return R
