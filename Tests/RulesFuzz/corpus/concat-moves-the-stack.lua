-- Nothing that a concatenation calls moves the stack.
local R = {}
local function deep(n) if n > 0 then return 1 + deep(n - 1) end return 1 end
function R.on_message(msg)
  local m = {}
  local t = setmetatable({}, m)
  m.__concat = function() deep(4000) return "x" end
  pcall(function() coroutine.wrap(function() local a = { 1 } local s = "a" .. t return a[1] end)() end)
  local big = json.decode("12345678901234567890123")
  return coroutine.wrap(function() return msg:with { payload = "order" .. " " .. "n" .. "=" .. big } end)()
end
return R
