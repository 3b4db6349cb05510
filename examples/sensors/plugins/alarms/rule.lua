-- Sends telemetry to the topic of its site, and raises an alarm where a value is above the limit of its kind. See README.md.
local R = {
  name = "alarms", match = { topic = "telemetry/+" },
  settings = { limits = map(number, { default = {}, doc = "of each kind of reading, the value above which there is an alarm" }) },
}

function R.on_message(msg, ctx)
  local reading = msg:json()
  if type(reading) ~= "table" or type(reading.site) ~= "string" or not reading.site:find("^%w+$") or type(reading.value) ~= "number" then
    return route.reject("a reading has a site of letters and digits, and a value")
  end
  local place = reading.site .. "/" .. msg.topic:sub(#"telemetry/" + 1)
  local limit = ctx.settings.limits[reading.kind]
  if not limit or reading.value <= limit then return route.to("sites/" .. place) end
  local alarm = json.encode { kind = reading.kind, limit = limit, value = reading.value }
  return route.fanout { route.to("sites/" .. place), route.to("alarms/" .. place, msg:with { payload = alarm, format = "json" }) }
end

return R
