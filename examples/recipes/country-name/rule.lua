-- Orders get the name of their country, from a table of the rule's own.
local R = { match = { topic = "orders/+" } }

local countries = require "countries"

function R.on_message(msg, ctx)
  local order = msg:json()
  if type(order) ~= "table" or type(order.country) ~= "string" then return end
  order.country_name = countries[order.country] or "unknown"
  return msg:with { payload = json.encode(order) }
end

return R
