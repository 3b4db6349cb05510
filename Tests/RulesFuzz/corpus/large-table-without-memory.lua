-- A call that ran out of memory, in a state with one large table: the collector's next steps must not take long.
local R, names = {}, {}
for i = 1, 60000 do names["name " .. i] = i end
function R.on_message(msg)
  return route.to(("x"):rep(80000000) .. names["name 1"])
end
return R
