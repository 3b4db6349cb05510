-- Each function over texts of megabytes looks at the budget, or is quick.
local R = {}
local S, Z, big, t = "", "", "", {}
function R.on_load()
  big = ("x"):rep(900000)
  S, Z = big .. "a", ("\0"):rep(900000)
end
function R.on_message(msg)
  local all = {
    function() return S < big .. "b" end, function() return Z < ("\0"):rep(900000) end, function() return S:find("xb", 1, true) end,
    function() return S:find("[%w_]*b") end, function() return S:find("%b()") end, function() return tonumber(S) end,
    function() return S + 1 end, function() t[S] = 1 end, function() return utf8.len(S) end, function() return utf8.offset(S, 800000) end,
    function() return json.decode((" "):rep(900000)) end, function() return json.encode(S) end, function() return time.parse(S) end,
    function() return S:upper() end, function() return S:reverse() end, function() return string.packsize(("i16"):rep(3000)) end,
    function() return S:byte(1, -1) end, function() return base64.decode(S) end, function() log.info(S, { S }) end,
  }
  for _, one in ipairs(all) do pcall(one) end
end
return R
