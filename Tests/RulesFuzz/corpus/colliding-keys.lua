-- All multiples of 32767 fall into one place of a table of 32768.
local R = {}
local seen = {}
function R.on_load() for i = 1, 16384 do seen[i * 32767] = true end end
function R.on_message(msg)
  for i = 16385, 40000 do seen[i * 32767] = true end
end
return R
