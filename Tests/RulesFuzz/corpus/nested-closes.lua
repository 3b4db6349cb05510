-- Each close of a coroutine begins to count C calls anew.
local R = {}
local function deep(n)
  local co = coroutine.create(function()
    local x <close> = setmetatable({}, { __close = function()
      local function down(k) if k == 0 then return deep(n + 1) end return (("x"):gsub("x", function() down(k - 1) return "" end)) end
      pcall(down, 180)
      for k = 180, 1, -20 do if pcall(down, k) then break end end
    end })
    coroutine.yield()
  end)
  coroutine.resume(co)
  return coroutine.close(co)
end
function R.on_message() deep(1) end
return R
