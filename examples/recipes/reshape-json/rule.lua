-- What old devices send, `{"t":21.5,"h":40,"d":"pump"}`, becomes what the others send.
local R = { match = { topic = "v1/readings" } }

function R.on_message(msg, ctx)
  local old = msg:json()
  if type(old) ~= "table" or type(old.d) ~= "string" then return route.reject("d is wanted: the device's name") end
  local new = {
    device = old.d,
    at = time.format(ctx.now),
    readings = json.array {},
  }
  for _, pair in ipairs { { "t", "temperature" }, { "h", "humidity" } } do
    local value = old[pair[1]]
    if math.type(value) then new.readings[#new.readings + 1] = { name = pair[2], value = value } end
  end
  return route.to("v2/readings", msg:with { payload = json.encode(new), content_type = "application/json" })
end

return R
