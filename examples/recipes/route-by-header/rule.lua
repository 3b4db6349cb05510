-- Messages go to the topic of the region that their user property names; others to a default.
local R = { match = { topic = "inbound/+" } }

local REGIONS = { eu = true, us = true, asia = true }

function R.on_message(msg, ctx)
  local region = msg.props.region
  if not REGIONS[region] then region = "other" end
  return route.to(region .. "/" .. msg.topic:match("^inbound/(.*)$"))
end

return R
