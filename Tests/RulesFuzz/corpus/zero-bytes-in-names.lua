-- Names are compared with their length, and what is read is what was checked.
local R = {}
function R.on_message(msg, ctx)
  pcall(function() ctx:emit(msg:with { ["format\0"] = "text" }) end)
  pcall(function() ctx:emit(msg:with { ["payload\0"] = "x" }) end)
  pcall(function() return msg.sender:with(setmetatable({ ["tags\0"] = {} }, { __index = function() return ("A"):rep(100) end })) end)
  return msg:with(msg:json())
end
function R.on_connect(conn)
  return conn:with(setmetatable({ ["uid\0"] = ("u"):rep(200000) }, { __index = function() return ("A"):rep(16) end }))
end
function R.on_broadcast(push) return push:with { ["filter\0"] = {} } end
return R
