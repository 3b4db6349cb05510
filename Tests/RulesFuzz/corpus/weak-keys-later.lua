-- A chain of weak keys costs the collector the square of its length.
local R = {}
local T, m = {}, {}
function R.on_load()
  setmetatable(T, m)
  m.__mode = "k"
  local key = {}
  for i = 1, 20000 do local next = {} T[key] = next key = next end
end
function R.on_message() local garbage = {} for i = 1, 10000 do garbage[i] = { i } end end
return R
